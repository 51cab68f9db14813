insert into admiral.incidents as incident
  (route, server, receivers, opened_at, due_at, closing_at, told_at, owes_resolve, took_note, closed_at)
select given.route, given.server, given.receivers, given.opened_at, given.due_at, given.closing_at, given.told_at, given.owes, given.noted,
  given.closed_at
from (select id, route, server, receivers, timestamptz 'epoch' + opened * 1000 * interval '1 microsecond' as opened_at, timestamptz 'epoch' + due * 1000 * interval '1 microsecond' as due_at, timestamptz 'epoch' + closing * 1000 * interval '1 microsecond' as closing_at, timestamptz 'epoch' + told * 1000 * interval '1 microsecond' as told_at, timestamptz 'epoch' + closed * 1000 * interval '1 microsecond' as closed_at, owes, noted
  from json_to_recordset($1::json) as given(id bigint, route text, server text, receivers text[], opened float8, due float8,
    closing float8, told float8, closed float8, owes boolean, noted boolean)) as given
returning incident.id::text as id, incident.route, incident.server;
