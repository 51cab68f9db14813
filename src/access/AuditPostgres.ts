/** The audit, in PostgreSQL: `admiral.audit`, which takes new entries and nothing else. */
import { PgClient } from "@effect/sql-pg"
import { Effect, Layer } from "effect"
import type { SqlError } from "effect/sql/SqlError"
import { answering } from "../sinks/postgres/Database.ts"
import { Audit, CurrentAuthor } from "./Audit.ts"
import type { Action } from "./AuditActions.ts"

interface Row {
  readonly id: string
  readonly at: number
  readonly author: string
  readonly address: string | null
  readonly action: string
  readonly subject: string
  readonly detail: string
}

/** Adds an entry, in the transaction of the change. */
export const record = (
  sql: PgClient.PgClient,
  action: Action,
  subject: string,
  detail = ""
): Effect.Effect<void, SqlError> =>
  Effect.flatMap(CurrentAuthor, ({ address, name }) =>
    Effect.asVoid(sql`
      insert into admiral.audit (author, address, action, subject, detail)
      values (${storable(name)}, ${address}::text, ${action}, ${storable(subject)}, ${storable(detail, DETAIL_MAX)})`)
  )

export const layer: Layer.Layer<Audit, never, PgClient.PgClient> = Layer.effect(
  Audit,
  Effect.map(PgClient.PgClient, (sql) =>
    Audit.of({
      list: Effect.fn("Audit.list")(function* ({ action = "", before, limit, since, until, who = "" }) {
        const last = /^\d{1,15}$/.test(before ?? "") ? Number(before) : Number.MAX_SAFE_INTEGER
        const part = storable(who)
        const rows = yield* sql<Row>`
          select id::text as id, date_part('epoch', at) * 1000 as at, author, address, action, subject, detail
          from admiral.audit as entry where entry.id < ${last}::int8
            and (${part}::text = '' or strpos(lower(author || ' ' || coalesce(address, '')), lower(${part}::text)) > 0)
            and (${action}::text = '' or action = ${action}::text or starts_with(action, ${`${action}.`}::text))
            and at >= coalesce(to_timestamp(${since ?? null}::float8 / 1000), '-infinity')
            and at < coalesce(to_timestamp(${until ?? null}::float8 / 1000), 'infinity')
          order by entry.id desc limit ${limit + 1}::int4`
        const entries = rows.slice(0, limit).map((row) => ({ ...row, at: Math.floor(row.at) }))
        return { entries, next: rows.length > limit ? (entries.at(-1)?.id ?? null) : null }
      }, answering("read the audit")),
      note: Effect.fn("Audit.note")(
        (action, subject, detail) => record(sql, action, subject, detail),
        answering("note it in the audit")
      )
    })
  )
)

const LENGTH_MAX = 500
/** The longest is what a rule was and is: patterns, and the names of twenty owners. */
const DETAIL_MAX = 4_000

const storable = (text: string, most = LENGTH_MAX): string => {
  const plain = text.toWellFormed().replaceAll("\0", "")
  return plain.length <= most ? plain : `${plain.slice(0, most - 1).toWellFormed()}…`
}
