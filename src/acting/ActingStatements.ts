/** The statements of acting, as text: what each asks of `admiral.hands`, `admiral.previews` and `admiral.orders`. */
import { micros, moment } from "../sinks/postgres/Moments.ts"
import { ORDER_MINUTES, PREVIEW_SECONDS, PREVIEWS_KEPT_MINUTES } from "./Acting.ts"

const idOf = (parameter: string): string =>
  `(select server.id from admiral.servers server where server.server_id = ${parameter}::text)`

const millis = (at: string): string => `${micros(at)} / 1000`
const epoch = (at: string): string => `extract(epoch from ${at})::float8`

const RESULTS = "('done', 'failed', 'refused', 'interrupted')"

/** Neither sent nor expired; and nobody looks further back. */
const isOpen = (days: number): string => `asked.event = 'asked' and asked.at > now() - interval '${days} days'
  and not exists (
    select from admiral.orders as gone where gone.order_id = asked.order_id and gone.event in ('sent', 'expired')
  )`

/** Until when its approvals hold, epoch seconds; null where they never sufficed. */
const until = `(
    select max((signed.content -> 'complete' ->> 'until')::float8) from admiral.orders as signed
    where signed.order_id = asked.order_id and signed.event = 'approved'
  )`

const preview = `preview.preview_id, server.server_id, preview.target, preview.author, ${millis("preview.asked_at")} as asked,
  ${epoch("now() - preview.asked_at")} * 1000 as age, preview.sent_at is not null as is_sent, preview.answer`

/** The statements by name, as `docs/sql` has them. */
export const actingStatements = {
  NOW: `select ${millis("now()")} as now`,

  /** One after the other, of each server. */
  LOCK: `select pg_advisory_xact_lock($1::int4, ${idOf("$2")})`,

  HEARD: `insert into admiral.hands as hands (server_id, said) values (${idOf("$1")}, $2::json)
on conflict (server_id) do update set heard_at = now(), said = excluded.said
where hands.heard_at < now() - interval '10 seconds' or hands.said::text <> excluded.said::text`,

  HANDS: `select ${millis("hands.heard_at")} as heard, ${epoch("now() - hands.heard_at")} * 1000 as age, hands.said
from admiral.hands as hands where hands.server_id = ${idOf("$1")}`,

  COUNT_PREVIEWS: `select (count(*) filter (where preview.server_id = ${idOf("$1")}))::int4 as server,
  (count(*) filter (where preview.author = $2::text))::int4 as author
from admiral.previews as preview where preview.asked_at > now() - interval '${PREVIEWS_KEPT_MINUTES} minutes'`,

  ADD_PREVIEW: `insert into admiral.previews (preview_id, server_id, target, author)
values ($1::text, ${idOf("$2")}, $3::json, $4::text)`,

  PREVIEW: `select ${preview} from admiral.previews as preview
join admiral.servers as server on server.id = preview.server_id where preview.preview_id = $1::text`,

  TAKE_PREVIEWS: `update admiral.previews as preview set sent_at = now() where preview.preview_id in (
  select waiting.preview_id from admiral.previews as waiting
  where waiting.server_id = ${idOf("$1")} and waiting.sent_at is null
    and waiting.asked_at > now() - interval '${PREVIEW_SECONDS} seconds'
  order by waiting.asked_at limit 4 for update skip locked
) and preview.sent_at is null returning preview.preview_id, preview.target`,

  /** The first answer counts, of whoever was asked, while somebody waits for it. */
  ANSWER: `update admiral.previews as preview set answered_at = now(), answer = $3::json
where preview.preview_id = $2::text and preview.server_id = ${idOf("$1")} and preview.sent_at is not null and preview.answered_at is null
  and preview.asked_at > now() - interval '${PREVIEW_SECONDS} seconds'`,

  PRUNE: `delete from admiral.previews as preview where preview.asked_at < now() - interval '${PREVIEWS_KEPT_MINUTES} minutes'`,

  COUNT_ORDERS: `select (count(*) filter (where asked.server_id = ${idOf("$1")}))::int4 as server,
  (count(*) filter (where asked.author = $2::text))::int4 as author
from admiral.orders as asked where asked.event = 'asked' and asked.at > now() - interval '1 day'`,

  COUNT_OUTCOMES: `select count(*)::int4 as told,
  (count(*) filter (where event.order_id like 'unknown %'))::int4 as strange,
  exists (
    select from admiral.orders as known
    where known.server_id = ${idOf("$1")} and known.content ->> 'id' = $2::text and known.event in ${RESULTS}
  ) as known
from admiral.orders as event
where event.server_id = ${idOf("$1")} and event.at > now() - interval '1 day' and event.event in ${RESULTS}`,

  ADD: `insert into admiral.orders (order_id, server_id, event, author, address, content)
values ($1::text, ${idOf("$2")}, $3::text, $4::text, $5::text, $6::json)
on conflict do nothing returning id::text as id`,

  EVENTS: `select event.order_id, server.name as server_name, event.event, ${millis("event.at")} as at, event.author, event.content
from admiral.orders as event join admiral.servers as server on server.id = event.server_id
where event.order_id in (select value from json_array_elements_text($1::json)) order by event.id`,

  LIST: `select asked.id::text as id, asked.order_id from admiral.orders as asked
where asked.event = 'asked' and ($1::text is null or asked.server_id = ${idOf("$1")}) and asked.id < $2::float8::int8
order by asked.id desc limit $3::int4`,

  /** A host may tell late: its word for when it was is looked at afterwards. */
  ACTS: `select told.order_id from admiral.orders as told
where told.server_id = ${idOf("$1")} and told.event in ('done', 'failed', 'interrupted')
  and told.at > ${moment("$2::float8")} and told.at <= ${moment("$3::float8")} + interval '7 days'
  and exists (select from admiral.orders as asked where asked.order_id = told.order_id and asked.event = 'asked')
group by told.order_id order by max(told.at) desc limit 1000`,

  /** The servers for which something waits. */
  WAITING: `select server.server_id from admiral.servers as server where server.id in (
  select preview.server_id from admiral.previews as preview
  where preview.sent_at is null and preview.asked_at > now() - interval '${PREVIEW_SECONDS} seconds'
  union all
  select asked.server_id from admiral.orders as asked where ${isOpen(1)} and ${until} > ${epoch("now()")}
)`,

  /** As sent, each once: of two who take at once, one finds the other's event. */
  TAKE_ORDERS: `with ready as (
  select asked.order_id, asked.server_id, asked.content -> 'order' as "order", signed.approvals
  from admiral.orders as asked
  cross join lateral (
    select signed.content -> 'complete' -> 'approvals' as approvals from admiral.orders as signed
    where signed.order_id = asked.order_id and signed.event = 'approved'
      and (signed.content -> 'complete' ->> 'until')::float8 > ${epoch("now()")}
    order by signed.id desc limit 1
  ) as signed
  where asked.server_id = ${idOf("$1")} and ${isOpen(1)}
  order by asked.id limit 8
), handed as (
  insert into admiral.orders (order_id, server_id, event, author, content)
  select ready.order_id, ready.server_id, 'sent', $2::text, json_build_object('approvals', ready.approvals) from ready
  on conflict do nothing returning order_id
)
select ready."order", ready.approvals from ready join handed on handed.order_id = ready.order_id`,

  /** What was not sent in time: before the first of its approvals expired, or before there were enough. */
  EXPIRE: `with over as (
  select asked.order_id, asked.server_id, asked.content -> 'order' as "order" from admiral.orders as asked
  where ${isOpen(7)} and coalesce(${until}, ${epoch("asked.at")} + ${ORDER_MINUTES * 60}) <= ${epoch("now()")}
  limit 1000
), noted as (
  insert into admiral.orders (order_id, server_id, event, author, content)
  select over.order_id, over.server_id, 'expired', 'nodepulse', '{}' from over
  on conflict do nothing returning order_id
)
select noted.order_id, over."order" from noted join over on over.order_id = noted.order_id`
}
