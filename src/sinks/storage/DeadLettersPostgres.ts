/**
 * Dead letters in PostgreSQL.
 *
 * Bounds: {@link LETTERS_MAX} letters (the oldest go first) and {@link LETTERS_KEPT}; a payload of {@link PAYLOAD_MAX} characters. Both are
 * enforced by `Retention.ts`, the number also while letters come in, so that a sender of rubbish cannot fill the disk.
 *
 * PostgreSQL stores no U+0000: it is shown as ␀, and the reason then says so. A letter is never refused: in a database that
 * is not UTF-8 (a start refuses it, and yet it may come to that) what it cannot hold is written as `\u1234`.
 */
import { createHash } from "node:crypto"
import { PgClient, PgTypes } from "@effect/sql-pg"
import { Duration, Effect, Layer } from "effect"
import type { SqlError } from "effect/sql/SqlError"
import { answering, arrayParameter, classify } from "../postgres/Database.ts"
import { checkFences, type LeaseLost } from "../stream/leases/Fence.ts"
import type { Lease } from "../stream/SnapshotStream.ts"
import {
  type DeadLetter,
  DeadLetters,
  type LetterFilter,
  type NewDeadLetter,
  UnknownDeadLetter
} from "./DeadLetters.ts"

export const LETTERS_MAX = 100_000
const LETTERS_KEPT = Duration.days(30)
export const PAYLOAD_MAX = 200_000
/** The number is checked after so many new letters. */
const CHECK_EVERY = 1_000

interface Row {
  readonly id: string
  readonly exporter: string
  readonly server_id: string
  readonly reason: string
  readonly payload: string
  readonly created: number
}

export const layer: Layer.Layer<DeadLetters, never, PgClient.PgClient> = Layer.effect(
  DeadLetters,
  Effect.gen(function* () {
    const sql = yield* PgClient.PgClient
    let sinceCheck = 0

    const insert = (letters: ReadonlyArray<NewDeadLetter>) => {
      const texts = (valueOf: (letter: NewDeadLetter) => string) =>
        arrayParameter(letters.map(valueOf), PgTypes.OID.text)
      return sql`
        insert into admiral.dead_letters (key, exporter, server_id, reason, payload)
        select * from unnest(
          ${texts(({ key }) => key)}, ${texts(({ exporter }) => exporter)}, ${texts(({ serverId }) => serverId)},
          ${texts(({ reason }) => reason)}, ${texts(({ payload }) => payload)}
        ) as letter(key, exporter, server_id, reason, payload)
        on conflict do nothing`
    }

    /** In one transaction with the look at the leases, where there are some. */
    const insertUnder = (letters: ReadonlyArray<NewDeadLetter>, leases: ReadonlyArray<Lease>) =>
      leases.length === 0
        ? insert(letters)
        : sql.withTransaction(Effect.andThen(checkFences(sql, leases), insert(letters)))

    const put = Effect.fn("DeadLetters.put")(function* (
      letters: ReadonlyArray<NewDeadLetter>,
      leases: ReadonlyArray<Lease> = []
    ) {
      if (letters.length === 0) return
      const stored = letters.map(storable)
      yield* Effect.catchIf(insertUnder(stored, leases), isAboutData, () => insertUnder(stored.map(inAscii), leases))
      sinceCheck += letters.length
      if (sinceCheck < CHECK_EVERY) return
      sinceCheck = 0
      const dropped = yield* Effect.provideService(pruneDeadLetters, PgClient.PgClient, sql)
      if (dropped > 0) yield* Effect.logWarning(`${dropped} dead letters dropped: there were more than ${LETTERS_MAX}`)
    }, answering("store dead letters"))

    const list = Effect.fn("DeadLetters.list")(function* (
      options: LetterFilter & { readonly limit: number; readonly before?: string }
    ) {
      const before = options.before === undefined ? LAST_ID : (idOf(options.before) ?? 0n)
      const { exporter = null, reason = null } = options
      const passes = sql`(${exporter}::text is null or exporter = ${exporter}::text)
        and (${reason}::text is null or position(lower(${reason}::text) in lower(reason)) > 0)`
      const rows = yield* sql<Row>`
        select l.id::text, exporter, server_id, reason, payload, date_part('epoch', created_at) * 1000 as created
        from admiral.dead_letters l where l.id < ${PgTypes.int8(before)} and ${passes}
        order by l.id desc limit ${options.limit}::int4`
      const [count] = yield* sql<{ readonly total: number }>`
        select count(*)::int4 as total from admiral.dead_letters where ${passes}`
      return { letters: rows.map(fromRow), total: count?.total ?? 0 }
    }, answering("list dead letters"))

    const get = Effect.fn("DeadLetters.get")(function* (id: string) {
      const number = idOf(id)
      const [row] =
        number === undefined
          ? []
          : yield* sql<Row>`
              select id::text, exporter, server_id, reason, payload, date_part('epoch', created_at) * 1000 as created
              from admiral.dead_letters where id = ${PgTypes.int8(number)}`
      return row === undefined ? yield* new UnknownDeadLetter({ id }) : fromRow(row)
    }, answering("get a dead letter"))

    const drop = Effect.fn("DeadLetters.drop")(function* (ids: ReadonlyArray<string>) {
      const numbers = ids.flatMap((id) => idOf(id) ?? [])
      const rows = yield* sql`
        delete from admiral.dead_letters where id = any(${arrayParameter(numbers, PgTypes.OID.int8)})
        returning 1 as dropped`
      return rows.length
    }, answering("drop dead letters"))

    return DeadLetters.of({ put, list, get, drop })
  })
)

/** Drops letters beyond the bounds; returns how many. */
export const pruneDeadLetters = Effect.gen(function* () {
  const sql = yield* PgClient.PgClient
  const rows = yield* sql`
    delete from admiral.dead_letters
    where created_at < now() - ${Duration.toSeconds(LETTERS_KEPT)}::float8 * interval '1 second'
      or id <= (select id from admiral.dead_letters order by id desc offset ${LETTERS_MAX}::int4 limit 1)
    returning 1 as dropped`
  return rows.length
})

const LAST_ID = 2n ** 63n - 1n

/** An id as we hand it out; undefined where the text is none. */
const idOf = (text: string): bigint | undefined => (/^\d{1,18}$/.test(text) ? BigInt(text) : undefined)

const fromRow = (row: Row): DeadLetter => ({
  id: row.id,
  exporter: row.exporter,
  serverId: row.server_id,
  reason: row.reason,
  payload: row.payload,
  createdAt: Math.round(row.created)
})

const isAboutData = (error: SqlError | LeaseLost): boolean =>
  error._tag === "SqlError" && classify("store dead letters", error)._tag === "RowsRefused"

/** The letter as every database can hold it. */
const inAscii = (letter: NewDeadLetter): NewDeadLetter => {
  const plain = (text: string) =>
    text.replaceAll(/[^\x20-\x7e\n\t]/g, (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, "0")}`)
  return {
    key: plain(letter.key).slice(0, 500),
    exporter: plain(letter.exporter),
    serverId: plain(letter.serverId),
    reason: `${plain(letter.reason)} (what the database cannot hold is shown as \\uXXXX)`,
    payload: plain(letter.payload)
  }
}

/** The letter as PostgreSQL can hold it. */
const storable = (letter: NewDeadLetter): NewDeadLetter => {
  const clean = (text: string, max: number) => text.slice(0, max).toWellFormed().replaceAll("\0", "␀")
  const payload = clean(letter.payload, PAYLOAD_MAX)
  const notes = [
    payload.includes("␀") ? "U+0000 is shown as ␀" : "",
    letter.payload.length > PAYLOAD_MAX ? `only the first ${PAYLOAD_MAX} characters are kept` : ""
  ].filter((note) => note !== "")
  return {
    // A btree holds some 2.7 kB a key.
    key: letter.key.length <= 500 ? clean(letter.key, 500) : createHash("sha256").update(letter.key).digest("hex"),
    exporter: clean(letter.exporter, 1_000),
    serverId: clean(letter.serverId, 1_000),
    reason: clean(letter.reason, 4_000) + (notes.length === 0 ? "" : ` (${notes.join("; ")})`),
    payload
  }
}
