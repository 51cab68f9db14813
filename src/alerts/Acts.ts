/**
 * Acts, told as alerts are: what a host says of an order is an alert of the rule {@link ACT_RULE}, over in the moment in which it fires. So
 * routes, receivers, silences, the outbox and the story of an alert are those of all others, and the rule is no rule of any file.
 *
 * An order that waits for a second person is one that fires while it waits, of the resource {@link SIGNATURE_RESOURCE}. Whoever is told of it
 * has minutes: it waits {@link SIGNATURE_WAIT_MILLIS} at most to be told, is told once, and not at all once it was signed or is over.
 */
import type { Severity } from "./Rule.ts"

/** What routes and silences match. */
const ACT_RULE = "Act"
/** Where others have what a rule is about. */
const ACT_RESOURCE = "acts"
/** The same of an order that waits for a second person. */
export const SIGNATURE_RESOURCE = "signatures"
/** Two who sit together sign within it: then nobody else needs to know. */
export const SIGNATURE_WAIT_MILLIS = 10_000

export const isOfActs = (resource: string): boolean => resource === ACT_RESOURCE || resource === SIGNATURE_RESOURCE

/** How bad each is; `foreign`: a host has an order that this server never sent. */
export const ACT_SEVERITY: Readonly<Record<"done" | "failed" | "refused" | "interrupted" | "foreign", Severity>> = {
  done: "info",
  failed: "warning",
  refused: "warning",
  interrupted: "warning",
  foreign: "critical"
}

/** In the transaction in which it is noted. $1: the server, $2: what was done to what, $3: what is told, $4: the severity. */
const TELL = `insert into admiral.alerts (rule, server_id, alert_group, sentence, severity, asked, fired_at, resolved_at)
select '${ACT_RULE}', server.id, $2::text, $3::text, $4::text,
  '{"resource": "${ACT_RESOURCE}", "metric": null, "unit": "", "span": 300000}', now(), now()
from admiral.servers as server where server.server_id = $1::text`

/** Before another is told in the same words, $2, of the same server, $1: of two that wait the latest is told. */
const WAITS_IN_ITS_PLACE = `update admiral.alerts as alert set resolved_at = now() from admiral.servers as server
where server.server_id = $1::text and alert.server_id = server.id and alert.rule = '${ACT_RULE}' and alert.alert_group = $2::text
  and alert.resolved_at is null`

/** That an order waits for a second person. $1: the server, $2: what is to be done to what, $3: what is told, $4: the order. */
const WAITS = `insert into admiral.alerts (rule, server_id, alert_group, sentence, severity, asked, fired_at)
select '${ACT_RULE}', server.id, $2::text, $3::text, 'warning',
  jsonb_build_object('resource', '${SIGNATURE_RESOURCE}', 'metric', null, 'unit', '', 'span', 300000, 'order_id', $4::text), now()
from admiral.servers as server where server.server_id = $1::text`

/** That orders do not wait any more: their ids, as JSON. */
const WAITS_NO_MORE = `update admiral.alerts as alert set resolved_at = now()
where alert.resolved_at is null and alert.rule = '${ACT_RULE}'
  and alert.asked ->> 'order_id' in (select value from json_array_elements_text($1::json))`

/** The statements by name, as `docs/sql` has them. */
export const actAlertStatements = { TELL, WAITS_IN_ITS_PLACE, WAITS, WAITS_NO_MORE }
