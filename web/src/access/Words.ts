/** What kinds, roles and ways to sign in are called on the page. */
import type { Answer } from "../ask/Api.ts"
import type { Role } from "../ask/WhoContext.ts"

export type Token = Answer<"tokens.list">["tokens"][number]
export type Session = Answer<"sessions.list">["sessions"][number]

export const ROLE_WORDS: Readonly<Record<Role, string>> = {
  read: "a reader",
  operator: "an operator",
  admin: "an administrator"
}

export const KIND_WORDS: Readonly<Record<Token["kind"], string>> = {
  agent: "Agent",
  enrolment: "Enrolment",
  read: "Reader",
  operator: "Operator",
  admin: "Administrator"
}

export const KIND_MEANINGS: Readonly<Record<Token["kind"], string>> = {
  agent: "Sends data for one server, and does nothing else.",
  enrolment: "A new machine exchanges it for a token of its own: for many machines at once.",
  read: "Sees everything but tokens and the audit.",
  operator: "The same; adds servers, notes what happened, and has to do with the tokens of agents and enrolment.",
  admin: "Everything."
}

export const SIGN_IN_WORDS: Readonly<Record<Session["signed_in_by"], string>> = {
  link: "one-time link",
  token: "token",
  provider: "identity provider"
}

/** How long something lasts; seconds. */
export const LIVES = [
  [3_600, "1 hour"],
  [86_400, "1 day"],
  [7 * 86_400, "7 days"],
  [30 * 86_400, "30 days"],
  [90 * 86_400, "90 days"],
  [365 * 86_400, "1 year"]
] as const
