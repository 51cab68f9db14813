/**
 * An entry of the audit as a sentence: "token np_agent_AbCd… for web-1 revoked by admin from 10.0.0.7". Pure.
 *
 * An action that is not known here still makes one. Names come from outside, and are told apart from the sentence's own words.
 */
import type { Answer } from "../ask/Api.ts"
import { legible } from "../parts/Legible.ts"
import { ROLE_WORDS, SIGN_IN_WORDS } from "./Words.ts"

/** More than any entry holds (`src/access/AuditPostgres.ts`), as escapes are counted. */
export const DETAIL_MAX = 5_000

export type Entry = Answer<"audit.list">["entries"][number]

/** Words of the sentence, and names of others in it. */
export type Part = string | { readonly name: string }

export interface Sentence {
  readonly parts: ReadonlyArray<Part>
  /** What else there is to know; empty where that is nothing. */
  readonly more: string
}

const VERBS: Readonly<Record<string, string>> = {
  register: "added",
  ask: "asked for a recording",
  create: "made",
  change: "changed",
  update: "changed",
  save: "saved",
  retire: "retired",
  remove: "removed",
  delete: "removed",
  revoke: "revoked",
  rotate: "rotated",
  exchange: "exchanged",
  replay: "replayed",
  end: "ended",
  acknowledge: "acknowledged",
  preview: "previewed",
  order: "given",
  approve: "signed",
  send: "sent",
  test: "tested",
  drop: "dropped"
}

export const sentenceOf = (entry: Entry): Sentence => {
  const { action, author, detail, subject } = entry
  const from = entry.address === null ? [] : [" from ", { name: entry.address }]
  const by = [" by ", { name: author }, ...from]
  switch (action) {
    case "session.open":
      return signedIn(entry, from)
    case "session.close":
      return { parts: [{ name: author }, " signed out", ...from], more: detail === author ? "" : detail }
    case "session.revoke":
      return { parts: ["a session of ", { name: detail }, " ended", ...by], more: "" }
    case "session.revoke-all":
      return {
        parts: ["all sessions of ", { name: withoutPrefix(subject, "sessions of ") }, " ended", ...by],
        more: detail === "1" ? "1 session" : `${detail} sessions`
      }
    case "session.refuse":
      return {
        parts: [subject, " refused", ...(author === "somebody" ? [] : [" to ", { name: author }]), ...from],
        more: detail
      }
    default: {
      const verb = action.slice(action.lastIndexOf(".") + 1)
      const { more, parts } = action.startsWith("token.") ? tokenOf(subject, detail) : subjectOf(subject, detail)
      const said = action === "link.create" ? `as ${of(ROLE_WORDS, detail)}` : more
      return { parts: [...parts, ` ${of(VERBS, verb)}`, ...by], more: said }
    }
  }
}

/** "oidc:8f31 (ada@example.org) signed in from 10.0.0.7", and as what, by which way. */
const signedIn = ({ author, detail }: Entry, from: ReadonlyArray<Part>): Sentence => {
  const told = /, ([a-z]+), by ([a-z]+)$/.exec(detail)
  const [all, role = "", via = ""] = told ?? [""]
  const name = told === null ? author : detail.slice(0, -all.length)
  const more = told === null ? detail : `as ${of(ROLE_WORDS, role)}, by ${of(SIGN_IN_WORDS, via)}`
  return { parts: [{ name }, " signed in", ...from], more }
}

const of = (words: Readonly<Record<string, string>>, key: string): string =>
  (Object.hasOwn(words, key) ? words[key] : undefined) ?? key

/** As one text, for what has no marks of its own. */
export const textOf = ({ parts }: Sentence): string =>
  parts.map((part) => (typeof part === "string" ? part : legible(part.name))).join("")

const withoutPrefix = (text: string, prefix: string): string =>
  text.startsWith(prefix) ? text.slice(prefix.length) : text

/** "server web-1": the kind of thing in our words, and its name. */
const subjectOf = (subject: string, detail: string): Sentence => {
  const kind =
    /^(server|note|token|session|rule|grouping|silence|maintenance|alert|receiver|order|sign-in link for) /.exec(
      subject
    )?.[0]
  if (kind === undefined) return { parts: [{ name: subject }], more: detail }
  return { parts: [kind, { name: subject.slice(kind.length) }], more: detail }
}

/** A token by its first characters and its server, which say more than its number. */
const tokenOf = (subject: string, detail: string): Sentence => {
  const told = /^([a-z]+) (np_[a-z]+_[\w-]{4}…)(?:, for server ([a-z0-9._-]{1,64}))?/.exec(detail)
  if (told === null) return subjectOf(subject, detail)
  const [all, kind = "", prefix = "", server] = told
  return {
    parts: ["token ", { name: prefix }, ...(server === undefined ? [] : [" for ", { name: server }])],
    more: `${subject}, ${kind}${detail.slice(all.length)}`
  }
}
