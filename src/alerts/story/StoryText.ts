/**
 * An alert as a person reads it first: plain text, for a phone. Pure.
 *
 * Guarantee: at most {@link LINES_MAX} lines, and but for the first one and the link they are short enough for a phone unless a name is
 * long. What comes from outside (names, notes) is on one line and holds no control characters.
 */
import { clipped, printable } from "../../protocol/PrintableText.ts"
import type { Alert } from "../Alerts.ts"
import type { AlertStory, StoryLine, StoryTop } from "./Story.ts"

const LINES_MAX = 25
const TOPS_MAX = 5
const RESTARTS_MAX = 3
const HAPPENED_MAX = 6
const NAME_MAX = 24
const NOTE_MAX = 120

/** `publicUrl`: where people reach NodePulse; undefined where it is not told, and then there is no link. */
export const storyText = (story: AlertStory, publicUrl: string | undefined): string => {
  const lines = [
    headline(story.alert),
    ...aboutText(story.alert),
    ...groupsText(story),
    ...pressureText(story),
    ...happenedText(story)
  ]
  const link = publicUrl === undefined ? [] : [`${publicUrl.replace(/\/$/, "")}${story.link}`]
  return [...lines.slice(0, LINES_MAX - link.length), ...link].join("\n")
}

const headline = ({ asked, sentence, value }: Alert): string =>
  `${printable(sentence)}${value === null ? "" : ` (${numberText(value)}${asked.unit === "" ? "" : ` ${asked.unit}`})`}`

const aboutText = ({ firedAt, group, isUnknown, resolvedAt, serverId, severity }: Alert): ReadonlyArray<string> => {
  const who = [group === "" ? "" : name(group), serverId === null ? "NodePulse itself" : serverId]
  const lines = [
    `${severity}: ${who.filter((part) => part !== "").join(" on ")}`,
    `fired ${dayText(firedAt)} ${clockText(firedAt)} UTC`
  ]
  if (resolvedAt !== null) lines.push(`over ${clockText(resolvedAt)}, after ${lengthText(resolvedAt - firedAt)}`)
  else if (isUnknown) lines.push("nobody knows whether it still holds")
  return lines
}

const groupsText = ({
  other,
  partial,
  ranked,
  split,
  tops,
  unaccounted,
  window
}: AlertStory): ReadonlyArray<string> => {
  if (ranked === null || tops.length === 0) return []
  const shown = tops.slice(0, TOPS_MAX)
  const subject = tops.find((top) => top.isSubject)
  const first = subject === undefined || shown.includes(subject) ? shown : [...shown.slice(0, TOPS_MAX - 1), subject]
  const rest = tops.filter((top) => !first.includes(top))
  const lines = [
    "",
    `${ranked.metric}, ${unitText(ranked.unit)}: ${clockText(window.from)}-${clockText(split)} → ${clockText(split)}-${clockText(window.to)}`,
    ...first.map((top) => `${name(top.group)} ${changeText(top)}${lifeText(top)}`)
  ]
  if (other !== null && other.groups + rest.length > 0) {
    const all = sumOf([other, ...rest])
    lines.push(`${other.groups + rest.length} others ${changeText(all)}`)
  }
  if (unaccounted !== null) lines.push(`unaccounted ${changeText(unaccounted)}`)
  if (partial) lines.push("(not all of it was seen)")
  return lines
}

const pressureText = ({ pressure }: AlertStory): ReadonlyArray<string> =>
  pressure
    .filter(({ after, before }) => after >= 1 || before >= 1)
    .map((line) => `${line.what} pressure % ${changeText(line)}`)

const happenedText = ({ events, notes, restarts }: AlertStory): ReadonlyArray<string> => {
  const told = [
    ...events.map((event) => {
      const { at, bySeconds, exporter, kind, until } = event
      if (kind === "clock") return { at, text: `clock set by ${numberText(bySeconds ?? 0)} s` }
      if (kind === "outage")
        return { at, text: `${exporter} silent${until === null ? "" : ` until ${clockText(until)}`}` }
      return { at, text: kind === "reboot" ? "machine restarted" : `${exporter} restarted` }
    }),
    ...notes.map(({ at, author, text }) => ({ at, text: `${clipped(text, NOTE_MAX)} (${name(author)})` }))
  ]
    .sort((a, b) => a.at - b.at)
    .slice(-HAPPENED_MAX)
    .map(({ at, text }) => `${clockText(at)} ${text}`)
  const more = restarts.length > RESTARTS_MAX ? ` and ${restarts.length - RESTARTS_MAX} more` : ""
  const anew =
    restarts.length === 0 ? [] : [`restarted: ${restarts.slice(0, RESTARTS_MAX).map(name).join(", ")}${more}`]
  const all = [...anew, ...told]
  return all.length === 0 ? [] : ["", ...all]
}

const lifeText = ({ appeared, gone, restarted }: StoryTop): string =>
  appeared ? " new" : gone ? " gone" : restarted ? " restarted" : ""

const changeText = ({ after, before, difference }: StoryLine): string =>
  `${numberText(before)} → ${numberText(after)} (${difference > 0 ? "+" : ""}${numberText(difference)})`

const sumOf = (lines: ReadonlyArray<StoryLine>): StoryLine => {
  const sum = (side: keyof StoryLine) => lines.reduce((total, line) => total + line[side], 0)
  return { before: sum("before"), after: sum("after"), difference: sum("difference") }
}

const name = (text: string): string => clipped(text, NAME_MAX)

/** As a person reads it: three digits say enough. */
const numberText = (value: number): string => {
  const shown = Math.abs(value) >= 100 ? Math.round(value) : Number(value.toPrecision(2))
  return String(Math.abs(shown) < 0.01 ? 0 : shown)
}

const UNITS: Readonly<Record<string, string>> = { percent: "% of a core", mb: "MiB", mb_per_second: "MiB/s" }
const unitText = (unit: string): string => UNITS[unit] ?? unit

const iso = (at: number): string => new Date(at).toISOString()
const clockText = (at: number): string => iso(at).slice(11, 16)
const dayText = (at: number): string => iso(at).slice(0, 10)

const lengthText = (millis: number): string => {
  const minutes = Math.round(millis / 60_000)
  if (minutes < 1) return `${Math.round(millis / 1_000)} s`
  return minutes < 120 ? `${minutes} min` : `${Math.round(minutes / 6) / 10} h`
}
