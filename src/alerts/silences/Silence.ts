/**
 * Silences: which alerts nobody is told of, until when. Pure.
 *
 * A silenced alert fires, is listed and is stored as any other; only messages wait. A maintenance is a silence of whole servers
 * that is known before it begins.
 */
import type { Alert } from "../Alerts.ts"
import { matches, type Severity } from "../Rule.ts"

export const SILENCE_KINDS = ["silence", "maintenance"] as const
export type SilenceKind = (typeof SILENCE_KINDS)[number]

/** Which alerts a silence is about: all that are said hold. */
export interface SilenceMatchers {
  /** Patterns of names: `*` stands for any characters (`Rule.ts`). That of servers is matched by ids and names. */
  readonly rule: string
  readonly server: string
  readonly group: string
  /** Undefined: any. */
  readonly severity: Severity | undefined
}

export interface Silence extends SilenceMatchers {
  readonly id: string
  readonly kind: SilenceKind
  /** Epoch milliseconds: from the one on, before the other. */
  readonly from: number
  readonly until: number
  /** As the audit calls them. */
  readonly by: string
  readonly comment: string
}

/** What of an alert silences ask for. */
export type Silenceable = Pick<Alert, "rule" | "serverId" | "serverName" | "group" | "severity">

/** What NodePulse is called where it is what an alert is about. */
const ITSELF = "nodepulse"

/** Whether a silence is about an alert, whenever. */
const isAbout = ({ group, rule, server, severity }: SilenceMatchers, alert: Silenceable): boolean =>
  matches(rule, alert.rule) &&
  [alert.serverId, alert.serverName].some((name) => matches(server, name ?? ITSELF)) &&
  matches(group, alert.group) &&
  (severity === undefined || severity === alert.severity)

/** The silence that lasts longest of those that mute an alert at a moment, epoch milliseconds; undefined where it is told. */
export const silencedBy = (alert: Silenceable, silences: ReadonlyArray<Silence>, at: number): Silence | undefined => {
  let found: Silence | undefined
  for (const silence of silences) {
    if (silence.from > at || silence.until <= at || !isAbout(silence, alert)) continue
    if (found === undefined || silence.until > found.until) found = silence
  }
  return found
}

/** What a silence is about, as a phrase: "PostgreSQL is busy of postgres* on db-*, critical only". */
export const silenceText = ({ group, rule, server, severity }: SilenceMatchers): string => {
  const which = rule === "*" ? "any rule" : rule
  const whom = group === "*" ? "" : ` of ${group}`
  const where = server === "*" ? " on any server" : ` on ${server}`
  return `${which}${whom}${where}${severity === undefined ? "" : `, ${severity} only`}`
}
