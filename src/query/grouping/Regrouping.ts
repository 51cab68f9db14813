/**
 * Names put together in an answer: scrapes and buckets whose groups are those that a rule set shows. Every answer that ranks
 * groups reads its window through it (`WindowReader.ts`), so none has a rule of its own.
 *
 * Guarantee: increases and levels are added up scrape by scrape, before peaks are taken, so the numbers are those that a single
 * group with all the members' processes would have had. A bucket has only the peaks of its members, which need not have been at
 * the same time: there the sum of them is taken, which the true peak does not exceed, and {@link Regrouping.boundsOf} says so.
 * Nothing that is stored changes; where no rule takes any name, answers are the same to the last bit.
 *
 * A group that is shown under a name of its own keeps its id; one that rules make has an id below 0, which means something
 * within this answer only. Made for each answer. Two are equal where they are of the same version: answers that are kept are
 * found by it. Bound: what the answer's groups are called.
 */
import { Effect, Equal, Hash } from "effect"
import type { Scrapes } from "../../sinks/storage/Scrapes.ts"
import type { Aggregate, Summary } from "../Aggregate.ts"
import type { AnswerShape } from "../AnswerFields.ts"
import { type Measured, sumGroups } from "../Increases.ts"
import type { Visitor } from "../WindowReader.ts"
import type { GroupingVersion } from "./Rules.ts"

/** What a name is shown as, and what looking it up costs at most, in steps. */
export interface Shown {
  readonly of: (name: string) => string
  readonly cost: (name: string) => number
}

type Ranking = AnswerShape["rankings"][number]

/** Names of groups by their ids. */
type NamesOf<E> = (ids: ReadonlyArray<number>) => Effect.Effect<ReadonlyMap<number, string>, E>

/** Some 20 ms of the worst patterns: then others have their turn. */
export const STEPS_AT_ONCE = 500_000

export class Regrouping implements Equal.Equal {
  readonly grouping: GroupingVersion
  private readonly shown: Shown
  /** The group that each id belongs to. */
  private readonly groups = new Map<number, number>()
  private readonly idsOfNames = new Map<string, number>()
  private readonly names = new Map<number, string>()
  private readonly bounds = new Map<number, Map<number, Bounds>>()
  private made = 0
  private latest: Placing | undefined

  constructor(grouping: GroupingVersion, shown: Shown) {
    this.grouping = grouping
    this.shown = shown
  }

  [Equal.symbol](that: Equal.Equal): boolean {
    return that instanceof Regrouping && Equal.equals(this.grouping, that.grouping)
  }

  [Hash.symbol](): number {
    return Hash.hash(this.grouping)
  }

  /** Finds out what the groups with these ids are shown as: to be done before any of them is looked at. */
  learn<E>(ids: Iterable<number>, namesOf: NamesOf<E>): Effect.Effect<void, E> {
    const { groups, shown } = this
    const unknown = [...new Set(ids)].filter((id) => !groups.has(id))
    if (unknown.length === 0) return Effect.void
    const place = (id: number, name: string) => this.place(id, name)
    return Effect.gen(function* () {
      const names = yield* namesOf(unknown)
      let steps = 0
      for (const id of unknown) {
        const name = names.get(id) ?? ""
        steps += shown.cost(name)
        place(id, name)
        if (steps < STEPS_AT_ONCE) continue
        steps = 0
        yield* Effect.yieldNow
      }
    })
  }

  private place(id: number, name: string): void {
    const shown = this.shown.of(name)
    const known = this.idsOfNames.get(shown)
    const group = known ?? (shown === name ? id : --this.made)
    if (known === undefined) {
      this.idsOfNames.set(shown, group)
      this.names.set(group, shown)
    }
    this.groups.set(id, group)
  }

  /** The group that a group is shown as, of those that were learnt. */
  shownAs(id: number): number {
    return this.groups.get(id) ?? id
  }

  /** What a name is shown as, whether a group has it or not. */
  shownOf(name: string): string {
    return this.shown.of(name)
  }

  /** What a group is called. */
  nameOf(group: number): string {
    return this.names.get(group) ?? ""
  }

  /** The group of that name, of those that were learnt. */
  groupOf(name: string): number | undefined {
    return this.idsOfNames.get(name)
  }

  /** The latest scrapes of some servers with the groups that are shown. */
  scrapes<E>(
    latest: ReadonlyMap<number, Measured>,
    namesOf: NamesOf<E>
  ): Effect.Effect<ReadonlyMap<number, Measured>, E> {
    const ids = new Set([...latest.values()].flatMap(({ groups }) => [...groups]))
    return Effect.map(
      this.learn(ids, namesOf),
      () => new Map([...latest].map(([server, scrape]) => [server, this.scrape(scrape)]))
    )
  }

  /** The same scrape with the groups that are shown. */
  scrape(scrape: Measured): Measured {
    const placing = this.placing(scrape.groups)
    return placing === undefined ? scrape : sumGroups(scrape, placing.slots, placing.groups)
  }

  /** Shows a visitor the groups that are shown, in what it is shown of a server. */
  visitor(server: number, visitor: Visitor): Visitor {
    return {
      ...visitor,
      scrape: (scrape) => visitor.scrape(this.scrape(scrape)),
      bucket: (end, summary) => visitor.bucket(end, this.bucket(server, summary))
    }
  }

  /** Of the slots of a server's window: whether a ranked peak is the sum of its members' peaks in a bucket. */
  boundsOf(server: number, rankings: ReadonlyArray<Ranking>, sums: Aggregate): (slot: number) => boolean {
    return (slot) =>
      rankings.some((ranking) => {
        const { by, n } = ranking
        const peak = by === "rate" ? sums.counters[n]!.peak[slot]! : sums.gauges[n]!.max[slot]!
        return this.isBound(server, sums.groups[slot]!, ranking, peak)
      })
  }

  /** Whether such a peak of a group that was shown of a server is the sum of its members' peaks in a bucket. */
  isBound(server: number, group: number, { by, n }: Pick<Ranking, "by" | "n">, peak: number): boolean {
    const bounds = this.bounds.get(server)?.get(group)
    const most = (by === "rate" ? bounds?.counter : bounds?.gauge)?.[n]
    return most !== undefined && most >= peak
  }

  /** Whether any peak of a group that was shown of a server is such a sum. */
  hasBounds(server: number, name: string): boolean {
    return this.bounds.get(server)?.has(this.idsOfNames.get(name) ?? 0) === true
  }

  private bucket(server: number, summary: Summary): Summary {
    const placing = this.placing(summary.groups)
    if (placing === undefined) return summary
    this.remember(server, summary, placing)
    return sumSummary(summary, placing)
  }

  /** Where several members have a peak in a bucket, the highest sum of them is kept. */
  private remember(server: number, summary: Summary, { groups, slots }: Placing): void {
    const own = this.bounds.get(server) ?? new Map<number, Bounds>()
    const note = (kind: "counter" | "gauge", n: number, peaks: ArrayLike<number>) => {
      const { several, sums } = peaksOf(peaks, summary, { slots, groups })
      for (let slot = 0; slot < groups.length; slot++) {
        if (several[slot]! < 2) continue
        const bounds = own.get(groups[slot]!) ?? { counter: [], gauge: [] }
        bounds[kind][n] = Math.max(bounds[kind][n] ?? Number.NEGATIVE_INFINITY, sums[slot]!)
        own.set(groups[slot]!, bounds)
      }
    }
    for (const [n, { peak }] of summary.counters.entries()) note("counter", n, peak)
    for (const [n, { max }] of summary.gauges.entries()) note("gauge", n, max)
    if (own.size > 0) this.bounds.set(server, own)
  }

  /** Undefined where every group is shown under its own id. Mostly the same groups come in the same order. */
  private placing(ids: ArrayLike<number>): Placing | undefined {
    if (this.latest === undefined || !areSame(this.latest.ids, ids)) this.latest = this.makePlacing(ids)
    return this.latest.isIdentity ? undefined : this.latest
  }

  private makePlacing(ids: ArrayLike<number>): Placing {
    const slots = new Int32Array(ids.length)
    const slotOf = new Map<number, number>()
    let isIdentity = true
    for (let n = 0; n < ids.length; n++) {
      const id = ids[n]!
      const group = this.groups.get(id) ?? id
      if (group !== id) isIdentity = false
      const slot = slotOf.get(group) ?? slotOf.size
      slotOf.set(group, slot)
      slots[n] = slot
    }
    return { ids: Int32Array.from(ids), slots, groups: Int32Array.from(slotOf.keys()), isIdentity }
  }
}

/** What the groups of an answer are called, with its regrouping or without one. */
export const namesOf =
  (scrapes: Scrapes["Service"], regrouping: Regrouping | undefined) => (groups: ReadonlyArray<number>) =>
    regrouping === undefined
      ? scrapes.names(groups)
      : Effect.succeed<ReadonlyMap<number, string>>(new Map(groups.map((group) => [group, regrouping.nameOf(group)])))

/** Per counter and gauge, the highest sum of several members' peaks; a hole where there was none. */
interface Bounds {
  readonly counter: Array<number>
  readonly gauge: Array<number>
}

/** For each member, the place of its group in `groups`. */
interface Members {
  readonly slots: Int32Array
  readonly groups: Int32Array
}

/** Where the values of some ids belong. */
interface Placing extends Members {
  readonly ids: Int32Array
  readonly isIdentity: boolean
}

const areSame = (known: Int32Array, ids: ArrayLike<number>): boolean => {
  if (known.length !== ids.length) return false
  for (let n = 0; n < known.length; n++) if (known[n] !== ids[n]) return false
  return true
}

// -- a bucket

/**
 * The sum of the members' peaks, which the peak of their sum does not exceed, and how many of them are not 0. A member that was
 * not in every scrape was 0 in the others.
 */
const peaksOf = (peaks: ArrayLike<number>, { rows, scrapes }: Summary, { groups, slots }: Members) => {
  const members = new Uint32Array(groups.length)
  for (let n = 0; n < slots.length; n++) members[slots[n]!]! += 1
  const sums = new Float64Array(groups.length).fill(Number.NaN)
  const several = new Uint32Array(groups.length)
  for (let n = 0; n < slots.length; n++) {
    const slot = slots[n]!
    const wasAbsent = members[slot]! > 1 && rows[n]! < scrapes
    const peak = wasAbsent ? Math.max(0, peaks[n]!) : peaks[n]!
    if (Number.isNaN(peak)) continue
    sums[slot] = Number.isNaN(sums[slot]!) ? peak : sums[slot]! + peak
    if (peak !== 0) several[slot]! += 1
  }
  return { sums, several }
}

const sumSummary = (summary: Summary, { groups, slots }: Members): Summary => {
  const count = groups.length
  const lastAts = new Float64Array(count).fill(Number.NEGATIVE_INFINITY)
  const lastAtOf = (n: number) => summary.groupsLastAt?.[n] ?? summary.lastAt
  for (let n = 0; n < slots.length; n++) lastAts[slots[n]!] = Math.max(lastAts[slots[n]!]!, lastAtOf(n))
  /** What the latest scrape with any member said: of a member that was not in it, nothing. */
  const last = (values: ArrayLike<number>) =>
    added(values, slots, count, (n) => lastAtOf(n) === lastAts[slots[n]!]! && !Number.isNaN(values[n]!))
  const known = (values: ArrayLike<number>) => added(values, slots, count, (n) => !Number.isNaN(values[n]!))
  const counts = (values: ArrayLike<number> | undefined) =>
    values === undefined ? undefined : added(values, slots, count, () => true, 0)
  return {
    ...summary,
    groups,
    rows: most(summary.rows, slots, count),
    groupsLastAt: lastAts,
    counters: summary.counters.map(({ clamped, increase, now, peak, resets, unknown }) => ({
      increase: known(increase),
      peak: peaksOf(peak, summary, { groups, slots }).sums,
      now: last(now),
      resets: counts(resets),
      clamped: counts(clamped),
      unknown: counts(unknown)
    })),
    gauges: summary.gauges.map(({ count: scrapes, last: latest, max, sum }) => ({
      sum: known(sum),
      max: peaksOf(max, summary, { groups, slots }).sums,
      last: last(latest),
      count: scrapes === undefined ? undefined : most(scrapes, slots, count)
    }))
  }
}

/** The sum of some values of each slot; `none` where there are none. */
const added = (
  values: ArrayLike<number>,
  slots: Int32Array,
  count: number,
  counts: (n: number) => boolean,
  none = Number.NaN
): Float64Array => {
  const sums = new Float64Array(count).fill(none)
  for (let n = 0; n < slots.length; n++) {
    if (!counts(n)) continue
    const slot = slots[n]!
    sums[slot] = Number.isNaN(sums[slot]!) ? values[n]! : sums[slot]! + values[n]!
  }
  return sums
}

/** In how many scrapes any member was: at least in as many as one of them. It matters only where values are not known. */
const most = (values: ArrayLike<number>, slots: Int32Array, count: number): Float64Array => {
  const highest = new Float64Array(count)
  for (let n = 0; n < slots.length; n++) highest[slots[n]!] = Math.max(highest[slots[n]!]!, values[n]!)
  return highest
}
