/** What is known of the audit while it grows, and how it is taken elsewhere. Pure. */
import type { ActionFamily } from "../../../src/access/AuditActions.ts"
import type { Answer } from "../ask/Api.ts"
import { legible } from "../parts/Legible.ts"
import { escaped, quoted } from "../server/TakeAway.ts"
import { DETAIL_MAX, type Entry, sentenceOf, textOf } from "./AuditSentence.ts"

/** What can be looked for, as a person reads it. One that is missing here does not compile. */
export const KINDS: Readonly<Record<ActionFamily | "session.refuse", string>> = {
  token: "Tokens",
  server: "Servers",
  session: "Signing in and out",
  "session.refuse": "Sign-ins that failed",
  link: "Sign-in links",
  act: "Acts on hosts",
  note: "Notes",
  recording: "Recordings",
  grouping: "Rule sets",
  rule: "Rules for alerts",
  silence: "Silences and maintenance",
  alert: "Acknowledged alerts",
  notification: "Tests of receivers",
  "dead-letters": "Dead letters",
  "stream-key": "The stream's key"
}

export type Page = Answer<"audit.list">

/**
 * The newest page before what was read already. Where so much is new that the two no longer meet, only the newest: nothing is
 * left out between entries that are shown.
 */
export const joined = (newest: Page, read: Page | undefined): Page => {
  const last = read?.entries[0]
  if (read === undefined || last === undefined) return newest
  const fresh = newest.entries.filter(({ id }) => Number(id) > Number(last.id))
  const meets = fresh.length < newest.entries.length || newest.next === null
  return meets ? { entries: [...fresh, ...read.entries], next: read.next } : newest
}

const cut = (more: boolean): string => (more ? "; there are older ones" : "")

/** A list for an issue or a post-mortem, with the address that shows it again. */
export const markdownOf = ({ entries, next }: Page, address: string): string =>
  [
    `**Audit of NodePulse** · ${entries.length === 1 ? "1 entry" : `${entries.length} entries`}${cut(next !== null)} · <${address}>`,
    "",
    ...entries.map((entry) => {
      const sentence = sentenceOf(entry)
      const more = sentence.more === "" ? "" : ` (${escaped(legible(sentence.more, DETAIL_MAX))})`
      return `- ${entry.at} · ${escaped(textOf(sentence))}${more}`
    }),
    ""
  ].join("\n")

const FIELDS = ["id", "at", "author", "address", "action", "subject", "detail"] as const

/** The entries as they are stored, under the API's names of their fields. */
export const csvOf = ({ entries }: Page): string =>
  [FIELDS.join(","), ...entries.map((entry: Entry) => FIELDS.map((field) => quoted(entry[field] ?? "")).join(","))]
    .map((line) => `${line}\r\n`)
    .join("")
