/** The notes, in PostgreSQL: `admiral.notes`. */
import { PgClient, PgTypes } from "@effect/sql-pg"
import { Effect, Layer } from "effect"
import { answering } from "../sinks/postgres/Database.ts"
import { micros, moment } from "../sinks/postgres/Moments.ts"
import { CurrentAuthor } from "./Audit.ts"
import { record } from "./AuditPostgres.ts"
import { NOTES_MAX, type Note, NoteOfSomebodyElse, Notes, UnknownNote } from "./Notes.ts"
import { getServer } from "./ServersPostgres.ts"

interface Row {
  readonly id: string
  readonly server_id: string | null
  readonly at: number
  readonly text: string
  readonly author: string
}

export const layer: Layer.Layer<Notes, never, PgClient.PgClient> = Layer.effect(
  Notes,
  Effect.map(PgClient.PgClient, (sql) => {
    const add = Effect.fnUntraced(function* ({ at, serverId, text }: Parameters<Notes["Service"]["add"]>[0]) {
      if (serverId !== null) yield* getServer(sql, serverId)
      const { name } = yield* CurrentAuthor
      const [row] = yield* sql.unsafe<Row>(INSERT, [
        PgTypes.text(serverId),
        PgTypes.float8(at),
        PgTypes.text(text),
        PgTypes.text(name)
      ])
      yield* record(sql, "note.create", `note ${row!.id}`, text)
      return fromRow(row!)
    })

    const remove = Effect.fnUntraced(function* (noteId: string, whose: "own" | "any") {
      const id = /^\d{1,15}$/.test(noteId) ? Number(noteId) : -1
      const [row] = yield* sql<{ readonly text: string; readonly author: string }>`
        delete from admiral.notes as note where note.id = ${id}::int8 returning note.text, note.author`
      if (row === undefined) return yield* new UnknownNote({ noteId })
      const { name } = yield* CurrentAuthor
      // The failure takes the removal back.
      if (whose === "own" && row.author !== name) return yield* new NoteOfSomebodyElse({ author: row.author })
      yield* record(sql, "note.remove", `note ${noteId}`, row.text)
    })

    return Notes.of({
      add: Effect.fn("Notes.add")((note) => sql.withTransaction(add(note)), answering("add a note")),
      remove: Effect.fn("Notes.remove")(
        (noteId, whose) => sql.withTransaction(remove(noteId, whose)),
        answering("remove a note")
      ),
      between: Effect.fn("Notes.between")(function* (serverId, { from, to }) {
        const rows = yield* sql.unsafe<Row>(BETWEEN, [
          PgTypes.text(serverId),
          PgTypes.float8(from),
          PgTypes.float8(to),
          PgTypes.int4(NOTES_MAX)
        ])
        return rows.map(fromRow).reverse()
      }, answering("read notes"))
    })
  })
)

const columns = `note.id::text as id, server.server_id, ${micros("note.at")} as at, note.text, note.author`

const INSERT = `with note as (
  insert into admiral.notes (server_id, at, text, author)
  values ((select server.id from admiral.servers server where server.server_id = $1::text), ${moment("$2::float8")}, $3::text, $4::text)
  returning id, server_id, at, text, author
)
select ${columns} from note left join admiral.servers server on server.id = note.server_id`

const BETWEEN = `select ${columns}
from admiral.notes note left join admiral.servers server on server.id = note.server_id
where (note.server_id is null or server.server_id = $1::text)
  and note.at > ${moment("$2::float8")} and note.at <= ${moment("$3::float8")}
order by note.at desc, note.id desc limit $4::int4`

const fromRow = ({ at, author, id, server_id, text }: Row): Note => ({
  noteId: id,
  serverId: server_id,
  at,
  text,
  author
})
