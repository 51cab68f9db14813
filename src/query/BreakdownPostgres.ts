/**
 * The breakdown of a server's CPU, from PostgreSQL: groups are read as every window is (`WindowReader.ts`), units and their groups from
 * rows, hour by hour, so that both are compared over the time that both saw.
 *
 * Bound: an hour of rows of three exporters is held at a time. Of a window that is longer than a day, or older than rows are kept, units
 * and groups are compared as a whole, from roll-ups.
 */
import { PgClient } from "@effect/sql-pg"
import { Clock, Duration, Effect, Layer } from "effect"
import type { Exporter } from "../plugins/Exporter.ts"
import { Registry, type RegistryShape } from "../plugins/Registry.ts"
import { answering } from "../sinks/postgres/Database.ts"
import { Scrapes } from "../sinks/storage/Scrapes.ts"
import { Aggregate, aggregating } from "./Aggregate.ts"
import { Breakdowns, NothingToBreakDown } from "./Breakdown.ts"
import type { BreakdownParts } from "./BreakdownErrors.ts"
import { breakdownOf, candidatesOf } from "./BreakdownLines.ts"
import { SharedSums, type Span, type Sums, spanOf, sumsOf } from "./BreakdownSums.ts"
import { namesOf, type Regrouping } from "./grouping/Regrouping.ts"
import { makeHostFacts } from "./HostFacts.ts"
import type { Measured, Measures } from "./Increases.ts"
import type { Window } from "./Rankings.ts"
import { idOf } from "./ServerIds.ts"
import { makeWindowReader, type WindowReader } from "./WindowReader.ts"

/** Windows up to this long are divided by unit, from rows. */
const ROWS_MICROS = 24 * 3_600_000_000
/** So much of a window is read from rows at a time. */
const PIECE_MICROS = 3_600_000_000
/** Where roll-ups of the two cover times that differ by more than this part, they are not compared. */
const COVERED_APART_MAX = 0.05

/** Which exporters tell what of a breakdown. */
interface Roles {
  readonly groups: Exporter
  readonly units: Exporter | undefined
  /** The label of the groups that is the unit's name. */
  readonly unit: string | undefined
  readonly shortLived: Exporter | undefined
}

/** The column that a ranking by CPU of the host ranks. */
const cpuOf = ({ top }: Exporter): string | undefined =>
  Object.values(top?.rankings ?? {}).find(({ by, share }) => by === "rate" && share === "cpu")?.column

/** The groups are the members of units, where there are any; else of the exporter that ranks by CPU, units last. */
const rolesOf = ({ exporters, memberships, shortLived, units }: RegistryShape): Roles | undefined => {
  const membership = memberships.find(({ members, of }) => of === units && cpuOf(members) !== undefined)
  const ranked = exporters.filter((exporter) => cpuOf(exporter) !== undefined && exporter !== shortLived)
  const groups = membership?.members ?? ranked.find((exporter) => exporter !== units) ?? ranked[0]
  if (groups === undefined) return undefined
  return { groups, units: groups === units ? undefined : units, unit: membership?.label, shortLived }
}

const make = Effect.gen(function* () {
  const scrapes = yield* Scrapes
  const sql = yield* PgClient.PgClient
  const registry = yield* Registry
  const roles = rolesOf(registry)
  if (roles === undefined) return Breakdowns.of({ of: () => Effect.fail(new NothingToBreakDown()) })
  const { host } = registry
  const { groups, shortLived, unit, units } = roles
  const presence = groups.top!.presence
  const ofGroups: Measures = { counters: [cpuOf(groups)!], gauges: presence === undefined ? [] : [presence] }
  const groupReader = yield* makeWindowReader(groups, ofGroups, host)
  const inUnits = unit === undefined ? groups : byLabel(groups, unit)
  const memberRows = yield* makeWindowReader(inUnits, ofGroups, host, { rollups: false })
  const ofUnit: Measures = { counters: units === undefined ? [] : [cpuOf(units)!], gauges: [] }
  const unitReaders = units === undefined ? undefined : yield* makeReaders(units, ofUnit, host)
  const facts = shortLived?.shortLived
  const ofShort: Measures = { counters: facts === undefined ? [] : [facts.cpu, facts.runs], gauges: [] }
  const shortReaders = shortLived === undefined ? undefined : yield* makeReaders(shortLived, ofShort, host)
  const hostFacts = makeHostFacts(scrapes, host)
  const retention = [groups, units, shortLived].flatMap((exporter) =>
    exporter === undefined ? [] : [Duration.toMillis(exporter.table.retention)]
  )

  /** Units, their groups and short-lived processes over the time that they share, from rows. */
  const fromRows = Effect.fnUntraced(function* (server: number, window: Window) {
    const [members, ofUnits, short] = [new SharedSums(), new SharedSums(), new SharedSums()]
    let ofHost: Span | undefined
    for (let from = window.from; from < window.to; from += PIECE_MICROS) {
      const piece = { from, to: Math.min(window.to, from + PIECE_MICROS) }
      const [inside, outside, exited] = yield* Effect.all(
        [
          rowsOf(memberRows, server, piece),
          rowsOf(unitReaders?.rows, server, piece),
          rowsOf(shortReaders?.rows, server, piece)
        ],
        { concurrency: 3 }
      )
      members.add(inside.measured, outside.spans)
      ofUnits.add(outside.measured, inside.spans)
      short.add(exited.measured, inside.spans)
      for (const step of inside.steps) ofHost = spanOf(ofHost, step)
    }
    return { members, units: ofUnits, short, ofHost, byUnit: unit !== undefined }
  })

  /** The same as a whole, from roll-ups: only where units and groups were seen for as long. */
  const fromRollups = Effect.fnUntraced(function* (server: number, window: Window, inside: Aggregate) {
    const [outside, short] = yield* Effect.all(
      [aggregateOf(unitReaders?.all, server, window, ofUnit), aggregateOf(shortReaders?.all, server, window, ofShort)],
      { concurrency: 2 }
    )
    const shared = Math.min(outside.covered, inside.covered)
    const isAlike = Math.abs(outside.covered - inside.covered) <= COVERED_APART_MAX * inside.covered
    return {
      members: sumsOf(inside, shared),
      units: isAlike ? sumsOf(outside, shared) : new SharedSums(),
      short: sumsOf(short, short.covered),
      ofHost: undefined,
      byUnit: false
    }
  })

  const of: Breakdowns["Service"]["of"] = Effect.fn("Breakdowns.of")(function* ({
    limit,
    regrouping,
    serverId,
    window
  }) {
    const server = yield* idOf(sql, serverId)
    const now = (yield* Clock.currentTimeMillis) * 1_000
    const haveRows = window.from >= now - Math.min(...retention) * 1_000
    const [sums, facts] = yield* Effect.all(
      [aggregateOf(groupReader, server, window, ofGroups, regrouping), hostFacts([server], window.to)],
      { concurrency: 2 }
    )
    const isShort = window.to - window.from <= ROWS_MICROS && haveRows
    const found = yield* unitReaders === undefined && shortReaders === undefined
      ? Effect.succeed(undefined)
      : isShort
        ? fromRows(server, window)
        : fromRollups(server, window, sums)
    const seen = (some: Sums | undefined) => (some === undefined || some.scrapes === 0 ? undefined : some)
    const ofUnits = units === undefined ? undefined : seen(found?.units)
    const short = shortLived === undefined ? undefined : seen(found?.short)
    const parts: BreakdownParts = {
      window,
      limit,
      groups: { ...sumsOf(sums, sums.covered), seen: found?.members.seen },
      common: sums.common,
      cores: facts.get(server)?.cores ?? null,
      host:
        host === undefined
          ? undefined
          : {
              counters: host.host!.cpuBusy.length,
              interval: Duration.toSeconds(host.scrape.interval),
              seen: found?.ofHost
            },
      units:
        ofUnits === undefined
          ? undefined
          : { sums: ofUnits, members: found!.members, byUnit: found!.byUnit, kernel: units!.units!.kernel },
      shortLived: short,
      resources: {
        groups: groups.resource,
        units: ofUnits === undefined ? null : units!.resource,
        shortLived: short === undefined ? null : shortLived!.resource
      }
    }
    const ids = [ofUnits, ofUnits === undefined ? undefined : found!.members, short].flatMap((some) => [
      ...(some?.groups.keys() ?? [])
    ])
    return breakdownOf(parts, {
      groups: yield* namesOf(scrapes, regrouping)(candidatesOf(parts)),
      others: yield* scrapes.names([...new Set(ids)])
    })
  }, answering("break down the CPU"))

  return Breakdowns.of({ of })
})

export const layer: Layer.Layer<Breakdowns, never, PgClient.PgClient | Registry> = Layer.effect(Breakdowns, make).pipe(
  Layer.provide(Scrapes.layer)
)

/** The exporter as if it ranked by another of its labels: its groups are then that label's values. */
const byLabel = (exporter: Exporter, label: string): Exporter => {
  const top = exporter.top!
  return { ...exporter, top: { ...top, per: label as typeof top.per } }
}

const makeReaders = Effect.fnUntraced(function* (exporter: Exporter, measures: Measures, host: Exporter | undefined) {
  return {
    rows: yield* makeWindowReader(exporter, measures, host, { rollups: false }),
    all: yield* makeWindowReader(exporter, measures, host)
  }
})

/** The measured scrapes of a span, when their exporter covered it, and what the host did meanwhile. */
const rowsOf = (reader: WindowReader | undefined, server: number, window: Window) => {
  const measured: Array<Measured> = []
  let covered: ReadonlyArray<Span> = []
  let steps: ReadonlyArray<Span> = []
  const visitor = {
    scrape: (scrape: Measured) => {
      measured.push(scrape)
    },
    bucket: () => {},
    host: (ofHost: ReadonlyArray<Span>, spans: ReadonlyArray<Span>) => {
      covered = spans
      steps = ofHost
    }
  }
  return (reader === undefined ? Effect.void : reader.read([server], window, () => visitor)).pipe(
    Effect.map(() => ({ measured, spans: covered, steps }))
  )
}

const aggregateOf = (
  reader: WindowReader | undefined,
  server: number,
  window: Window,
  { counters, gauges }: Measures,
  regrouping?: Regrouping
) => {
  const sums = new Aggregate(counters.length, gauges.length)
  return (
    reader === undefined ? Effect.void : reader.read([server], window, () => aggregating(sums), { regrouping })
  ).pipe(Effect.as(sums))
}
