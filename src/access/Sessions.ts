/**
 * Who is signed in on the page: a one-time link, a token, or an identity provider is exchanged for a cookie.
 *
 * Guarantee: a link works once, and not after `LINK_LASTS`; a session ends after `SESSION_LASTS`, when it is closed or
 * revoked, or with the token that it was opened with. Codes and cookies are 256 random bits; only their SHA-256 is kept, in a
 * store that all processes share: a session is good on each of them, survives restarts, and is ended on each within seconds.
 * The configured admin token is in no store: its session holds a proof of it (`AdminToken.ts`).
 *
 * Whoever is signed out everywhere loses all sessions and the links that nobody has opened yet.
 *
 * Bound: `SESSIONS_MAX` and `LINKS_MAX` for each principal, whose own oldest gives way: who signs in a thousand times signs
 * nobody else out.
 */
import { randomBytes } from "node:crypto"
import { Clock, Context, Duration, Effect, Layer, Option, Redacted, Schema } from "effect"
import type { DatabaseUnavailable } from "../sinks/storage/DatabaseUnavailable.ts"
import { CurrentAuthor } from "./Audit.ts"
import { hashOf, makeRemembered } from "./Remembered.ts"
import type { Role } from "./Servers.ts"

export const SESSION_LASTS = Duration.days(7)
const LINK_LASTS = Duration.hours(1)
export const SESSIONS_MAX = 100
export const LINKS_MAX = 20

/** Whose session or link it is. */
export interface SignedIn {
  readonly role: Role
  /** `admin`, `token:12`, `oidc:…`; `link:Ada` of a link that was made for somebody else. */
  readonly principal: string
  /** What a person is called; empty where that is not known. */
  readonly name: string
  /** The token that it ends with; null: it was opened with something else. */
  readonly tokenId: string | null
}

/** What somebody signed in with. */
export type SignInBy = "link" | "token" | "provider"

/** Where a sign-in comes from, for the list. */
export interface From {
  readonly via: SignInBy
  readonly address: string | null
  readonly browser: string
}

export interface SessionInfo extends SignedIn, From {
  readonly sessionId: string
  /** Epoch milliseconds, as all of these. */
  readonly createdAt: number
  /** To within some minutes. */
  readonly usedAt: number
  readonly expiresAt: number
}

export interface NewSession extends SignedIn {
  readonly proof: Buffer | null
}

export interface StoredSession extends NewSession {
  readonly sessionId: string
  readonly expiresAt: number
}

export class UnknownSession extends Schema.TaggedError<UnknownSession>()("UnknownSession", {
  sessionId: Schema.String
}) {
  override get message(): string {
    return `there is no session "${this.sessionId}"`
  }
}

/** Where sessions and links are kept, by hashes. Nobody but `makeSessions` calls it. */
export interface SessionStore {
  readonly addLink: (sha256: Buffer, owner: SignedIn, lastsMillis: number) => Effect.Effect<void, DatabaseUnavailable>
  /** Takes the link away; whose it was, where it was there and had not expired. */
  readonly takeLink: (sha256: Buffer) => Effect.Effect<Option.Option<SignedIn>, DatabaseUnavailable>
  readonly add: (
    sha256: Buffer,
    session: NewSession,
    from: From,
    lastsMillis: number
  ) => Effect.Effect<void, DatabaseUnavailable>
  readonly find: (sha256: Buffer) => Effect.Effect<Option.Option<StoredSession>, DatabaseUnavailable>
  readonly close: (sha256: Buffer) => Effect.Effect<void, DatabaseUnavailable>
  readonly list: Effect.Effect<ReadonlyArray<SessionInfo>, DatabaseUnavailable>
  readonly revoke: (sessionId: string) => Effect.Effect<void, UnknownSession | DatabaseUnavailable>
  readonly revokeAll: (principal: string, role?: Role) => Effect.Effect<number, DatabaseUnavailable>
}

type Cookie = Redacted.Redacted<string>

export class Sessions extends Context.Service<
  Sessions,
  {
    /** The code of a fresh one-time link, to be shown to its owner only. */
    readonly newLink: (owner: SignedIn) => Effect.Effect<string, DatabaseUnavailable>
    /** The cookie of a new session for the code of a link; none where the code is unknown, used or expired. */
    readonly openWithCode: (code: string, from: From) => Effect.Effect<Option.Option<Cookie>, DatabaseUnavailable>
    /** `prove` makes what is kept with the session and given back by `find`, for the new cookie. */
    readonly open: (
      owner: SignedIn,
      from: From,
      prove?: (cookie: string) => Buffer
    ) => Effect.Effect<Cookie, DatabaseUnavailable>
    /** Whether it was a session's when it was last asked about, not long ago. Asks nobody. */
    readonly isKnown: (cookie: string) => boolean
    /** Whose session it is; none where it is unknown or has ended. */
    readonly find: (cookie: string) => Effect.Effect<Option.Option<StoredSession>, DatabaseUnavailable>
    readonly close: (cookie: string) => Effect.Effect<void, DatabaseUnavailable>
    readonly list: Effect.Effect<ReadonlyArray<SessionInfo>, DatabaseUnavailable>
    readonly revoke: (sessionId: string) => Effect.Effect<void, UnknownSession | DatabaseUnavailable>
    /** Ends all sessions and links of a principal, or those of one role; how many sessions there were. */
    readonly revokeAll: (principal: string, role?: Role) => Effect.Effect<number, DatabaseUnavailable>
  }
>()("nodepulse/access/Sessions") {
  /** For one process, without a database. */
  static readonly layerMemory: Layer.Layer<Sessions> = Layer.effect(
    Sessions,
    Effect.suspend(() => makeSessions(makeMemoryStore()))
  )
}

/** Where a link leads, below the base path. */
export const signInPath = (code: string): string => `/signin?code=${code}`

export const makeSessions = Effect.fnUntraced(function* (store: SessionStore) {
  const remembered = yield* makeRemembered("find a session", store.find)
  const newSecret = Effect.sync(() => randomBytes(32).toString("base64url"))

  const open: Sessions["Service"]["open"] = Effect.fn("Sessions.open")(function* (owner, from, prove) {
    const cookie = yield* newSecret
    const proof = prove?.(cookie) ?? null
    const added = store.add(hashOf(cookie), { ...owner, proof }, from, Duration.toMillis(SESSION_LASTS))
    yield* Effect.provideService(added, CurrentAuthor, { name: owner.principal, address: from.address })
    return Redacted.make(cookie)
  })

  return Sessions.of({
    newLink: Effect.fn("Sessions.newLink")(function* (owner) {
      const code = yield* newSecret
      yield* store.addLink(hashOf(code), owner, Duration.toMillis(LINK_LASTS))
      return code
    }),
    openWithCode: Effect.fn("Sessions.openWithCode")(function* (code, from) {
      const owner = yield* store.takeLink(hashOf(code))
      return Option.isNone(owner) ? Option.none() : Option.some(yield* open(owner.value, from))
    }),
    open,
    isKnown: remembered.isKnown,
    find: remembered.find,
    close: (cookie) => Effect.andThen(store.close(hashOf(cookie)), remembered.forget(cookie)),
    list: store.list,
    revoke: (sessionId) => Effect.andThen(store.revoke(sessionId), remembered.forgetAll),
    revokeAll: (principal, role) => Effect.tap(store.revokeAll(principal, role), () => remembered.forgetAll)
  })
})

/** The entry that a bound drops from a full list: the oldest of the same principal. */
const makeMemoryStore = (): SessionStore => {
  const links = new Map<string, { readonly owner: SignedIn; readonly expiresAt: number }>()
  const sessions = new Map<string, { readonly session: StoredSession; readonly info: SessionInfo }>()
  let made = 0
  const key = (sha256: Buffer) => sha256.toString("hex")
  const bounded = <A>(all: Map<string, A>, ownerOf: (each: A) => SignedIn, owner: SignedIn, max: number) => {
    const own = [...all].filter(([, each]) => ownerOf(each).principal === owner.principal)
    for (const [oldest] of own.slice(0, Math.max(0, own.length - max))) all.delete(oldest)
  }
  return {
    addLink: (sha256, owner, lastsMillis) =>
      Effect.map(Clock.currentTimeMillis, (now) => {
        links.set(key(sha256), { owner, expiresAt: now + lastsMillis })
        bounded(links, (link) => link.owner, owner, LINKS_MAX)
      }),
    takeLink: (sha256) =>
      Effect.map(Clock.currentTimeMillis, (now) => {
        const link = links.get(key(sha256))
        links.delete(key(sha256))
        return link === undefined || link.expiresAt <= now ? Option.none() : Option.some(link.owner)
      }),
    add: (sha256, added, from, lastsMillis) =>
      Effect.map(Clock.currentTimeMillis, (now) => {
        const sessionId = String(++made)
        const session = { ...added, sessionId, expiresAt: now + lastsMillis }
        const { name, principal, role, tokenId } = session
        const times = { createdAt: now, usedAt: now, expiresAt: session.expiresAt }
        sessions.set(key(sha256), { session, info: { sessionId, name, principal, role, tokenId, ...from, ...times } })
        bounded(sessions, (each) => each.session, session, SESSIONS_MAX)
      }),
    find: (sha256) =>
      Effect.sync(() => Option.map(Option.fromUndefinedOr(sessions.get(key(sha256))), (each) => each.session)),
    close: (sha256) => Effect.sync(() => void sessions.delete(key(sha256))),
    list: Effect.sync(() => [...sessions.values()].map(({ info }) => info)),
    revoke: (sessionId) =>
      Effect.suspend(() => {
        const found = [...sessions].find(([, { info }]) => info.sessionId === sessionId)
        if (found === undefined) return Effect.fail(new UnknownSession({ sessionId }))
        sessions.delete(found[0])
        return Effect.void
      }),
    revokeAll: (principal, role) =>
      Effect.sync(() => {
        const isOf = (owner: SignedIn) => owner.principal === principal && (role === undefined || owner.role === role)
        const own = [...sessions].filter(([, { session }]) => isOf(session))
        for (const [cookie] of own) sessions.delete(cookie)
        for (const [code, { owner }] of links) if (isOf(owner)) links.delete(code)
        return own.length
      })
  }
}
