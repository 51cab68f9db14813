/**
 * Tokens, in PostgreSQL, as their SHA-256: what is compared is a hash of what was sent, by an index, so that time tells
 * nothing about the tokens that exist.
 *
 * `verify` remembers its answers, yes and no, for {@link REMEMBERED_FOR}: so long a revoked token may still work, and so seldom a
 * token that is in use costs a query. At most {@link REMEMBERED_MAX} answers.
 *
 * While the database is away, a token that it knew within the last {@link TRUSTED_FOR} is still good: what agents push then goes
 * on into the stream, which is there for exactly that. Nobody can be revoked meanwhile, since that is written to the same
 * database; only a server that alone cannot reach it may take a revoked token for so long.
 */
import { PgClient } from "@effect/sql-pg"
import { Cache, Clock, Duration, Effect, Exit, Layer, Option, Redacted, Result } from "effect"
import { answering, isStorableText } from "./Database.ts"
import { makeRecentMap } from "./RecentMap.ts"
import { type Principal, type TokenInfo, Tokens, UnknownServer, UnknownToken } from "./Servers.ts"
import { RowsUnavailable } from "./SnapshotRows.ts"
import { hashToken, newToken } from "./TokenText.ts"

export const REMEMBERED_FOR = Duration.seconds(5)
export const REMEMBERED_MAX = 20_000
export const TRUSTED_FOR = Duration.hours(1)
/** A database that takes longer is as good as away. */
const VERIFY_WITHIN = Duration.seconds(2)
/** As many tokens, by their hashes. */
const TRUSTED_COST_MAX = REMEMBERED_MAX * 2 * (64 + 64)
/** What is longer is nobody's token, and not worth hashing. */
const TOKEN_LENGTH_MAX = 512

interface Row {
  readonly id: number
  readonly kind: Principal["kind"]
  readonly server_id: string | null
  readonly note: string
  readonly created: number
  readonly revoked: number | null
}

export const layer: Layer.Layer<Tokens, never, PgClient.PgClient> = Layer.effect(
  Tokens,
  Effect.gen(function* () {
    const sql = yield* PgClient.PgClient
    const columns = sql`t.id, t.kind, s.server_id, t.note,
      date_part('epoch', t.created_at) * 1000 as created, date_part('epoch', t.revoked_at) * 1000 as revoked`

    const create: Tokens["Service"]["create"] = Effect.fn("Tokens.create")(function* (options) {
      const token = newToken(options.kind)
      const serverId = options.kind === "agent" ? options.serverId : null
      const note = (options.note ?? "").toWellFormed().replaceAll("\0", "").slice(0, 1_000)
      if (serverId !== null && !isStorableText(serverId)) return yield* new UnknownServer({ serverId })
      const [row] =
        serverId === null
          ? yield* sql<Row>`
              insert into admiral.tokens as t (sha256, kind, note) values (${hashToken(token)}, ${options.kind}, ${note})
              returning t.id, t.kind, null::text as server_id, t.note, date_part('epoch', t.created_at) * 1000 as created, null::float8 as revoked`
          : yield* sql<Row>`
              with t as (
                insert into admiral.tokens (sha256, kind, server_id, note)
                select ${hashToken(token)}, 'agent', id, ${note} from admiral.servers where server_id = ${serverId}
                returning *
              ) select ${columns} from t join admiral.servers s on s.id = t.server_id`
      if (row === undefined) return yield* new UnknownServer({ serverId: serverId ?? "" })
      return { info: fromRow(row), token: Redacted.make(token) }
    }, answering("create a token"))

    const list = sql<Row>`
      select ${columns} from admiral.tokens t left join admiral.servers s on s.id = t.server_id order by t.id`.pipe(
      Effect.map((rows) => rows.map(fromRow)),
      answering("list tokens")
    )

    const revoke = Effect.fn("Tokens.revoke")(function* (tokenId: string) {
      const id = /^\d{1,9}$/.test(tokenId) ? Number(tokenId) : 0
      const rows = yield* sql`
        update admiral.tokens set revoked_at = coalesce(revoked_at, now()) where id = ${id} returning id`
      if (rows.length === 0) return yield* new UnknownToken({ tokenId })
    }, answering("revoke a token"))

    const find = Effect.fnUntraced(function* (sha256: string) {
      const [row] = yield* sql<Row>`
        select ${columns} from admiral.tokens t left join admiral.servers s on s.id = t.server_id
        where t.sha256 = ${Buffer.from(sha256, "hex")} and t.revoked_at is null`
      return row === undefined ? Option.none() : Option.some(principal(row))
    }, answering("verify a token"))
    const trusted = makeRecentMap<{ readonly principal: Option.Option<Principal>; readonly at: number }>(
      TRUSTED_COST_MAX
    )
    const findOrTrust = Effect.fnUntraced(function* (sha256: string) {
      const now = yield* Clock.currentTimeMillis
      const found = yield* Effect.result(
        Effect.timeoutOrElse(find(sha256), { duration: VERIFY_WITHIN, orElse: noAnswer })
      )
      if (Result.isSuccess(found)) {
        trusted.set(sha256, { principal: found.success, at: now })
        return found.success
      }
      const known = trusted.get(sha256)
      if (known === undefined || Option.isNone(known.principal)) return yield* found.failure
      if (now - known.at > Duration.toMillis(TRUSTED_FOR)) return yield* found.failure
      return known.principal
    })
    const remembered = yield* Cache.makeWith(findOrTrust, {
      capacity: REMEMBERED_MAX,
      timeToLive: (exit) => (Exit.isSuccess(exit) ? REMEMBERED_FOR : Duration.zero)
    })
    const verify = (token: Redacted.Redacted<string>) => {
      const text = Redacted.value(token)
      return text.length === 0 || text.length > TOKEN_LENGTH_MAX
        ? Effect.succeed(Option.none())
        : Cache.get(remembered, hashToken(text).toString("hex"))
    }

    return Tokens.of({ create, list, revoke, verify })
  })
)

const noAnswer = () =>
  new RowsUnavailable({
    operation: "verify a token",
    cause: new Error(`no answer within ${Duration.format(VERIFY_WITHIN)}`)
  })

const principal = (row: Row): Principal =>
  row.kind === "agent"
    ? { kind: "agent", tokenId: String(row.id), serverId: row.server_id ?? "" }
    : { kind: row.kind, tokenId: String(row.id) }

const fromRow = (row: Row): TokenInfo => ({
  tokenId: String(row.id),
  kind: row.kind,
  serverId: row.server_id,
  note: row.note,
  createdAt: Math.round(row.created),
  revokedAt: row.revoked === null ? null : Math.round(row.revoked)
})
