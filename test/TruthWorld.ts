/**
 * Generated rows: some hours of a server on which much goes wrong, by seed. Its exporters fall silent, each by itself, and
 * restart; its clock is set; CPUs, disks and interfaces come and go; groups are there, appear, and are gone; values are
 * missing, equal, or impossible.
 *
 * Nothing here knows how any of it is counted.
 */

import type { Snapshot } from "../src/plugins/Snapshot.ts"
import { seededRandom } from "./Seeded.ts"
import { nodeRow, poolRow, processRow, queueRow, SECOND } from "./TruthRows.ts"

interface Chance {
  readonly next: () => number
  readonly between: (low: number, high: number) => number
  /** True once in so many times. */
  readonly once: (in_: number) => boolean
}

const chanceOf = (seed: number): Chance => {
  const next = seededRandom(seed)
  return { next, between: (low, high) => low + next() * (high - low), once: (in_) => next() < 1 / in_ }
}

const toMicros = (t: number) => Math.round(t * SECOND) / SECOND

/** The rows of some hours. */
export const generated = (serverId: string, seed: number, hours: number): ReadonlyArray<Snapshot> => {
  const chance = chanceOf(seed)
  const clock = makeClock(chance)
  const sources = [
    makeSource(chance, makeProcesses(serverId, chance)),
    makeSource(chance, makeHost(serverId, chance)),
    makeSource(chance, makeQueues(serverId, chance))
  ]
  const rows: Array<Snapshot> = []
  let real = 0
  let before = 0
  while (real < hours * 3_600) {
    real += chance.once(250)
      ? chance.between(100, 900)
      : chance.once(10)
        ? chance.between(16, 90)
        : 15 + chance.between(-0.4, 0.4)
    clock.tick()
    for (const scrape of sources) rows.push(...scrape(real, real - before, clock))
    before = real
  }
  return rows
}

/** The rows in another order, some of them twice. */
export const shuffled = (rows: ReadonlyArray<Snapshot>, seed: number): ReadonlyArray<Snapshot> => {
  const next = seededRandom(seed)
  const all = [...rows, ...rows.filter(() => next() < 0.1)]
  for (let n = all.length - 1; n > 0; n--) {
    const other = Math.floor(next() * (n + 1))
    const swapped = all[n]!
    all[n] = all[other]!
    all[other] = swapped
  }
  return all
}

interface Clock {
  readonly tick: () => void
  /** What the clock says at a moment, in seconds. */
  readonly at: (real: number) => number
  /** When something began, as the clock would have said at that moment; by less than a second off. */
  readonly since: (real: number) => number
}

/** A clock that is set now and then, and never by much in all. */
const makeClock = ({ between, once }: Chance): Clock => {
  let ahead = 0
  // Who dates beginnings may be on another machine than who dates rows.
  const foreign = once(4) ? between(-50, 50) : 0
  return {
    tick: () => {
      if (!once(60)) return
      const step = once(4) ? between(-2, 2) : once(2) ? between(2, 100) : between(-100, -2)
      if (Math.abs(ahead + step) < 250) ahead = once(10) ? 0 : ahead + step
    },
    at: (real) => toMicros(real + ahead),
    since: (real) => toMicros(real + ahead + foreign + (once(3) ? between(-0.9, 0.9) : 0))
  }
}

/** What an exporter tells at a moment, so many seconds after it could have been asked before. */
type Scrape = (t: number, elapsed: number, since: () => number | undefined) => ReadonlyArray<Snapshot>

/** An exporter: it is silent for some time, of either more or less than `staleAfter`, and some do not say when they began. */
const makeSource = (
  { between, next, once }: Chance,
  source: { readonly scrape: Scrape; readonly restart: () => void }
) => {
  let began = -1_000
  let silentUntil = 0
  let tells = next() < 0.9
  let late = 0
  return (real: number, elapsed: number, clock: Clock): ReadonlyArray<Snapshot> => {
    late += elapsed
    if (once(300)) silentUntil = real + (once(2) ? between(20, 290) : between(290, 900))
    if (once(120)) {
      began = real - between(0, 14)
      source.restart()
    }
    if (once(200)) tells = !tells
    if (real < silentUntil) return []
    const t = clock.at(real + between(-0.05, 3))
    const taken = source.scrape(t, late, () => (tells && !once(50) ? clock.since(began) : undefined))
    late = 0
    return taken
  }
}

const makeProcesses = (serverId: string, { between, next, once }: Chance) => {
  interface Group {
    readonly name: string
    cpu: number
    memory: number
    /** How many scrapes it is still there, or, below 0, still gone. */
    left: number
  }
  const groups = ["a", "b", "é", "Z", "", "z z", "short", "shorter"].map(
    (name, n): Group => ({ name, cpu: 0, memory: 2 ** 20, left: n < 4 ? Number.POSITIVE_INFINITY : -10 * n })
  )
  const one = (group: Group, n: number, elapsed: number) => {
    group.cpu += once(100)
      ? between(50, 500)
      : n < 2
        ? elapsed / 10
        : elapsed * (once(10) ? between(0, 6) : between(0, 0.7))
    group.memory = n < 2 ? 2 ** 24 : Math.floor(between(0, 2 ** 31))
  }
  const comesAndGoes = (group: Group) => {
    if (group.left > 0 && --group.left === 0) group.left = -Math.ceil(between(1, once(3) ? 100 : 10))
    if (group.left < 0 && ++group.left === 0) {
      group.left = Math.ceil(between(1, 12))
      // Its exporter has forgotten it, or not.
      if (once(2)) group.cpu = 0
    }
  }
  const scrape: Scrape = (t, elapsed, since) => {
    const began = since()
    return groups.flatMap((group, n) => {
      comesAndGoes(group)
      if (group.left < 0 || next() < 0.1) return []
      one(group, n, elapsed)
      const procs = once(10) ? 0 : 2
      return [processRow(serverId, t, group.name, group.cpu, { memory: group.memory, procs, since: began })]
    })
  }
  return {
    scrape,
    restart: () => {
      for (const group of groups) if (next() < 0.7) group.cpu = 0
    }
  }
}

/** Things of which a host's counters are sums: each has counted by itself, and keeps that while it is gone. */
const makeThings = ({ between, next, once }: Chance, count: number, rate: (elapsed: number) => number) => {
  const things = Array.from({ length: count }, () => ({ here: true, counted: between(0, 1e4) * rate(1) }))
  let named = next() < 0.8
  return {
    grow: (elapsed: number) => {
      if (once(120)) named = !named
      if (once(100)) {
        const thing = things[Math.floor(next() * count)]!
        thing.here = !thing.here || things.filter(({ here }) => here).length === 1
        if (once(3)) thing.counted = 0
      }
      for (const thing of things) if (thing.here) thing.counted += rate(elapsed)
    },
    restart: () => {
      for (const thing of things) thing.counted = 0
    },
    count: () => things.filter(({ here }) => here).length,
    sum: () => things.reduce((sum, { counted, here }) => (here ? sum + counted : sum), 0),
    /** A whole number for each choice of things, where the exporter tells. */
    set: () => (named ? things.reduce((set, { here }, n) => (here ? set + 2 ** n : set), 0) : null)
  }
}

const makeHost = (serverId: string, chance: Chance) => {
  const { between, next, once } = chance
  // The share of its time that each CPU spends on user programs changes by the hour; a quarter as much is the kernel's.
  const cpus = makeThings(chance, 8, (elapsed) => elapsed * between(0, 0.6))
  const disks = makeThings(chance, 3, (elapsed) => elapsed * between(0, 1e6))
  const interfaces = makeThings(chance, 4, (elapsed) => elapsed * between(0, 1e8))
  const scrape: Scrape = (t, elapsed, since) => {
    for (const things of [cpus, disks, interfaces]) things.grow(elapsed)
    if (next() < 0.05) return []
    const user = cpus.sum()
    return [
      nodeRow(
        serverId,
        t,
        {
          cpu_cores: once(100) ? null : cpus.count(),
          cpu_set: cpus.set(),
          memory_total_bytes: 2 ** 31,
          cpu_user_seconds: Math.max(0, user + (once(200) ? between(50, 500) : once(50) ? -between(0, 4) : 0)),
          cpu_system_seconds: once(100) ? null : user / 4,
          cpu_idle_seconds: user * 1.5,
          cpu_iowait_seconds: Math.max(0, user / 100 - (once(4) ? 0.01 : 0)),
          disk_set: disks.set(),
          disk_io_time_seconds_total: disks.sum() / 1e7,
          disk_read_bytes_total: disks.sum(),
          network_set: interfaces.set(),
          network_receive_bytes_total: interfaces.sum(),
          load_1min: between(0, 8)
        },
        { since: since() }
      )
    ]
  }
  return {
    scrape,
    restart: () => {
      for (const things of [cpus, disks, interfaces]) things.restart()
    }
  }
}

/** Groups of several series, and groups of one whose counter is a sum. */
const makeQueues = (serverId: string, chance: Chance) => {
  const { between, next, once } = chance
  const queues = ["q1", "q2", "q3"].flatMap((queue) => ["n1", "n2"].map((node) => ({ queue, node, jobs: 0, sent: 0 })))
  const pools = ["p1", "p2"].map((name) => ({
    name,
    members: makeThings(chance, 3, (elapsed) => elapsed * between(0, 9))
  }))
  const scrape: Scrape = (t, elapsed, since) => [
    ...queues.flatMap((queue) => {
      if (next() < 0.2) return []
      queue.jobs = once(50) ? 0 : queue.jobs + Math.floor(between(0, 100))
      queue.sent += between(0, 1e6)
      return [
        queueRow(serverId, t, [queue.node, queue.queue], queue.jobs, {
          sent: once(10) ? null : queue.sent,
          depth: Math.floor(between(0, 9)),
          temperature: once(5) ? null : between(-20, 20),
          since: since()
        })
      ]
    }),
    ...pools.flatMap(({ members, name }) => {
      members.grow(elapsed)
      if (next() < 0.1) return []
      const work = once(20) ? null : members.sum()
      return [poolRow(serverId, t, name, work, { members: members.set() ?? undefined, since: since() })]
    })
  ]
  return {
    scrape,
    restart: () => {
      for (const queue of queues) queue.jobs = 0
      for (const { members } of pools) members.restart()
    }
  }
}
