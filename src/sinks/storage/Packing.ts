/**
 * Packs days that are over (`PackingDay.ts`): a fraction of the disk, and read as before.
 *
 * - A day is packed when it has been over for as long as agents keep what they could not deliver, so that nothing more of it is
 *   expected; what comes even later is stored, seen at once, and packed with the next pass.
 * - It is packed once: the next pass touches only the hours in which something came late.
 * - Several servers may run it: they take steps in turn. One that is ended loses a step.
 * - Nobody waits for it but for the moment of the switch, {@link SWITCH_TRIES} times a tenth of a second at most.
 */
import { PgClient } from "@effect/sql-pg"
import { Cause, Clock, Context, Duration, Effect, Layer } from "effect"
import { reasonOf } from "../../engine/Supervisor.ts"
import type { Exporter } from "../../plugins/Exporter.ts"
import { Registry } from "../../plugins/Registry.ts"
import { answering } from "../postgres/Database.ts"
import { moment, readMoment } from "./ArrayCodec.ts"
import type { DatabaseUnavailable } from "./DatabaseUnavailable.ts"
import { makePackingDay, type PackingDay, packingTable } from "./PackingDay.ts"
import { DAY_MICROS, dayName, dayOf, dayOfPartition } from "./Partitions.ts"
import { quoted } from "./ScrapeColumns.ts"
import { scrapesTable } from "./Tables.ts"

export interface PackedDays {
  readonly exporter: string
  readonly days: number
  readonly scrapes: number
  /** What they take, with keys. */
  readonly bytes: number
}

export interface PackingStats {
  /** Days of an exporter that are to be packed, and are not yet. */
  readonly waiting: number
  readonly packed: ReadonlyArray<PackedDays>
  /** Rows that this process has packed. */
  readonly rows: number
}

export class Packing extends Context.Service<
  Packing,
  {
    /** Packs everything that is to be packed; how many days that were. */
    readonly pass: Effect.Effect<number, DatabaseUnavailable>
    /** Passes for ever; where the database is away, again a little later. For the supervisor. */
    readonly run: Effect.Effect<never>
    readonly stats: Effect.Effect<PackingStats, DatabaseUnavailable>
  }
>()("nodepulse/sinks/Packing") {
  static readonly layerWith = (
    options: PackingOptions = {}
  ): Layer.Layer<Packing, never, PgClient.PgClient | Registry> => Layer.effect(Packing, make(options))
}

export interface PackingOptions {
  /** How long a day is over when it is packed. Defaults to {@link PACK_AFTER}; never less than {@link PACK_AFTER_LEAST}. */
  readonly after?: Duration.Duration
}

/** Agents keep snapshots for a day (`buffer.max_age`), and an hour is for clocks. */
export const PACK_AFTER = Duration.hours(25)
/** Clocks differ: a day is packed once, and not with each of its last scrapes again. */
export const PACK_AFTER_LEAST = Duration.hours(1)

const PASS_EVERY = Duration.minutes(10)
const RETRY_AFTER = Duration.minutes(1)
const SWITCH_TRIES = 20
const SWITCH_AGAIN = Duration.millis(500)

const make = Effect.fnUntraced(function* (options: PackingOptions) {
  const sql = yield* PgClient.PgClient
  const { exporters } = yield* Registry
  const after = Duration.toMillis(Duration.max(options.after ?? PACK_AFTER, PACK_AFTER_LEAST)) * 1_000
  let rows = 0
  const days = yield* Effect.forEach(exporters, (exporter) =>
    Effect.map(
      makePackingDay(exporter, (packed) => {
        rows += packed
      }),
      (day) => ({ exporter, day })
    )
  )

  /** The days of an exporter that are there, those of them that are to be packed, and those where something came late since. */
  const daysOf = Effect.fnUntraced(function* (exporter: Exporter) {
    const now = (yield* Clock.currentTimeMillis) * 1_000
    const table = scrapesTable(exporter.table.name)
    const partitions = yield* sql<{ readonly name: string; readonly packed: boolean }>`
      select partition.name, packed.day is not null as packed
      from (
        select relation.relname::text as name, right(relation.relname, 8) as digits from pg_inherits as inherited
        join pg_class as relation on relation.oid = inherited.inhrelid
        where inherited.inhparent = to_regclass(${`admiral.${table}`}) and not inherited.inhdetachpending
      ) as partition
      left join admiral.packed_days as packed
        on packed.exporter = ${exporter.name} and to_char(packed.day, 'YYYYMMDD') = partition.digits
      order by partition.name`
    const hours = yield* sql<{ readonly at: Uint8Array }>`
      select distinct timestamptz_send(late.hour) as at from admiral.packing_queue as late where late.exporter = ${exporter.name}`
    const late = new Set(hours.map(({ at }) => dayOf(readMoment(at))))
    const there = partitions.flatMap(({ name, packed }) => {
      const day = dayOfPartition(table, name)
      return day === undefined ? [] : [{ day, late: packed && late.has(day), packed }]
    })
    const isOver = (day: number) => (day + 1) * DAY_MICROS + after <= now
    return {
      there,
      waiting: there.filter(({ day, packed }) => !packed && isOver(day)).map(({ day }) => day),
      late: there.filter(({ late }) => late).map(({ day }) => day)
    }
  })

  /** Forgets what is known of days that retention has dropped. */
  const forget = Effect.fnUntraced(function* (exporter: Exporter, there: ReadonlyArray<{ readonly day: number }>) {
    const begun = yield* sql<{ readonly name: string }>`
      select relation.relname::text as name from pg_class as relation
      where relation.relnamespace = 'admiral'::regnamespace and relation.relkind = 'r'
        and relation.relname ~ ${`^${scrapesTable(exporter.table.name)}_[0-9]{8}_packing$`}`
    const kept = new Set(there.map(({ day }) => packingTable(exporter, day)))
    for (const { name } of begun) {
      if (!kept.has(name)) yield* sql.unsafe(`drop table if exists admiral.${quoted(name)}`).unprepared
    }
    const first = Math.min(...there.map(({ day }) => day)) * DAY_MICROS
    if (!Number.isFinite(first)) return
    yield* sql`delete from admiral.packed_days where exporter = ${exporter.name} and day < (${moment(first)} at time zone 'UTC')::date`
    yield* sql`delete from admiral.packing_queue where exporter = ${exporter.name} and hour < ${moment(first)}`
  })

  /** All steps of a day; whether it is done. One that cannot be packed stays as it is, and stops no other. */
  const pack = Effect.fnUntraced(
    function* (exporter: Exporter, steps: PackingDay, day: number) {
      for (let tries = 0; ; ) {
        const step = yield* steps.step(day)
        if (step === "again") continue
        if (step === "in use" && ++tries < SWITCH_TRIES) {
          yield* Effect.sleep(SWITCH_AGAIN)
          continue
        }
        if (step === "in use")
          yield* Effect.logWarning(`packing: ${nameOf(exporter, day)} is in use, tried again later`)
        return step === "done"
      }
    },
    (self, exporter, _, day) =>
      Effect.catchDefect(self, (defect) =>
        Effect.as(
          Effect.logError(
            `packing: ${nameOf(exporter, day)} cannot be packed, and stays as it is: ${reasonOf(Cause.die(defect))}`
          ),
          false
        )
      )
  )

  const pass = Effect.gen(function* () {
    let done = 0
    for (const { day: steps, exporter } of days) {
      const { late, there, waiting } = yield* daysOf(exporter)
      yield* forget(exporter, there)
      for (const day of waiting) {
        if (!(yield* pack(exporter, steps, day))) continue
        yield* Effect.logInfo(`packing: packed ${nameOf(exporter, day)}`)
        done++
      }
      for (const day of late) if (yield* pack(exporter, steps, day)) done++
    }
    return done
  }).pipe(answering("pack days"))

  const stats = Effect.gen(function* () {
    const waiting = yield* Effect.forEach(exporters, daysOf)
    const packed = yield* sql<PackedDays>`
      select exporter, count(*)::float8 as days, sum(scrapes)::float8 as scrapes, sum(bytes)::float8 as bytes
      from admiral.packed_days group by exporter`
    return { waiting: waiting.reduce((sum, of) => sum + of.waiting.length, 0), packed, rows }
  }).pipe(answering("count packed days"))

  const once = pass.pipe(
    Effect.as(PASS_EVERY),
    Effect.catch((error) => Effect.as(Effect.logWarning(error.message), RETRY_AFTER))
  )
  return Packing.of({ pass, run: Effect.forever(Effect.flatMap(once, Effect.sleep)), stats })
})

const nameOf = (exporter: Exporter, day: number): string => `${exporter.table.name} of ${dayName(day)}`
