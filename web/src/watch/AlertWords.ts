/** Alerts as they are told: who it is about, how much, and for how long. Pure. */
import type { Answer } from "../ask/Api.ts"
import { duration, number } from "../parts/Format.ts"

export type Alert = Answer<"alerts.list">["alerts"][number]

const SEVERITIES = ["critical", "warning", "info"]

/** The most severe first. */
export const severest = (alerts: ReadonlyArray<Pick<Alert, "severity">>): string | undefined =>
  SEVERITIES.find((severity) => alerts.some((alert) => alert.severity === severity))

export const fires = ({ resolved_at }: Pick<Alert, "resolved_at">): boolean => resolved_at === null

/** The value apart from what it is a part of, so that numbers stand below each other: "83 %" and "of the machine". */
export const valueParts = (alert: Pick<Alert, "unit" | "value">): readonly [string, string] | undefined => {
  if (alert.value === null) return undefined
  const [unit = "", ...rest] = alert.unit.split(" ")
  return [unit === "" ? number(alert.value) : `${number(alert.value)}\u202f${unit}`, rest.join(" ")]
}

/** The value that made it fire, in its unit; undefined where it has none. */
export const valueText = ({ unit, value }: Pick<Alert, "unit" | "value">): string | undefined =>
  value === null ? undefined : unit === "" ? number(value) : `${number(value)}\u202f${unit}`

/** Whether an address of somebody else can be a link: nothing that a browser would run. */
export const isWebAddress = (text: string): boolean => URL.canParse(text) && /^https?:$/.test(new URL(text).protocol)

/** How long it fired; of one that still does, until now. */
export const lastedText = ({ fired_at, resolved_at }: Pick<Alert, "fired_at" | "resolved_at">, now: number): string =>
  duration(((resolved_at === null ? now : Date.parse(resolved_at)) - Date.parse(fired_at)) / 1000)

/** The address of an alert's page. */
export const alertPath = (id: string): string => `/watch/alerts/${encodeURIComponent(id)}`
