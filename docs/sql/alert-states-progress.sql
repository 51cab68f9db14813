select round(extract(epoch from progress.asked_until) * 1000000)::float8 / 1000 as until, progress.holder from admiral.alert_progress as progress;
