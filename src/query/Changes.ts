/**
 * What changed between two windows, as a port and its pure part: a ledger of signed differences that add up to the host's own.
 * What every number means is in `docs/numbers.md` ("What changed").
 *
 * Guarantee: listed groups + `other` + `unaccounted` are `total` (1e-9 relative); swapping the windows swaps every sign.
 */
import { Context, type Effect } from "effect"
import type { UnknownServer } from "../access/Servers.ts"
import type { DatabaseUnavailable } from "../sinks/storage/DatabaseUnavailable.ts"
import type { Aggregate } from "./Aggregate.ts"
import { type AnswerShape, averageOf, levelNow, orZero } from "./AnswerFields.ts"
import { compareBytes } from "./ByteOrder.ts"
import type { Regrouping } from "./grouping/Regrouping.ts"
import type { Window } from "./Rankings.ts"

/** Below this coverage of a window the answer is partial. */
const COVERAGE_MIN = 0.8
/** In percent of a core: no share of a smaller change of CPU is told. */
const CPU_CHANGE_MIN = 1
/** No share of a change is told that is smaller than this part of the larger side. */
const CHANGE_SHARE_MIN = 0.01

/** One value before and after, in the ranking's unit: averages over the window. */
export interface Difference {
  readonly before: number
  readonly after: number
  readonly change: number
}

/** A line of the ledger. `share` is the change ÷ the total one, signed; null where that is too small to be shared out. */
export interface LedgerLine extends Difference {
  readonly share: number | null
}

export interface GroupChange extends LedgerLine {
  readonly name: string
  /** In no scrape of the window before, or of the one after, with anything running. */
  readonly appeared: boolean
  readonly gone: boolean
  /** Its counters began anew in the window after. */
  readonly restarted: boolean
  /** The `presence` gauge in the latest scrape of each window; null where none is declared. */
  readonly countBefore: number | null
  readonly countAfter: number | null
}

/** One of the two windows. */
export interface ComparedWindow {
  readonly serverId: string
  readonly window: Window
  readonly coveredSeconds: number
  readonly coverage: number
  readonly scrapes: number
}

export interface ChangesAnswer {
  /** Of all values: as the ranking's. */
  readonly unit: string
  readonly before: ComparedWindow
  readonly after: ComparedWindow
  /** One of the windows was seen for less than four fifths. */
  readonly partial: boolean
  readonly groups: ReadonlyArray<GroupChange>
  readonly other: LedgerLine & { readonly groups: number }
  /** Null where `total` is of the groups. */
  readonly unaccounted: LedgerLine | null
  /** The host's busy CPU where it is known in both windows, else the sum of all groups. */
  readonly total: LedgerLine & { readonly of: "host" | "groups" }
  /** CPU time of the host that was neither used nor free, in percent of a core; null where it is not known. Nobody's fault. */
  readonly waiting: ReadonlyArray<{
    readonly field: string
    readonly before: number | null
    readonly after: number | null
    readonly change: number | null
  }>
}

export interface ChangesRequest {
  readonly exporter: string
  readonly metric: string
  readonly limit: number
  readonly before: { readonly serverId: string; readonly window: Window }
  readonly after: { readonly serverId: string; readonly window: Window }
  /** Names are put together as its rules say. */
  readonly regrouping?: Regrouping | undefined
}

export class Changes extends Context.Service<
  Changes,
  {
    readonly between: (request: ChangesRequest) => Effect.Effect<ChangesAnswer, UnknownServer | DatabaseUnavailable>
  }
>()("nodepulse/query/Changes") {}

// -- the pure part

/** What was added up of a window. */
export interface Side {
  readonly serverId: string
  readonly window: Window
  readonly sums: Aggregate
}

/** The groups of both windows, those that changed most first; of equal ones the order is by name, which is yet to be looked up. */
export interface Ledger {
  readonly shape: AnswerShape
  readonly ranking: AnswerShape["rankings"][number]
  readonly before: Side
  readonly after: Side
  readonly limit: number
  readonly pairs: ReadonlyArray<Pair>
  /** The ids of the groups that can be listed. */
  readonly candidates: ReadonlyArray<number>
}

interface Pair extends Difference {
  readonly group: number
  readonly slotBefore: number | undefined
  readonly slotAfter: number | undefined
}

/** Compares two windows, group by group. */
export const ledgerOf = (shape: AnswerShape, metric: string, before: Side, after: Side, limit: number): Ledger => {
  const ranking = shape.rankings.find(({ key }) => key === metric)!
  const valueOf = ({ sums }: Side, slot: number | undefined) =>
    slot === undefined
      ? 0
      : orZero(averageOf({ shape, sums, lastSeen: sums.lastAt }, ranking, slot)) * ranking.fields.scale
  const pairs = [...new Set([...before.sums.groups, ...after.sums.groups])]
    .map((group): Pair => {
      const slotBefore = before.sums.slotOf(group)
      const slotAfter = after.sums.slotOf(group)
      return { group, slotBefore, slotAfter, ...difference(valueOf(before, slotBefore), valueOf(after, slotAfter)) }
    })
    .sort((a, b) => Math.abs(b.change) - Math.abs(a.change))
  const least = pairs.length > limit ? Math.abs(pairs[limit - 1]!.change) : 0
  const candidates = pairs.filter(({ change }) => Math.abs(change) >= least).map(({ group }) => group)
  return { shape, ranking, before, after, limit, pairs, candidates }
}

/** The answer: `names` are those of the candidates. */
export const changesOf = (
  ledger: Ledger,
  names: ReadonlyMap<number, string>,
  waiting: ChangesAnswer["waiting"]
): ChangesAnswer => {
  const { after, before, candidates, limit, pairs, ranking } = ledger
  const nameOf = ({ group }: Pair) => names.get(group) ?? ""
  const first = pairs
    .slice(0, candidates.length)
    .sort((a, b) => Math.abs(b.change) - Math.abs(a.change) || compareBytes(nameOf(a), nameOf(b)))
  const others = [...first.slice(limit), ...pairs.slice(candidates.length)]
  const groups = summed(pairs)
  const isCpu = ranking.by === "rate" && ranking.share === "cpu"
  const host = isCpu ? hostOf(before, after) : undefined
  const total = host ?? groups
  const least = isCpu ? CPU_CHANGE_MIN : CHANGE_SHARE_MIN * Math.max(Math.abs(total.before), Math.abs(total.after))
  const shared = (line: Difference): LedgerLine => ({
    ...line,
    share: total.change === 0 || Math.abs(total.change) < least ? null : line.change / total.change
  })
  const windows = [before, after].map(comparedOf) as [ComparedWindow, ComparedWindow]
  return {
    unit: ranking.fields.unit,
    before: windows[0],
    after: windows[1],
    partial: windows.some(({ coverage }) => coverage < COVERAGE_MIN),
    groups: first.slice(0, limit).map((pair) => ({
      name: nameOf(pair),
      ...shared({ before: pair.before, after: pair.after, change: pair.change }),
      ...lifeOf(ledger, pair)
    })),
    other: { groups: others.length, ...shared(summed(others)) },
    unaccounted: host === undefined ? null : shared(difference(host.before - groups.before, host.after - groups.after)),
    total: { of: host === undefined ? "groups" : "host", ...shared(total) },
    waiting
  }
}

/** Whether a group came, went or began anew, and how many there were of it. */
const lifeOf = ({ after, before, shape }: Ledger, { slotAfter, slotBefore }: Pair) => {
  const ran = (sums: Aggregate, slot: number | undefined) =>
    slot !== undefined && (shape.presence === undefined || sums.gauges[shape.presence.n]!.max[slot] !== 0)
  const count = (sums: Aggregate, slot: number | undefined) =>
    shape.presence === undefined
      ? null
      : slot === undefined
        ? 0
        : levelNow({ shape, sums, lastSeen: sums.lastAt }, shape.presence.n, slot)
  const [was, is] = [ran(before.sums, slotBefore), ran(after.sums, slotAfter)]
  return {
    appeared: is && !was,
    gone: was && !is,
    restarted: slotAfter !== undefined && after.sums.counters.some(({ resets }) => resets[slotAfter]! > 0),
    countBefore: count(before.sums, slotBefore),
    countAfter: count(after.sums, slotAfter)
  }
}

/** The host's busy CPU in the time that the groups' exporter covered; undefined where it is not known in both windows. */
const hostOf = (before: Side, after: Side): Difference | undefined => {
  const [was, is] = [before, after].map(({ sums: { common, covered } }) =>
    common.seconds === 0 || covered === 0 ? undefined : (100 * common.busy) / covered
  )
  return was === undefined || is === undefined ? undefined : difference(was, is)
}

const comparedOf = ({ serverId, sums, window }: Side): ComparedWindow => ({
  serverId,
  window,
  coveredSeconds: sums.covered,
  coverage: window.to <= window.from ? 0 : Math.min(1, (sums.covered * 1_000_000) / (window.to - window.from)),
  scrapes: sums.scrapes
})

const difference = (before: number, after: number): Difference => ({ before, after, change: after - before })

const summed = (lines: ReadonlyArray<Difference>): Difference => {
  const sum = (side: "before" | "after") => lines.reduce((total, line) => total + line[side], 0)
  return difference(sum("before"), sum("after"))
}
