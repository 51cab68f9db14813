/** What the audit has entries of. It imports nothing, so that the page can bundle it. */
export const ACTIONS = [
  "server.register",
  "token.create",
  "token.revoke",
  "token.rotate",
  "token.exchange",
  "session.open",
  "session.close",
  "session.revoke",
  "session.revoke-all",
  "session.refuse",
  "link.create",
  "stream-key.rotate",
  "note.create",
  "note.remove",
  "dead-letters.replay",
  "dead-letters.drop",
  "grouping.save",
  "grouping.retire",
  "notification.test",
  "rule.save",
  "rule.remove",
  "silence.create",
  "silence.end",
  "alert.acknowledge",
  "recording.ask",
  "act.preview",
  "act.order",
  "act.approve",
  "act.send",
  "act.end"
] as const
export type Action = (typeof ACTIONS)[number]

type FamilyOf<A extends string> = A extends `${infer Family}.${string}` ? Family : never
/** What all of some are about: `token` of `token.create` and the like. */
export type ActionFamily = FamilyOf<Action>
