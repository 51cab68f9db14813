/**
 * The servers that report, and the tokens that let them, as ports.
 *
 * A token is shown once, when it is made; only its SHA-256 is stored (it is 256 random bits, so a slow hash would add
 * nothing). A token of kind `agent` belongs to one server and writes for it only.
 */
import { Context, type Effect, type Option, type Redacted, Schema } from "effect"
import type { RowsUnavailable } from "./SnapshotRows.ts"

export interface Server {
  readonly serverId: string
  readonly name: string
  /** Epoch milliseconds. */
  readonly createdAt: number
}

export type Principal =
  | { readonly kind: "agent"; readonly tokenId: string; readonly serverId: string }
  | { readonly kind: "read"; readonly tokenId: string }
  | { readonly kind: "admin"; readonly tokenId: string }

export interface TokenInfo {
  readonly tokenId: string
  readonly kind: Principal["kind"]
  /** Only for kind `agent`. */
  readonly serverId: string | null
  readonly note: string
  readonly createdAt: number
  readonly revokedAt: number | null
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

export class Servers extends Context.Service<
  Servers,
  {
    /**
     * Adds a server and makes its first token. `serverId` is derived from the name (lower case, `[a-z0-9._-]`, at most
     * 64), with a number appended where it is taken: names need not be unique, ids are.
     */
    readonly register: (
      name: string
    ) => Effect.Effect<{ readonly server: Server; readonly token: Redacted.Redacted<string> }, RowsUnavailable>
    readonly list: Effect.Effect<ReadonlyArray<Server>, RowsUnavailable>
    readonly get: (serverId: string) => Effect.Effect<Server, UnknownServer | RowsUnavailable>
  }
>()("nodepulse/sinks/Servers") {}

export class Tokens extends Context.Service<
  Tokens,
  {
    readonly create: (
      options:
        | { readonly kind: "agent"; readonly serverId: string; readonly note?: string }
        | { readonly kind: "read" | "admin"; readonly note?: string }
    ) => Effect.Effect<
      { readonly info: TokenInfo; readonly token: Redacted.Redacted<string> },
      UnknownServer | RowsUnavailable
    >
    readonly list: Effect.Effect<ReadonlyArray<TokenInfo>, RowsUnavailable>
    readonly revoke: (tokenId: string) => Effect.Effect<void, UnknownToken | RowsUnavailable>
    /** Who a token speaks for; none where it is unknown or revoked. Cached for a few seconds, so a revocation takes as long. */
    readonly verify: (token: Redacted.Redacted<string>) => Effect.Effect<Option.Option<Principal>, RowsUnavailable>
  }
>()("nodepulse/sinks/Tokens") {}
