/**
 * Acts, told as alerts are: what a host says of an order is an alert of the rule {@link ACT_RULE}, over in the moment in which it fires. So
 * routes, receivers, silences, the outbox and the story of an alert are those of all others, and the rule is no rule of any file.
 */
import type { Severity } from "./Rule.ts"

/** What routes and silences match. */
const ACT_RULE = "Act"
/** Where others have what a rule is about. */
export const ACT_RESOURCE = "acts"

/** How bad each is; `foreign`: a host has an order that this server never sent. */
export const ACT_SEVERITY: Readonly<Record<"done" | "failed" | "refused" | "interrupted" | "foreign", Severity>> = {
  done: "info",
  failed: "warning",
  refused: "warning",
  interrupted: "warning",
  foreign: "critical"
}

/** In the transaction in which it is noted. $1: the server, $2: what was done to what, $3: what is told, $4: the severity. */
export const TELL_ACT = `insert into admiral.alerts (rule, server_id, alert_group, sentence, severity, asked, fired_at, resolved_at)
select '${ACT_RULE}', server.id, $2::text, $3::text, $4::text,
  '{"resource": "${ACT_RESOURCE}", "metric": null, "unit": "", "span": 300000}', now(), now()
from admiral.servers as server where server.server_id = $1::text`
