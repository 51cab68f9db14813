with mine as (
  select stream from admiral.streams where stream = $1::int4 and owner = $2::text for update skip locked
)
update admiral.streams s set fence = greatest(s.fence, $3::float8::int8) + 1
from mine where s.stream = mine.stream returning s.stream, s.fence::text;
