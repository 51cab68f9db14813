/**
 * The page's sessions: a one-time link, or a token, is exchanged for a cookie.
 *
 * Guarantee: a link works once, and not after `LINK_LASTS`; a session ends after `SESSION_LASTS`, when it is closed, or
 * with the token that it was opened with. Codes and session keys are 256 random bits; only their SHA-256 is kept, in
 * memory, so that a restart signs everyone out. Bound: `SESSIONS_MAX` and `LINKS_MAX`, the oldest gives way.
 */
import { createHash, randomBytes } from "node:crypto"
import { Clock, Context, Duration, Effect, Layer, Redacted } from "effect"
import type { Reader } from "./Access.ts"

export const SESSION_LASTS = Duration.days(7)
export const LINK_LASTS = Duration.hours(1)
const SESSIONS_MAX = 1_000
const LINKS_MAX = 100

/** Who a session is: an administrator by a link, or whoever the token speaks for, as long as it does. */
export type SessionOwner =
  | { readonly kind: "admin" }
  | { readonly kind: Reader["kind"]; readonly token: Redacted.Redacted<string> }

export class Session extends Context.Service<
  Session,
  {
    /** A fresh one-time link, as a path: `/signin?code=…`, to be shown to the administrator only. */
    readonly newLink: Effect.Effect<string>
    /** The key of a new session for the code of a link; undefined where the code is unknown, used or expired. */
    readonly openWithCode: (code: string) => Effect.Effect<Redacted.Redacted<string> | undefined>
    readonly openWithToken: (
      kind: Reader["kind"],
      token: Redacted.Redacted<string>
    ) => Effect.Effect<Redacted.Redacted<string>>
    /** Whose session it is; undefined where it is unknown or has ended. */
    readonly find: (key: string) => Effect.Effect<SessionOwner | undefined>
    readonly close: (key: string) => Effect.Effect<void>
  }
>()("nodepulse/http/Session") {
  static readonly layer: Layer.Layer<Session> = Layer.sync(Session, () => {
    const links = makeExpiring<true>(LINKS_MAX, Duration.toMillis(LINK_LASTS))
    const sessions = makeExpiring<SessionOwner>(SESSIONS_MAX, Duration.toMillis(SESSION_LASTS))
    const open = (owner: SessionOwner) =>
      Effect.map(Clock.currentTimeMillis, (now) => Redacted.make(sessions.add(owner, now)))
    return Session.of({
      newLink: Effect.map(Clock.currentTimeMillis, (now) => `/signin?code=${links.add(true, now)}`),
      openWithCode: (code) =>
        Effect.flatMap(Clock.currentTimeMillis, (now) =>
          links.take(code, now) === undefined ? Effect.succeed(undefined) : open({ kind: "admin" })
        ),
      openWithToken: (kind, token) => open({ kind, token }),
      find: (key) => Effect.map(Clock.currentTimeMillis, (now) => sessions.get(key, now)),
      close: (key) => Effect.map(Clock.currentTimeMillis, (now) => void sessions.take(key, now))
    })
  })
}

const hash = (secret: string) => createHash("sha256").update(secret).digest("base64url")

/** Values by the hash of a secret, each for the same time: the first of the map is the oldest. */
const makeExpiring = <A>(max: number, lastsMillis: number) => {
  const entries = new Map<string, { readonly value: A; readonly until: number }>()
  const prune = (now: number) => {
    for (const [key, { until }] of entries) {
      if (until > now && entries.size < max) return
      entries.delete(key)
    }
  }
  const get = (secret: string, now: number): A | undefined => {
    const entry = entries.get(hash(secret))
    return entry === undefined || entry.until <= now ? undefined : entry.value
  }
  return {
    get,
    add: (value: A, now: number): string => {
      prune(now)
      const secret = randomBytes(32).toString("base64url")
      entries.set(hash(secret), { value, until: now + lastsMillis })
      return secret
    },
    take: (secret: string, now: number): A | undefined => {
      const value = get(secret, now)
      entries.delete(hash(secret))
      return value
    }
  }
}
