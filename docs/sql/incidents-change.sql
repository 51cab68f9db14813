update admiral.incidents as incident set due_at = given.due_at, closing_at = given.closing_at, told_at = given.told_at,
  owes_resolve = given.owes, took_note = given.noted, closed_at = given.closed_at
from (select id, route, server, receivers, timestamptz 'epoch' + opened * 1000 * interval '1 microsecond' as opened_at, timestamptz 'epoch' + due * 1000 * interval '1 microsecond' as due_at, timestamptz 'epoch' + closing * 1000 * interval '1 microsecond' as closing_at, timestamptz 'epoch' + told * 1000 * interval '1 microsecond' as told_at, timestamptz 'epoch' + closed * 1000 * interval '1 microsecond' as closed_at, owes, noted
  from json_to_recordset($1::json) as given(id bigint, route text, server text, receivers text[], opened float8, due float8,
    closing float8, told float8, closed float8, owes boolean, noted boolean)) as given where incident.id = given.id;
