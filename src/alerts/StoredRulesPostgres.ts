/** Rules that were saved, in PostgreSQL: `admiral.rules`. */
import { PgClient, PgTypes } from "@effect/sql-pg"
import { Effect, Layer } from "effect"
import { CurrentAuthor } from "../access/Audit.ts"
import { record } from "../access/AuditPostgres.ts"
import { answering } from "../sinks/postgres/Database.ts"
import { micros } from "../sinks/postgres/Moments.ts"
import { changesText, type RuleDocument } from "./RuleDocument.ts"
import { RuleConflict, type StoredRule, StoredRules, TooManyRules, UnknownRule } from "./StoredRules.ts"

interface Row {
  readonly name: string
  readonly version: number
  /** JSON. */
  readonly document: string
  readonly author: string
  readonly at: number
}

export const layer: Layer.Layer<StoredRules, never, PgClient.PgClient> = Layer.effect(
  StoredRules,
  Effect.map(PgClient.PgClient, (sql) => {
    /** The rule as it is, where that is what a change was made from. One change at a time, whoever else makes one. */
    const current = Effect.fnUntraced(function* (name: string, base: number | undefined) {
      yield* sql`select pg_advisory_xact_lock(${LOCK}::int8)`
      const [row] = yield* sql.unsafe<Row>(FIND, [PgTypes.text(name)])
      if (row === undefined) return undefined
      const { at, author: by, version } = row
      if (base === undefined || version === base) return fromRow(row)
      return yield* new RuleConflict({ name, base, version, by, at })
    })

    const save = Effect.fnUntraced(function* (
      { base, document, name }: Parameters<StoredRules["Service"]["save"]>[0],
      most: number
    ) {
      const before = yield* current(name, base)
      if (before === undefined) {
        if (base !== 0) return yield* new UnknownRule({ name })
        const [{ count }] = (yield* sql.unsafe<{ readonly count: number }>(COUNT)) as [{ readonly count: number }]
        if (count >= most) return yield* new TooManyRules({ limit: most })
      }
      const { name: author } = yield* CurrentAuthor
      const parameters = [name, JSON.stringify(document), author].map((text) => PgTypes.text(text))
      const [row] = yield* sql.unsafe<Row>(before === undefined ? INSERT : UPDATE, parameters)
      yield* record(sql, "rule.save", `rule ${name}`, changesText(before?.document ?? {}, document))
      return fromRow(row!)
    })

    const remove = Effect.fnUntraced(function* (name: string, base: number | undefined) {
      const before = yield* current(name, base)
      if (before === undefined) return yield* new UnknownRule({ name })
      yield* sql.unsafe(REMOVE, [PgTypes.text(name)])
      yield* record(sql, "rule.remove", `rule ${name}`, changesText(before.document, {}))
    })

    return StoredRules.of({
      list: Effect.map(sql.unsafe<Row>(LIST), (rows) => rows.map(fromRow)).pipe(answering("read the rules")),
      save: Effect.fn("StoredRules.save")(
        (rule, most) => sql.withTransaction(save(rule, most)),
        answering("save a rule")
      ),
      remove: Effect.fn("StoredRules.remove")(
        (name, base) => sql.withTransaction(remove(name, base)),
        answering("remove a rule")
      )
    })
  })
)

/** Any number that nobody else takes. */
const LOCK = 7_246_014

const columns = `rule.name, rule.version, rule.document::text as document, rule.author, ${micros("rule.saved_at")} / 1000 as at`

const LIST = `select ${columns} from admiral.rules rule order by rule.name`

const FIND = `select ${columns} from admiral.rules rule where rule.name = $1::text`

const COUNT = `select count(*)::int4 as count from admiral.rules`

const INSERT = `insert into admiral.rules as rule (name, document, author) values ($1::text, $2::text::json, $3::text)
returning ${columns}`

const UPDATE = `update admiral.rules as rule
set version = default, document = $2::text::json, author = $3::text, saved_at = now() where rule.name = $1::text
returning ${columns}`

const REMOVE = `delete from admiral.rules as rule where rule.name = $1::text`

/** The statements by name, as `docs/sql` has them. */
export const storedRuleStatements = { LIST, FIND, COUNT, INSERT, UPDATE, REMOVE }

const fromRow = ({ at, author, document, name, version }: Row): StoredRule => ({
  name,
  version,
  document: JSON.parse(document) as RuleDocument,
  by: author,
  at
})
