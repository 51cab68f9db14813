select stream, case when leased_until > now() then owner end as owner, fence::text,
  case when leased_until > now() then date_part('epoch', now() - owned_since) end as owned_for
from admiral.streams order by stream;
