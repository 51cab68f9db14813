/**
 * The known table: from readings to verdicts, with the thresholds and why they are what they are (`docs/verdict.md`). Pure.
 *
 * Guarantee: what is below its threshold is no verdict, and each sentence has the numbers that it rests on.
 */

import { compareBytes } from "./ByteOrder.ts"
import type { Window } from "./Rankings.ts"
import { JUDGED_MIN, VERDICTS_MAX, type Verdict, type VerdictAnswer } from "./Verdict.ts"
import { hostCpu, steal, throttled, waitsForCpu } from "./VerdictCpu.ts"
import type { HostReading, UnitReadings } from "./VerdictReadings.ts"
import { hostDisks, hostMemory, waitsForDisks, waitsForMemory } from "./VerdictWaits.ts"
import { count, type Found, shown } from "./VerdictWords.ts"

export interface VerdictParts {
  readonly window: Window
  /** Undefined where nothing was seen of it. */
  readonly host: HostReading | undefined
  readonly units: UnitReadings | undefined
  readonly resource: string | null
}

export const verdictOf = ({ host, resource, units, window }: VerdictParts): VerdictAnswer => {
  const isSeen = (one: { readonly coverage: number } | undefined) => one !== undefined && one.coverage >= JUDGED_MIN
  const [ofHost, ofUnits] = [isSeen(host) ? host : undefined, isSeen(units) ? units : undefined]
  const coverage = Math.max(host?.coverage ?? 0, units?.coverage ?? 0)
  const judged = ofHost !== undefined || ofUnits !== undefined
  const waits = [ofHost?.waited, ...(ofUnits?.units ?? []).map(({ waited }) => waited)]
  const noPressure = !waits.some(
    (waited) => waited !== undefined && Object.values(waited).some((told) => told !== null)
  )
  const found = judged ? judge(ofHost, ofUnits) : []
  return {
    window,
    coverage,
    judged,
    partial: [
      ...(ofHost === undefined ? ["host" as const] : []),
      ...(ofUnits === undefined ? ["units" as const] : []),
      ...(judged && noPressure ? ["pressure" as const] : [])
    ],
    units: ofUnits === undefined ? null : resource,
    sentence: judged ? wholeOf(found, ofUnits, noPressure) : tooLittle(coverage, window),
    verdicts: found.slice(0, VERDICTS_MAX)
  }
}

/** Killed first, then what a setting on the unit changes, then what takes more. */
const ORDER: ReadonlyArray<Verdict["kind"]> = ["throttled", "memory", "steal", "neighbours", "cores", "io"]

const judge = (host: HostReading | undefined, units: UnitReadings | undefined): ReadonlyArray<Found> => {
  const context = { host, units }
  const ofUnits = (units?.units ?? [])
    .filter(({ name }) => name !== units!.kernel)
    .flatMap((unit) => [
      throttled(unit, context),
      waitsForCpu(unit, context),
      waitsForMemory(unit, context),
      waitsForDisks(unit, context)
    ])
  const ofHost =
    host === undefined
      ? []
      : [steal(host), hostCpu(host, context, ofUnits), hostMemory(host), hostDisks(host, context, ofUnits)]
  const isKill = ({ evidence }: Found) => (evidence.oom_kills ?? 0) > 0
  return [...ofUnits, ...ofHost]
    .filter((verdict) => verdict !== undefined)
    .sort(
      (a, b) =>
        Number(isKill(b)) - Number(isKill(a)) ||
        ORDER.indexOf(a.kind) - ORDER.indexOf(b.kind) ||
        b.weight - a.weight ||
        compareBytes(a.subject.name ?? "", b.subject.name ?? "")
    )
}

const wholeOf = (found: ReadonlyArray<Found>, units: UnitReadings | undefined, noPressure: boolean): string => {
  const unseen = [...(units === undefined ? ["units"] : []), ...(noPressure ? ["pressure"] : [])]
  const but = unseen.length === 0 ? "" : ` This host does not tell of ${unseen.join(" and ")}.`
  if (found.length === 0) return `Nothing waits: no threshold is reached.${but}`
  const waiting = new Set(found.flatMap(({ subject }) => subject.name ?? []))
  const host = found.some(({ subject }) => subject.kind === "host")
  const who = [
    ...(waiting.size === 0 ? [] : [`${waiting.size} of ${count(units!.units.length, "unit", "units")}`]),
    ...(host ? ["the host as a whole"] : [])
  ]
  return `${capital(who.join(" and "))} ${waiting.size > 1 || who.length > 1 ? "wait" : "waits"}.${but}`
}

const capital = (text: string) => text.charAt(0).toUpperCase() + text.slice(1)

const tooLittle = (coverage: number, { from, to }: Window): string =>
  `Only ${Math.floor(100 * coverage)} % of these ${shown((to - from) / 60_000_000)} minutes were seen: too little to judge.`
