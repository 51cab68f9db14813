select round(extract(epoch from progress.asked_until) * 1000000)::float8 / 1000 as until, progress.holder,
  coalesce(progress.passing_until between now() and now() + interval '30 seconds', false) as "isPassing"
from admiral.alert_progress as progress;
