/**
 * Rule sets, in PostgreSQL: `admiral.groupings`, a row for each version. Compiled ones are kept in memory, since a version never
 * changes; so is what names are shown as by them.
 *
 * Bound: {@link COMPILED_MAX} versions in memory, each with at most {@link SHOWN_COST_MAX} characters of names.
 */
import { PgClient, PgTypes } from "@effect/sql-pg"
import { Cache, Data, Duration, Effect, Layer, Result, Schema } from "effect"
import { CurrentAuthor } from "../../access/Audit.ts"
import { record } from "../../access/AuditPostgres.ts"
import { answering } from "../../sinks/postgres/Database.ts"
import { micros } from "../../sinks/postgres/Moments.ts"
import { makeRecentMap } from "../../sinks/postgres/RecentMap.ts"
import {
  GROUPINGS_MAX,
  type Grouping,
  GroupingConflict,
  Groupings,
  TooManyGroupings,
  UnknownGrouping,
  VERSIONS_MAX
} from "./Groupings.ts"
import { Regrouping, type Shown } from "./Regrouping.ts"
import { compileRules, type RuleSet } from "./RuleSet.ts"
import type { Rule } from "./Rules.ts"

const COMPILED_MAX = 20
/** 50 000 names of 16 characters. */
const SHOWN_COST_MAX = 50_000 * 96

const Rules = Schema.Array(Schema.Struct({ match: Schema.String, name: Schema.String }))
const decodeRules = Schema.decodeUnknownSync(Rules)

interface Row {
  readonly name: string
  readonly version: number
  readonly rules: unknown
  readonly retired: boolean
  readonly comment: string
  readonly author: string
  readonly saved_at: number
}

class Version extends Data.Class<{ readonly name: string; readonly version: number }> {}

const make = Effect.gen(function* () {
  const sql = yield* PgClient.PgClient

  const find = Effect.fnUntraced(function* (name: string, version: number | undefined) {
    const [row] = yield* sql.unsafe<Row>(FIND, [PgTypes.text(name), PgTypes.int4(version ?? null)])
    const isGone = version === undefined && row?.retired === true
    if (row !== undefined && !isGone) return fromRow(row)
    return yield* new UnknownGrouping({ reference: version === undefined ? name : `${name}@${version}` })
  })

  /** Adds the version after `base`: one at a time, whoever else saves. */
  const add = Effect.fnUntraced(function* (
    { base, comment, name, rules }: Parameters<Groupings["Service"]["save"]>[0],
    retired: boolean
  ) {
    yield* sql`select pg_advisory_xact_lock(${LOCK}::int8)`
    const [latest] = yield* sql.unsafe<Row>(FIND, [PgTypes.text(name), PgTypes.int4(null)])
    const version = latest?.version ?? 0
    const begins = base === 0 && (latest === undefined || latest.retired)
    if (latest !== undefined && !begins && version !== base) return yield* conflict(base, fromRow(latest))
    if (latest === undefined && base !== 0) return yield* new UnknownGrouping({ reference: `${name}@${base}` })
    if (version >= VERSIONS_MAX) return yield* new TooManyGroupings({ limit: VERSIONS_MAX, what: "versions" })
    if (begins && !retired) {
      const [{ sets }] = (yield* sql.unsafe<{ readonly sets: number }>(COUNT)) as [{ readonly sets: number }]
      if (sets >= GROUPINGS_MAX) return yield* new TooManyGroupings({ limit: GROUPINGS_MAX, what: "rule sets" })
    }
    const author = yield* CurrentAuthor
    const [row] = yield* sql.unsafe<Row>(INSERT, [
      PgTypes.text(name),
      PgTypes.int4(version + 1),
      PgTypes.text(JSON.stringify(rules)),
      PgTypes.bool(retired),
      PgTypes.text(comment),
      PgTypes.text(author.name)
    ])
    yield* record(sql, retired ? "grouping.retire" : "grouping.save", `grouping ${name}@${version + 1}`, comment)
    return fromRow(row!)
  })

  const save = Effect.fnUntraced(function* (grouping: Parameters<Groupings["Service"]["save"]>[0]) {
    yield* Effect.fromResult(compileRules(grouping.rules))
    return yield* sql.withTransaction(add(grouping, false))
  })

  const compiled = yield* Cache.make({
    capacity: COMPILED_MAX,
    timeToLive: Duration.infinity,
    lookup: ({ name, version }: Version) => Effect.map(find(name, version), ({ rules }) => makeShown(rules))
  })

  return Groupings.of({
    list: Effect.map(sql.unsafe<Row>(LIST), (rows) => rows.map(fromRow)).pipe(answering("read the rule sets")),
    get: Effect.fn("Groupings.get")((name, version) => find(name, version), answering("read a rule set")),
    versions: Effect.fn("Groupings.versions")(function* (name, { before, limit }) {
      const rows = yield* sql.unsafe<Row>(VERSIONS, [
        PgTypes.text(name),
        PgTypes.int4(before ?? null),
        PgTypes.int4(limit)
      ])
      if (rows.length === 0 && before === undefined) return yield* new UnknownGrouping({ reference: name })
      return rows.map(fromRow)
    }, answering("read the versions of a rule set")),
    save: Effect.fn("Groupings.save")(save, answering("save a rule set")),
    retire: Effect.fn("Groupings.retire")(function* (name, comment) {
      const { rules, version } = yield* find(name, undefined)
      yield* sql.withTransaction(add({ name, base: version, rules, comment }, true))
    }, answering("retire a rule set")),
    regrouping: Effect.fn("Groupings.regrouping")(function* ({ name, version }) {
      const wanted = version ?? (yield* find(name, undefined)).version
      const shown = yield* Cache.get(compiled, new Version({ name, version: wanted }))
      return new Regrouping({ name, version: wanted }, shown)
    }, answering("read a rule set"))
  })
})

export const layer: Layer.Layer<Groupings, never, PgClient.PgClient> = Layer.effect(Groupings, make)

/** What names are shown as by some rules, remembered. They were compiled when they were saved. */
const makeShown = (rules: ReadonlyArray<Rule>): Shown => {
  const set: RuleSet = Result.getOrThrow(compileRules(rules))
  const known = makeRecentMap<string>(SHOWN_COST_MAX, (shown) => shown.length)
  return {
    cost: (name) => (known.get(name) === undefined ? name.length * set.instructions : 1),
    of: (name) => {
      const before = known.get(name)
      if (before !== undefined) return before
      const shown = set.taken(name)?.shown ?? name
      known.set(name, shown)
      return shown
    }
  }
}

const conflict = (base: number, { author, comment, name, savedAt, version }: Grouping) =>
  Effect.fail(new GroupingConflict({ name, base, version, author, savedAt, comment }))

/** Any number that nobody else takes: saves wait for each other. */
const LOCK = 7_246_007

const columns = `grouping.name, grouping.version, grouping.rules, grouping.retired, grouping.comment, grouping.author,
  ${micros("grouping.saved_at")} as saved_at`

const FIND = `select ${columns} from admiral.groupings grouping
where grouping.name = $1::text and ($2::int4 is null or grouping.version = $2::int4)
order by grouping.version desc limit 1`

const LATEST = `select distinct on (latest.name) latest.* from admiral.groupings latest order by latest.name, latest.version desc`

const LIST = `select ${columns} from (${LATEST}) grouping where not grouping.retired order by grouping.name`

const COUNT = `select count(*)::int4 as sets from (${LATEST}) grouping where not grouping.retired`

const VERSIONS = `select ${columns} from admiral.groupings grouping
where grouping.name = $1::text and ($2::int4 is null or grouping.version < $2::int4)
order by grouping.version desc limit $3::int4`

const INSERT = `insert into admiral.groupings as grouping (name, version, rules, retired, comment, author)
values ($1::text, $2::int4, $3::text::jsonb, $4::bool, $5::text, $6::text)
returning ${columns}`

const fromRow = ({ author, comment, name, retired, rules, saved_at, version }: Row): Grouping => ({
  name,
  version,
  rules: decodeRules(typeof rules === "string" ? JSON.parse(rules) : rules),
  comment,
  author,
  savedAt: saved_at,
  retired
})
