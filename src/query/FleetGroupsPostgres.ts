/**
 * The groups of the fleet from PostgreSQL: read as every window is (`WindowReader.ts`), a server at a time, and added up in
 * `FleetTable.ts`. What was added up is kept for a moment: a part of the list, another order or a search is then read off it.
 */
import { PgClient } from "@effect/sql-pg"
import { Cache, Effect, Exit, Layer } from "effect"
import { answeredAs, answers } from "../plugins/Catalog.ts"
import { Registry } from "../plugins/Registry.ts"
import { answering } from "../sinks/postgres/Database.ts"
import { DAY_MICROS } from "../sinks/storage/Partitions.ts"
import { Scrapes } from "../sinks/storage/Scrapes.ts"
import { compareBytes } from "./ByteOrder.ts"
import {
  type FleetGroup,
  FleetGroups,
  type FleetOrder,
  FRESH_FOR,
  type Frame,
  type GroupOnServer,
  type GroupServersRequest,
  type RankedGroupsRequest
} from "./FleetGroups.ts"
import { type FleetShape, fleetShape, fleetSteps, fleetWindow } from "./FleetShape.ts"
import { FleetTable } from "./FleetTable.ts"
import { exhaustsIn, type Growth } from "./Growth.ts"
import { namesOf, type Regrouping } from "./grouping/Regrouping.ts"
import { usableLevels } from "./History.ts"
import { lastRan } from "./LastRan.ts"
import type { Window } from "./Rankings.ts"
import { ServerSums } from "./ServerSums.ts"
import type { Steps } from "./StepSums.ts"
import { makeWindowReader, type WindowReader } from "./WindowReader.ts"

/** How many windows are kept: people who look at the same one share it. */
const WINDOWS_KEPT = 4
const GROUPS_KEPT = 16
/** How many names of another time are looked for, and among how many. */
const GONE_MAX = 5
const GONE_CANDIDATES = 200
/** How long before a name was last listed it is looked for. */
const GONE_DAYS_MAX = 30
/** A day and an hour of five minutes. */
const GROWTH_STEPS_MAX = 300
/** Of the trends of the whole list. */
const STEPS_MAX = 32
/** How many values a trend has at most, of as many steps each as it takes. */
const TREND_VALUES_MAX = 48

/** What a window is kept by: a regrouping counts by its version. */
interface Asked {
  readonly exporter: string
  /** The one that stands for all whose answers have the same fields. */
  readonly metric: string
  readonly window: Window
  readonly regrouping: Regrouping | undefined
}

interface AskedServer {
  readonly id: number
  readonly serverId: string
  readonly name: string
}

/** A window of the fleet, added up, with what lists are made of. */
interface Added {
  readonly table: FleetTable
  readonly servers: ReadonlyArray<AskedServer>
  readonly names: ReadonlyArray<string>
  /** The places of the groups by their names. */
  readonly byName: ReadonlyArray<number>
  /** Of a place, whether one of its peaks is a bound; undefined where names are as they are. */
  readonly peakIsBound: ((place: number) => boolean) | undefined
}

/** One group on one server, with the trends of all rankings. */
type ServerRow = Omit<GroupOnServer, "trend"> & { readonly trends: ReadonlyArray<ReadonlyArray<number | null>> }

/** One group on the servers that ran it. */
interface Spread {
  readonly steps: Steps
  readonly servers: ReadonlyArray<ServerRow>
}

const make = Effect.gen(function* () {
  const sql = yield* PgClient.PgClient
  const scrapes = yield* Scrapes
  const { exporters, get, host } = yield* Registry
  const readers = new Map<string, { readonly shape: FleetShape; readonly reader: WindowReader }>()
  for (const exporter of exporters) {
    for (const metric of answers(exporter)) {
      const shape = fleetShape(exporter, metric)
      const reader = yield* makeWindowReader(exporter, shape.measures, host)
      readers.set(`${exporter.name} ${metric}`, { shape, reader })
    }
  }

  const known = ({ exporter: name, metric }: { readonly exporter: string; readonly metric: string }) => {
    const exporter = get(name)
    const answered = exporter === undefined ? metric : answeredAs(exporter, metric)
    const made = readers.get(`${name} ${answered}`)
    return exporter === undefined || made === undefined
      ? Effect.die(new Error(`${name} ranks nothing`))
      : Effect.succeed({ exporter, answered, ...made })
  }

  const allServers = Effect.map(
    sql<{ readonly id: number; readonly server_id: string; readonly name: string }>`
      select server.id, server.server_id, server.name from admiral.servers server order by server.server_id`,
    (rows) => rows.map(({ id, name, server_id }): AskedServer => ({ id, serverId: server_id, name }))
  )

  /** Shows each server's sums once they are complete. `only`: the one group that is looked at. */
  const sumUp = Effect.fnUntraced(function* (
    { regrouping, window, ...asked }: Asked,
    servers: ReadonlyArray<AskedServer>,
    steps: Steps,
    show: (place: number, sums: ServerSums) => void,
    only?: { readonly id: number | undefined; readonly is: (group: number) => boolean }
  ) {
    const { reader, shape } = yield* known(asked)
    // Mostly it is one: of regrouped names, several servers may be under way.
    const free: Array<ServerSums> = []
    const places = new Map(servers.map(({ id }, place) => [id, place]))
    yield* reader.read(
      [...places.keys()],
      window,
      (id) => {
        const sums = free.pop() ?? new ServerSums(shape, steps, window.to, only?.is)
        sums.clear()
        const end = () => {
          show(places.get(id)!, sums)
          free.push(sums)
        }
        return { scrape: sums.scrape, bucket: sums.bucket, end }
      },
      { usable: usableLevels(steps.width), group: only?.id, regrouping }
    )
  })

  const add = Effect.fnUntraced(function* (asked: Asked) {
    const { shape } = yield* known(asked)
    const servers = yield* allServers
    const steps = fleetSteps(asked.window, servers.length, STEPS_MAX)
    const table = new FleetTable(shape, steps)
    yield* sumUp(asked, servers, steps, (place, sums) => table.add(place, sums))
    const { regrouping } = asked
    const found = yield* namesOf(scrapes, regrouping)(table.groups)
    const names = table.groups.map((group) => found.get(group) ?? "")
    const peakIsBound = regrouping === undefined ? undefined : boundsOf(regrouping, table, servers)
    return { table, servers, names, byName: inOrderOfNames(names), peakIsBound } satisfies Added as Added
  }, answering("add up the groups of the fleet"))

  const added = yield* Cache.makeWith(add, { capacity: WINDOWS_KEPT, timeToLive: whileFresh })

  /** Names that match, were not seen in the window, and when they were. */
  const findGone = Effect.fnUntraced(function* (request: RankedGroupsRequest, { names }: Added) {
    const { search, window } = request
    const there = new Set(names)
    const rows = yield* sql<{ readonly id: number; readonly value: string; readonly day: number }>`
      select entry.id, entry.value, entry.used_until - date '1970-01-01' as day from admiral.label_values as entry
      where position(lower(${search}::text) in lower(entry.value)) > 0
      order by entry.used_until desc, entry.id desc limit ${GONE_CANDIDATES}`
    const candidates = rows.filter(({ value }) => !there.has(value) && matches(value, search)).slice(0, GONE_MAX)
    const { reader, shape } = yield* known(request)
    const ids = candidates.length === 0 ? [] : (yield* allServers).map(({ id }) => id)
    const found = yield* Effect.forEach(candidates, ({ day, id, value }) => {
      const until = (day + 1) * DAY_MICROS
      return Effect.map(
        lastRan(reader, shape, ids, id, { from: until - GONE_DAYS_MAX * DAY_MICROS, to: until }),
        (lastSeen) => ({ name: value, lastSeen })
      )
    })
    return found
      .flatMap(({ lastSeen, name }) =>
        lastSeen === undefined || (lastSeen > window.from && lastSeen <= window.to) ? [] : [{ name, lastSeen }]
      )
      .sort((a, b) => b.lastSeen - a.lastSeen)
  })

  const ranked = Effect.fn("FleetGroups.ranked")(function* (request: RankedGroupsRequest) {
    const { by, exporter, limit, metric, offset, regrouping, search } = request
    const { answered, shape } = yield* known(request)
    const window = fleetWindow(request.window)
    const all = yield* Cache.get(added, { exporter, metric: answered, window, regrouping })
    const { table } = all
    const matching = all.byName.filter((place) => matches(all.names[place]!, search))
    const value = orderOf(table, metric, by)
    const listed = matching.sort((a, b) => value(b) - value(a)).slice(offset, offset + limit)
    const gone =
      matching.length > 0 || search === "" || regrouping !== undefined
        ? []
        : yield* findGone({ ...request, window }, all).pipe(answering("find names"))
    return {
      ...frameOf(shape, window, table.steps, 1),
      servers: {
        all: all.servers.length,
        seen: table.seen,
        coverage:
          table.seen === 0 ? 0 : Math.min(1, (table.covered * 1_000_000) / (window.to - window.from) / table.seen)
      },
      totals: Object.fromEntries(shape.rankings.map(({ key, totalScale }, n) => [key, table.totals[n]! * totalScale])),
      groups: listed.map((place) => groupOf(all, place, metric)),
      matching: matching.length,
      all: all.names.length,
      beyond: table.beyond,
      gone
    }
  })

  /** What is left of memory and swap by the latest scrape of each host; those that do not tell are left out. */
  const availableAt = Effect.fnUntraced(function* (servers: ReadonlyArray<number>, window: Window) {
    const available = host?.host?.memoryAvailable
    if (host === undefined || available === undefined || servers.length === 0) return new Map<number, number>()
    const columns = [available, ...(host.host?.swapFree === undefined ? [] : [host.host.swapFree])]
    const latest = yield* scrapes.latest(host.name, servers, 1, window.from, window.to, columns)
    return new Map(
      [...latest].flatMap(([server, [row]]) => {
        const [memory, swap] = (row?.values ?? []).map(([value]) => value!)
        // Swap that nobody tells of is none that anybody can count on.
        return memory === undefined || Number.isNaN(memory) ? [] : [[server, memory + (swap || 0)] as const]
      })
    )
  })

  /** The group that is looked at; undefined where nothing was ever called so. What rules make has no id before it is read. */
  const oneCalled = Effect.fnUntraced(function* (name: string, regrouping: Regrouping | undefined) {
    if (regrouping !== undefined) {
      return { id: undefined, is: (group: number) => group === regrouping.groupOf(name) }
    }
    const id = (yield* scrapes.idsOf([name])).get(name)
    return id === undefined ? undefined : { id, is: (group: number) => group === id }
  })

  const spread = Effect.fnUntraced(function* ({ name, ...asked }: Asked & { readonly name: string }) {
    const { shape } = yield* known(asked)
    const servers = yield* allServers
    const steps = fleetSteps(asked.window, servers.length, GROWTH_STEPS_MAX)
    const { regrouping } = asked
    const one = yield* oneCalled(name, regrouping)
    const found: Array<{
      readonly id: number
      readonly growth: Growth | null
      readonly row: Omit<ServerRow, "growth">
    }> = []
    if (one !== undefined) {
      const show = (place: number, sums: ServerSums) => {
        if (sums.groups.length === 0) return
        const { id, name, serverId } = servers[place]!
        const peakIsBound = regrouping === undefined ? {} : { peakIsBound: hasBound(regrouping, id, sums) }
        const row = { serverId, serverName: name, ...summedUp(shape, steps, sums), ...peakIsBound }
        const ran = row.lastSeen !== null || Object.values(row.values).some(({ total }) => total > 0)
        if (ran) found.push({ id, growth: sums.growthOf(0), row })
      }
      yield* sumUp(asked, servers, steps, show, one)
    }
    const growing = found.flatMap(({ growth, id }) => (growth === null ? [] : [id]))
    const available = yield* availableAt(growing, asked.window)
    return {
      steps,
      servers: found.map(({ growth, id, row }) => ({
        ...row,
        growth: growth === null ? null : { ...growth, exhaustsIn: exhaustsIn(growth, available.get(id) ?? null) }
      }))
    } satisfies Spread as Spread
  }, answering("read one group of all servers"))

  const spreads = yield* Cache.makeWith(spread, { capacity: GROUPS_KEPT, timeToLive: whileFresh })

  const servers = Effect.fn("FleetGroups.servers")(function* (request: GroupServersRequest) {
    const { by, exporter, limit, metric, name, offset, regrouping } = request
    const { answered, shape } = yield* known(request)
    const window = fleetWindow(request.window)
    const found = yield* Cache.get(spreads, { exporter, metric: answered, window, regrouping, name })
    const n = shape.rankings.findIndex(({ key }) => key === metric)
    const value = ({ growth, values }: ServerRow) => (by === "growth" ? (growth?.perHour ?? 0) : values[metric]![by])
    return {
      ...frameOf(shape, window, found.steps, togetherOf(found.steps)),
      growthStepSeconds: found.steps.width / 1_000_000,
      servers: found.servers
        .toSorted((a, b) => value(b) - value(a) || compareBytes(a.serverId, b.serverId))
        .slice(offset, offset + limit)
        .map(({ trends, ...server }) => ({ ...server, trend: trends[n]! })),
      all: found.servers.length
    }
  })

  return FleetGroups.of({ ranked, servers })
})

export const layer: Layer.Layer<FleetGroups, never, PgClient.PgClient | Registry> = Layer.effect(
  FleetGroups,
  make
).pipe(Layer.provide(Scrapes.layer))

/** A failure is not kept. */
const whileFresh = <A, E>(exit: Exit.Exit<A, E>) => (Exit.isSuccess(exit) ? FRESH_FOR : 0)

const matches = (name: string, search: string): boolean => name.toLowerCase().includes(search.toLowerCase())

const inOrderOfNames = (names: ReadonlyArray<string>): ReadonlyArray<number> => {
  const bytes = names.map((name) => Buffer.from(name))
  return Array.from(names.keys()).sort((a, b) => Buffer.compare(bytes[a]!, bytes[b]!))
}

/** Whether a peak of a place, on the server where it is highest, is the sum of its members' peaks in a bucket. */
const boundsOf =
  (regrouping: Regrouping, { groups, rankings, shape }: FleetTable, servers: ReadonlyArray<AskedServer>) =>
  (place: number): boolean =>
    shape.rankings.some((ranking, n) => {
      const { highest, peak } = rankings[n]!
      return regrouping.isBound(servers[highest[place]!]!.id, groups[place]!, ranking, peak[place]!)
    })

/** The same of the one group that was looked at on a server. */
const hasBound = (regrouping: Regrouping, server: number, sums: ServerSums): boolean =>
  sums.shape.rankings.some((ranking) => regrouping.isBound(server, sums.groups[0]!, ranking, sums.peakOf(ranking, 0)))

// -- how it is shown

const frameOf = (
  { rankings }: FleetShape,
  window: Window,
  { count, first, width }: Steps,
  together: number
): Frame => ({
  window,
  first: (first + together - 1) * width,
  stepSeconds: (together * width) / 1_000_000,
  steps: Math.ceil(count / together),
  units: Object.fromEntries(rankings.map(({ key, peakUnit, totalUnit }) => [key, { total: totalUnit, peak: peakUnit }]))
})

/** What a list is ordered by, of a place in the table. */
const orderOf = ({ growth, rankings, shape }: FleetTable, metric: string, by: FleetOrder) => {
  const columns = rankings[shape.rankings.findIndex(({ key }) => key === metric)]!
  const values = by === "growth" ? growth : columns[by]
  return (place: number): number => values[place]!
}

const groupOf = ({ names, peakIsBound, servers, table }: Added, place: number, metric: string): FleetGroup => {
  const { steps } = table
  const serverOf = (server: number) => servers[server]!.serverId
  const lastSeen = table.lastSeen[place]!
  const asked = table.shape.rankings.findIndex(({ key }) => key === metric)
  const trend = table.rankings[asked]!.trend.subarray(place * steps.count, (place + 1) * steps.count)
  const { peakScale } = table.shape.rankings[asked]!
  return {
    name: names[place]!,
    servers: table.servers[place]!,
    lastSeen: Number.isFinite(lastSeen) ? lastSeen : null,
    values: Object.fromEntries(
      table.shape.rankings.map(({ key, peakScale, totalScale }, n) => {
        const { highest, peak, total, worst, worstTotal } = table.rankings[n]!
        const worstOne = { serverId: serverOf(worst[place]!), total: worstTotal[place]! * totalScale }
        return [
          key,
          {
            total: total[place]! * totalScale,
            peak: peak[place]! * peakScale,
            worst: worstOne,
            highest: serverOf(highest[place]!)
          }
        ]
      })
    ),
    trend: Array.from(trend, (value) => (Number.isNaN(value) ? null : value * peakScale)),
    growth:
      table.growing[place] === 0
        ? null
        : {
            perHour: table.growth[place]!,
            servers: table.growing[place]!,
            fastest: serverOf(table.fastest[place]!)
          },
    ...(peakIsBound === undefined ? {} : { peakIsBound: peakIsBound(place) })
  }
}

/** How many steps make one value of a trend. */
const togetherOf = ({ count }: Steps): number => Math.ceil(count / TREND_VALUES_MAX)

/** The one group that was looked at on a server. */
const summedUp = ({ rankings }: FleetShape, steps: Steps, sums: ServerSums) => {
  const lastSeen = sums.lastSeenOf(0)
  const together = togetherOf(steps)
  return {
    lastSeen: Number.isNaN(lastSeen) ? null : lastSeen,
    values: Object.fromEntries(
      rankings.map((ranking) => [
        ranking.key,
        { total: sums.totalOf(ranking, 0) * ranking.totalScale, peak: sums.peakOf(ranking, 0) * ranking.peakScale }
      ])
    ),
    trends: rankings.map((ranking) =>
      Array.from({ length: Math.ceil(steps.count / together) }, (_, n) => {
        const value = sums.valueIn(ranking, 0, n * together, Math.min(steps.count, (n + 1) * together))
        return Number.isNaN(value) ? null : value * ranking.peakScale
      })
    )
  }
}
