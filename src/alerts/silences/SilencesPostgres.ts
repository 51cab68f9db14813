/** The silences, in PostgreSQL: `admiral.silences`. */
import { PgClient, PgTypes } from "@effect/sql-pg"
import { Clock, Effect, Layer } from "effect"
import { CurrentAuthor } from "../../access/Audit.ts"
import { record } from "../../access/AuditPostgres.ts"
import { answering } from "../../sinks/postgres/Database.ts"
import { micros, moment } from "../../sinks/postgres/Moments.ts"
import type { Severity } from "../Rule.ts"
import { type Silence, type SilenceKind, silenceText } from "./Silence.ts"
import { KEPT_DAYS, type NewSilence, SILENCES_MAX, Silences, TooManySilences, UnknownSilence } from "./Silences.ts"

interface Row {
  readonly id: string
  readonly kind: SilenceKind
  readonly rule: string
  readonly server: string
  readonly alert_group: string
  readonly severity: Severity | null
  readonly from: number
  readonly until: number
  readonly author: string
  readonly comment: string
}

/** Those that mute at a moment, epoch milliseconds. */
export const activeSilences = (sql: PgClient.PgClient, at: number) =>
  Effect.map(sql.unsafe<Row>(ACTIVE, [PgTypes.float8(at * 1_000), PgTypes.int4(SILENCES_MAX)]), (rows) =>
    rows.map(fromRow)
  )

export const layer: Layer.Layer<Silences, never, PgClient.PgClient> = Layer.effect(
  Silences,
  Effect.map(PgClient.PgClient, (sql) => {
    const add = Effect.fnUntraced(function* (silence: NewSilence) {
      yield* sql`select pg_advisory_xact_lock(${LOCK}::int8)`
      const now = PgTypes.float8((yield* Clock.currentTimeMillis) * 1_000)
      yield* sql.unsafe(PRUNE, [now])
      const [{ open }] = (yield* sql.unsafe<{ readonly open: number }>(COUNT, [now])) as [{ readonly open: number }]
      if (open >= SILENCES_MAX) return yield* new TooManySilences({ limit: SILENCES_MAX })
      const { name } = yield* CurrentAuthor
      const [row] = yield* sql.unsafe<Row>(INSERT, [
        ...[silence.kind, silence.rule, silence.server, silence.group, silence.severity ?? null].map((text) =>
          PgTypes.text(text)
        ),
        PgTypes.float8(silence.from * 1_000),
        PgTypes.float8(silence.until * 1_000),
        PgTypes.text(name),
        PgTypes.text(silence.comment)
      ])
      yield* record(sql, "silence.create", `${silence.kind} ${row!.id}`, whatWas(silence))
      return fromRow(row!)
    })

    const end = Effect.fnUntraced(function* (silenceId: string) {
      const id = /^\d{1,15}$/.test(silenceId) ? Number(silenceId) : -1
      const now = yield* Clock.currentTimeMillis
      const [row] = yield* sql.unsafe<Row>(FIND, [PgTypes.float8(id)])
      if (row === undefined) return yield* new UnknownSilence({ silenceId })
      const silence = fromRow(row)
      if (silence.until <= now) return
      const parameters = [PgTypes.float8(id), PgTypes.float8(now * 1_000)]
      yield* silence.from > now ? sql.unsafe(REMOVE, parameters.slice(0, 1)) : sql.unsafe(END, parameters)
      yield* record(sql, "silence.end", `${silence.kind} ${silenceId}`, whatWas(silence))
    })

    return Silences.of({
      active: Effect.fn("Silences.active")((at) => activeSilences(sql, at), answering("read silences")),
      list: Effect.flatMap(Clock.currentTimeMillis, (now) =>
        sql.unsafe<Row>(LIST, [PgTypes.float8(now * 1_000), PgTypes.int4(2 * SILENCES_MAX)])
      ).pipe(
        Effect.map((rows) => rows.map(fromRow)),
        answering("list silences")
      ),
      add: Effect.fn("Silences.add")((silence) => sql.withTransaction(add(silence)), answering("add a silence")),
      end: Effect.fn("Silences.end")((silenceId) => sql.withTransaction(end(silenceId)), answering("end a silence"))
    })
  })
)

/** As the audit has it: about what, from when until when, and why. */
const whatWas = (silence: NewSilence): string => {
  const [from, until] = [silence.from, silence.until].map((at) => new Date(at).toISOString())
  return `${silenceText(silence)}, from ${from} until ${until}: ${silence.comment}`
}

/** Any number that nobody else takes: who adds waits for each other. */
const LOCK = 7_246_013

const columns = `silence.id::text as id, silence.kind, silence.rule, silence.server, silence.alert_group, silence.severity,
  ${micros("silence.from_at")} / 1000 as "from", ${micros("silence.until_at")} / 1000 as "until", silence.author, silence.comment`

const ACTIVE = `select ${columns} from admiral.silences silence
where silence.until_at > ${moment("$1::float8")} and silence.from_at <= ${moment("$1::float8")}
order by silence.until_at desc, silence.id limit $2::int4`

const LIST = `select ${columns} from admiral.silences silence
order by silence.until_at <= ${moment("$1::float8")},
  case when silence.until_at > ${moment("$1::float8")} then silence.until_at end, silence.until_at desc, silence.id desc
limit $2::int4`

const COUNT = `select count(*)::int4 as open from admiral.silences silence where silence.until_at > ${moment("$1::float8")}`

const PRUNE = `delete from admiral.silences silence where silence.until_at < ${moment("$1::float8")} - interval '${KEPT_DAYS} days'`

const INSERT = `insert into admiral.silences as silence (kind, rule, server, alert_group, severity, from_at, until_at, author, comment)
values ($1::text, $2::text, $3::text, $4::text, $5::text, ${moment("$6::float8")}, ${moment("$7::float8")}, $8::text, $9::text)
returning ${columns}`

const FIND = `select ${columns} from admiral.silences silence where silence.id = $1::float8::int8 for update`

const END = `update admiral.silences as silence set until_at = ${moment("$2::float8")} where silence.id = $1::float8::int8`

const REMOVE = `delete from admiral.silences as silence where silence.id = $1::float8::int8`

/** The statements by name, as `docs/sql` has them. */
export const silenceStatements = { ACTIVE, LIST, COUNT, PRUNE, INSERT, FIND, END, REMOVE }

const fromRow = ({ alert_group, author, comment, from, id, kind, rule, server, severity, until }: Row): Silence => ({
  id,
  kind,
  rule,
  server,
  group: alert_group,
  severity: severity ?? undefined,
  from,
  until,
  by: author,
  comment
})
