/**
 * Messages: what somebody is told of one or more incidents, as data and as text. Pure.
 *
 * Text first: the first line is all that a phone's lock screen shows, so it says what, where and how bad. Guarantee: what comes
 * from outside (names of processes, servers and rules) is made printable, line by line, so that it can neither begin a
 * line of its own nor hide. What a receiver would take for markup is its own affair (`receivers/`).
 */
import { clipped, printableLines } from "../../protocol/PrintableText.ts"
import { isOfActs } from "../Acts.ts"
import type { Severity } from "../Rule.ts"
import type { NotificationKind } from "./Incidents.ts"
import type { ToldAlert } from "./ToldAlert.ts"

/** An alert with what is told beside it. */
export interface MessageAlert extends ToldAlert {
  readonly runbook: string | undefined
  readonly owners: ReadonlyArray<string>
  /** What it tells, as text of several lines whose first is the sentence; undefined where there is no story. */
  readonly story: string | undefined
  /** Its page; undefined where nobody told where NodePulse is reached. */
  readonly link: string | undefined
}

/** What is told of an incident. */
export interface MessageIncident {
  /** The same for all messages about it, and for no other incident of any installation. */
  readonly key: string
  readonly kind: NotificationKind
  readonly server: string
  readonly alerts: ReadonlyArray<MessageAlert>
}

export interface Message {
  /** The same where it is sent again, since nobody knows whether it came. */
  readonly id: string
  readonly route: string
  readonly incidents: ReadonlyArray<MessageIncident>
  readonly isTest: boolean
  /** Epoch milliseconds. */
  readonly at: number
}

const NAME_SHOWN_MAX = 80
const TITLE_MAX = 200
const STORY_MAX = 10_000
/** Alerts and incidents that are told one by one; how many more there are is told as a number. */
const ALERTS_SHOWN_MAX = 10
const INCIDENTS_SHOWN_MAX = 20

const RANK: Readonly<Record<Severity, number>> = { info: 0, warning: 1, critical: 2 }
const WORD: Readonly<Record<Severity, string>> = { info: "Info", warning: "Warning", critical: "Critical" }

/** The highest of a message's alerts. */
export const severityOf = (incidents: ReadonlyArray<MessageIncident>): Severity =>
  incidents
    .flatMap(({ alerts }) => alerts)
    .reduce<Severity>((most, { severity }) => (RANK[severity] > RANK[most] ? severity : most), "info")

/** Whether all that an incident tells is over. */
export const isOver = ({ alerts, kind }: MessageIncident): boolean =>
  kind === "resolved" ||
  (kind === "firing" && alerts.length > 0 && alerts.every(({ resolvedAt }) => resolvedAt !== null))

/** One line of at most 200 characters. */
export const titleOf = ({ incidents, isTest }: Pick<Message, "incidents" | "isTest">): string => {
  if (isTest) return "Test from NodePulse: this receiver works"
  const [only, ...more] = incidents
  if (only === undefined) return "NodePulse"
  if (more.length === 0) return clipped(titleOfIncident(only), TITLE_MAX)
  const servers = new Set(incidents.map(({ server }) => server)).size
  const over = incidents.filter(isOver).length
  const where = servers === 1 ? `on ${only.server}` : `on ${servers} servers`
  const ended = over === 0 ? "" : over === incidents.length ? ", all over" : `, ${over} over`
  return clipped(`${WORD[severityOf(incidents)]}: ${incidents.length} incidents ${where}${ended}`, TITLE_MAX)
}

/** One line: how bad, what, where. */
export const titleOfIncident = (incident: MessageIncident): string => {
  const { alerts, kind, server } = incident
  const [first] = alerts
  if (first === undefined) return clipped(server, TITLE_MAX)
  // Its sentence says what it is. That it is over as it happens says nothing.
  if (alerts.length === 1 && isOfActs(first.resource) && kind === "firing")
    return `${WORD[first.severity]}: ${clipped(first.sentence, NAME_SHOWN_MAX)} on ${whereOf(first)}`
  const what =
    alerts.length === 1
      ? `${name(first.rule)}${first.group === "" ? "" : `, ${name(first.group)}`} on ${whereOf(first)}`
      : `${alerts.length} alerts on ${whereOf(first)}: ${[...new Set(alerts.map(({ rule }) => name(rule)))].join(", ")}`
  const severity = WORD[severityOf([incident])]
  if (kind === "resolved") return `Over: ${what}`
  if (kind === "acknowledged") return `Acknowledged: ${what}`
  if (kind === "repeated") return `Still ${severity.toLowerCase()}: ${what}`
  return isOver(incident) ? `${severity}, over again: ${what}` : `${severity}: ${what}`
}

const name = (text: string): string => clipped(text, NAME_SHOWN_MAX)

const whereOf = ({ server, serverName }: ToldAlert): string =>
  name(serverName === "" || serverName === server ? server : `${serverName} (${server})`)

/** The lines below the title. */
export const bodyOf = ({ incidents, isTest }: Pick<Message, "incidents" | "isTest">): ReadonlyArray<string> => {
  if (isTest) return ["If you can read this, alerts will reach you here."]
  const [only] = incidents
  if (incidents.length === 1) return only!.alerts.length === 0 ? [] : linesOf(only!)
  return [
    ...incidents.slice(0, INCIDENTS_SHOWN_MAX).map((incident) => `- ${clipped(titleOfIncident(incident), TITLE_MAX)}`),
    ...moreOf(incidents.length - INCIDENTS_SHOWN_MAX)
  ]
}

const moreOf = (count: number): ReadonlyArray<string> => (count > 0 ? [`and ${count} more`] : [])

const linesOf = ({ alerts, kind }: MessageIncident): ReadonlyArray<string> => [
  ...alerts
    .slice(0, ALERTS_SHOWN_MAX)
    .flatMap((alert, index) => [
      ...(index === 0 ? [] : [""]),
      ...(alerts.length === 1 ? [] : [`${name(alert.rule)}${alert.group === "" ? "" : `, ${name(alert.group)}`}`]),
      ...(kind === "firing" || kind === "repeated" ? toldOf(alert) : endedOf(alert))
    ]),
  ...moreOf(alerts.length - ALERTS_SHOWN_MAX)
]

const toldOf = (alert: MessageAlert): ReadonlyArray<string> => {
  const { owners, runbook, story } = alert
  return [
    ...(story === undefined ? factsOf(alert) : printableLines(story.slice(0, STORY_MAX)).split("\n")),
    ...(runbook === undefined ? [] : [`Runbook: ${clipped(runbook, 500)}`]),
    ...(owners.length === 0 ? [] : [`Owners: ${owners.map(name).join(", ")}`])
  ]
}

const factsOf = (alert: MessageAlert): ReadonlyArray<string> => [
  clipped(alert.sentence, 500),
  ...(alert.value === null ? [] : [`Value: ${Number(alert.value.toPrecision(4))}`]),
  `Fired: ${momentText(alert.firedAt)}`,
  ...(alert.resolvedAt === null ? [] : [`Over: ${momentText(alert.resolvedAt)}`]),
  ...(alert.link === undefined ? [] : [alert.link])
]

const endedOf = ({ firedAt, isAcknowledged, link, resolvedAt }: MessageAlert): ReadonlyArray<string> => [
  resolvedAt === null
    ? `Fires since ${momentText(firedAt)}${isAcknowledged ? ", acknowledged" : ""}`
    : `Over after ${lasted(resolvedAt - firedAt)}: ${momentText(firedAt)} to ${momentText(resolvedAt)}`,
  ...(link === undefined ? [] : [link])
]

const momentText = (at: number): string => `${new Date(at).toISOString().slice(0, 19).replace("T", " ")} UTC`

const lasted = (millis: number): string => {
  const seconds = Math.round(millis / 1_000)
  if (seconds < 120) return `${seconds} s`
  return seconds < 7_200 ? `${Math.round(seconds / 60)} min` : `${Math.round(seconds / 360) / 10} h`
}

/** The whole text: at most so many characters, and cut at a line where it is longer. */
export const textOf = (lines: ReadonlyArray<string>, lengthMax: number): string => {
  const shown: Array<string> = []
  let length = 0
  for (const line of lines) {
    length += line.length + 1
    if (length > lengthMax - 2) return [...shown, "…"].join("\n")
    shown.push(line)
  }
  return shown.join("\n")
}

/** As programs read it: webhooks and commands get this. */
export const dataOf = ({ at, id, incidents, isTest, route }: Message) => ({
  id,
  test: isTest,
  sent_at: new Date(at).toISOString(),
  route,
  title: titleOf({ incidents, isTest }),
  text: [titleOf({ incidents, isTest }), "", ...bodyOf({ incidents, isTest })].join("\n"),
  incidents: incidents.map((incident) => ({
    key: incident.key,
    kind: incident.kind,
    over: isOver(incident),
    server_id: incident.server,
    severity: severityOf([incident]),
    alerts: incident.alerts.map((alert) => ({
      alert_id: alert.id,
      rule: alert.rule,
      sentence: alert.sentence,
      severity: alert.severity,
      server_id: alert.server,
      server_name: alert.serverName,
      group: alert.group,
      value: alert.value,
      fired_at: new Date(alert.firedAt).toISOString(),
      resolved_at: alert.resolvedAt === null ? null : new Date(alert.resolvedAt).toISOString(),
      acknowledged: alert.isAcknowledged,
      runbook: alert.runbook ?? null,
      owners: alert.owners,
      link: alert.link ?? null
    }))
  }))
})
