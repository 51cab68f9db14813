select stream, fence::text, set_config('idle_in_transaction_session_timeout', $2::text, true)
from admiral.streams where stream = any($1::int4[]) order by stream for key share;
