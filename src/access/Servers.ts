/**
 * The servers that report, and the tokens that let them, as ports.
 *
 * A token is shown once, when it is made; only its SHA-256 is stored (it is 256 random bits, so a slow hash would add
 * nothing), with its first characters to tell it by. A token of kind `agent` belongs to one server and writes for it only.
 * One of kind `enrolment` can be exchanged for such a token, and does nothing else. Every change is in the audit (`Audit.ts`).
 */
import { Context, type Effect, type Option, type Redacted, Schema } from "effect"
import type { DatabaseUnavailable } from "../sinks/storage/DatabaseUnavailable.ts"

export interface Server {
  readonly serverId: string
  readonly name: string
  /** Epoch milliseconds. */
  readonly createdAt: number
}

/** What people and programs may do that read: see, run the fleet, administer. Each may do what those before it may. */
export const ROLES = ["read", "operator", "admin"] as const
export type Role = (typeof ROLES)[number]

/** `enrolment`: exchanged for an agent's token, and good for nothing else. */
export const TOKEN_KINDS = ["agent", "enrolment", ...ROLES] as const
export type TokenKind = (typeof TOKEN_KINDS)[number]

export type Principal =
  | { readonly kind: "agent"; readonly tokenId: string; readonly serverId: string }
  | { readonly kind: "enrolment"; readonly tokenId: string }
  | { readonly kind: Role; readonly tokenId: string }

export interface TokenInfo {
  readonly tokenId: string
  readonly kind: TokenKind
  /** The first characters, to tell it by. */
  readonly prefix: string
  /** Of kind `agent`, and of kind `enrolment` where it is for one server only. */
  readonly serverId: string | null
  readonly note: string
  /** Who made it, as the audit calls them. */
  readonly createdBy: string
  /** Epoch milliseconds, as all of these. */
  readonly createdAt: number
  readonly expiresAt: number | null
  /** To within some minutes; null: never. */
  readonly usedAt: number | null
  readonly revokedAt: number | null
  /** Of kind `enrolment`: how many machines it still takes in; and from which networks, anywhere where there are none. */
  readonly usesLeft: number | null
  readonly networks: ReadonlyArray<string>
}

export type NewToken = {
  readonly note?: string
  /** For ever unless given. */
  readonly lastsMillis?: number
} & (
  | { readonly kind: "agent"; readonly serverId: string }
  | { readonly kind: Role }
  | {
      readonly kind: "enrolment"
      readonly uses: number
      readonly lastsMillis: number
      readonly networks: ReadonlyArray<string>
      readonly serverId?: string
    }
)

export interface MadeToken {
  readonly info: TokenInfo
  readonly token: Redacted.Redacted<string>
}

export class UnknownServer extends Schema.TaggedError<UnknownServer>()("UnknownServer", {
  serverId: Schema.String
}) {
  override get message(): string {
    return `there is no server "${this.serverId}"`
  }
}

export class UnknownToken extends Schema.TaggedError<UnknownToken>()("UnknownToken", { tokenId: Schema.String }) {
  override get message(): string {
    return `there is no token "${this.tokenId}"`
  }
}

/** There are as many servers as there may be. Not retryable: somebody has to raise the bound. */
export class ServersFull extends Schema.TaggedError<ServersFull>()("ServersFull", { most: Schema.Int }) {
  readonly retryable = false
  override get message(): string {
    return `there are ${this.most} servers already, as many as there may be`
  }
}

/** An enrolment token takes in nobody (any more), or not this machine. Which of these is not told to who asks. */
export class EnrolmentRefused extends Schema.TaggedError<EnrolmentRefused>()("EnrolmentRefused", {
  reason: Schema.String
}) {
  override get message(): string {
    return `this machine cannot be enrolled: ${this.reason}`
  }
}

export class Servers extends Context.Service<
  Servers,
  {
    /**
     * Adds a server and makes its first token. `serverId` is derived from the name (lower case, `[a-z0-9._-]`, at most
     * 64), with a number appended where it is taken: names need not be unique, ids are. With `most`, it is refused where
     * there are that many servers already, whoever else adds some at the same time.
     */
    readonly register: (
      name: string,
      most?: number
    ) => Effect.Effect<
      { readonly server: Server; readonly token: Redacted.Redacted<string> },
      ServersFull | DatabaseUnavailable
    >
    readonly list: Effect.Effect<ReadonlyArray<Server>, DatabaseUnavailable>
    readonly get: (serverId: string) => Effect.Effect<Server, UnknownServer | DatabaseUnavailable>
  }
>()("nodepulse/sinks/Servers") {}

export class Tokens extends Context.Service<
  Tokens,
  {
    readonly create: (options: NewToken) => Effect.Effect<MadeToken, UnknownServer | DatabaseUnavailable>
    readonly list: Effect.Effect<ReadonlyArray<TokenInfo>, DatabaseUnavailable>
    readonly revoke: (tokenId: string) => Effect.Effect<void, UnknownToken | DatabaseUnavailable>
    readonly get: (tokenId: string) => Effect.Effect<TokenInfo, UnknownToken | DatabaseUnavailable>
    /**
     * Makes a token in the place of another, for the same; the other one is good for `overlapMillis` more, so that whoever uses
     * it can change over in peace.
     */
    readonly rotate: (
      tokenId: string,
      overlapMillis: number
    ) => Effect.Effect<MadeToken, UnknownToken | DatabaseUnavailable>
    /**
     * Exchanges an enrolment token for that of a machine's agent, with a new server unless the token names one; of those there
     * are never more than `serversMax`. An exchange that is refused uses nothing up.
     */
    readonly exchange: (
      token: Redacted.Redacted<string>,
      machine: { readonly name: string; readonly address: string | null },
      serversMax: number
    ) => Effect.Effect<
      { readonly server: Server; readonly token: Redacted.Redacted<string> },
      EnrolmentRefused | ServersFull | DatabaseUnavailable
    >
    /** Whether it was good when it was last asked about, not long ago: whoever has it guesses nothing. Asks nobody. */
    readonly isKnown: (token: Redacted.Redacted<string>) => boolean
    /** Who a token speaks for; none where it is unknown, revoked or expired. Remembered for a few seconds: a revocation takes as long. */
    readonly verify: (token: Redacted.Redacted<string>) => Effect.Effect<Option.Option<Principal>, DatabaseUnavailable>
  }
>()("nodepulse/sinks/Tokens") {}
