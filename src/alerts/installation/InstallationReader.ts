/**
 * What NodePulse knows of itself: dead letters from PostgreSQL, clocks as agents tell them, and how full the disk is that it stores on.
 * Asked by the evaluation, once a pass, by the same machine as all other rules.
 *
 * Guarantee: what is not known is never fine. A clock is not known where its agent said nothing for {@link HEARD_WITHIN_MILLIS}; a disk is
 * not known where PostgreSQL is not the embedded one. Both are known of the present only: a moment that is asked later than
 * {@link NOW_MILLIS} is unknown. Bound: {@link LETTERS_READ_MAX} dead letters a question, the latest.
 */
import { statfs } from "node:fs/promises"
import { PgClient, PgTypes } from "@effect/sql-pg"
import { Context, Effect } from "effect"
import { storeIn } from "../../access/AgentsPostgres.ts"
import { micros, moment } from "../../sinks/postgres/Moments.ts"
import { type AlertState, INACTIVE, step } from "../AlertState.ts"
import type { Rule } from "../Rule.ts"
import { isAbout, type WatchedServer } from "../RuleReader.ts"
import type { Turn } from "../ServerWatch.ts"
import { askedFor } from "./Installation.ts"
import { countUntil, liveThroughValues } from "./InstallationWatch.ts"

const HEARD_WITHIN_MILLIS = 300_000
const NOW_MILLIS = 60_000
const LETTERS_READ_MAX = 100_000

/** How full the disk is that NodePulse stores on, in percent; undefined where it cannot tell. Nothing tells unless it is given. */
export const DataDisk = Context.Reference<Effect.Effect<number | undefined>>("nodepulse/alerts/DataDisk", {
  defaultValue: () => Effect.undefined
})

/** As `df` counts it: of what others than root can use. */
export const diskOf = (folder: string): Effect.Effect<number | undefined> =>
  Effect.promise(async () => {
    try {
      const { bavail, bfree, blocks } = await statfs(folder)
      const used = blocks - bfree
      return used + bavail > 0 ? (100 * used) / (used + bavail) : undefined
    } catch {
      return undefined
    }
  })

/** Moments in (from, to] that were not asked yet; until `asked` all was. Epoch milliseconds. */
interface AskedSpan {
  readonly from: number
  readonly to: number
  readonly asked: number
}

/** Whom a value is of, and what it was at a moment. */
interface Known {
  readonly server: number | null
  readonly valueAt: (at: number) => number | undefined
}

/** What was found of a rule: of the installation, or of a server. */
export interface InstallationFound {
  readonly rule: Rule
  readonly server: number | null
  readonly state: AlertState
  readonly turns: ReadonlyArray<Turn>
}

export const makeInstallationReader = Effect.gen(function* () {
  const sql = yield* PgClient.PgClient
  const disk = yield* DataDisk
  const agents = storeIn(sql)

  /** When dead letters came in (from, to], in order; epoch milliseconds. */
  const letters = (from: number, to: number) =>
    Effect.map(
      sql.unsafe<{ readonly at: number }>(LETTERS, [
        PgTypes.float8(from * 1_000),
        PgTypes.float8(to * 1_000),
        PgTypes.int4(LETTERS_READ_MAX)
      ]),
      (rows) => rows.map(({ at }) => at).reverse()
    )

  const known = Effect.fnUntraced(function* (
    rule: Rule,
    { from, to }: Pick<AskedSpan, "from" | "to">,
    servers: ReadonlyArray<WatchedServer>
  ) {
    const atPresent = (value: number | undefined) => (at: number) => (to - at < NOW_MILLIS ? value : undefined)
    switch (askedFor(rule)) {
      case "dead_letters": {
        const found = yield* letters(from - rule.over, to)
        return [{ server: null, valueAt: (at) => countUntil(found, at, rule.over) }] satisfies ReadonlyArray<Known>
      }
      case "disk_used":
        return [{ server: null, valueAt: atPresent(yield* disk) }]
      case "clock_skew": {
        const told = yield* agents.all
        return servers
          .filter((server) => isAbout(rule, server))
          .map(({ id, server_id }) => {
            const state = told.get(server_id)
            const isHeard = state !== undefined && to - state.seenAt < HEARD_WITHIN_MILLIS
            return {
              server: id,
              valueAt: atPresent(isHeard && state.clock ? Math.abs(state.clock.skewSeconds) : undefined)
            }
          })
      }
    }
  })

  /** Asks rules about the installation; `before` is what was found until `asked`. */
  const ask = Effect.fnUntraced(function* (
    rules: ReadonlyArray<Rule>,
    servers: ReadonlyArray<WatchedServer>,
    span: AskedSpan,
    before: (rule: Rule, server: number | null) => AlertState
  ) {
    const found: Array<InstallationFound> = []
    for (const rule of rules) {
      for (const { server, valueAt } of yield* known(rule, span, servers)) {
        const was = before(rule, server)
        // Nobody knows what was between the moments that were asked and those that are.
        const first = span.from > span.asked ? step(was, undefined, span.from, rule) : was
        const { state, turns } = liveThroughValues(rule, first, span, valueAt)
        found.push({ rule, server, state, turns: turns.map((turn) => ({ ...turn, rule, group: "" })) })
      }
    }
    return found
  })

  /** When a rule about dead letters would have fired in a window, epoch milliseconds. */
  const past = Effect.fnUntraced(function* (rule: Rule, { from, to }: Pick<AskedSpan, "from" | "to">) {
    const found = yield* letters(from - rule.over, to)
    return liveThroughValues(rule, INACTIVE, { from, to }, (at) => countUntil(found, at, rule.over)).turns
  })

  return { ask, past }
})

const LETTERS = `select ${micros("letter.created_at")} / 1000 as at from admiral.dead_letters as letter
where letter.created_at > ${moment("$1::float8")} and letter.created_at <= ${moment("$2::float8")}
order by letter.created_at desc limit $3::int4`
