/** The words and shares that all verdicts are made of, and who used most meanwhile. Pure. */
import { compareBytes } from "./ByteOrder.ts"
import type { NeighbourUnit, Verdict } from "./Verdict.ts"
import type { HostReading, UnitReading, UnitReadings } from "./VerdictReadings.ts"

export const MIB = 1024 * 1024
/** How many neighbours are named. */
const NEIGHBOURS = 3

/** A verdict with how bad it is among its like. */
export type Found = Verdict & { readonly weight: number }

/** What was seen. */
export interface Context {
  readonly host: HostReading | undefined
  readonly units: UnitReadings | undefined
}

export const percentOf = (part: number | null, whole: number): number =>
  part === null || whole <= 0 ? 0 : (100 * part) / whole

export const coverOf = ({ units }: Context): number => units?.covered ?? 0

/** In percent of all cores; 0 where it is not known. */
export const busyPercent = (host: HostReading | undefined): number =>
  host?.cores == null ? 0 : percentOf(host.busy, host.cores * host.covered)

// -- who used most

type Neighbour = Verdict["neighbours"][number]

const most = (
  { units }: Context,
  value: (unit: UnitReading) => number,
  unit: NeighbourUnit,
  but?: UnitReading
): ReadonlyArray<Neighbour> =>
  (units?.units ?? [])
    .filter((one) => one !== but && one.name !== units?.kernel)
    .map((one): Neighbour => ({ name: one.name, value: value(one), unit }))
    .filter(({ value }) => value > 0)
    .sort((a, b) => b.value - a.value || compareBytes(a.name, b.name))
    .slice(0, NEIGHBOURS)

export const byCpu = (context: Context, but?: UnitReading) =>
  most(context, ({ cpu }) => percentOf(cpu, coverOf(context)), "percent", but)

export const byDisk = (context: Context) =>
  most(
    context,
    ({ read, written }) => (coverOf(context) === 0 ? 0 : ((read ?? 0) + (written ?? 0)) / MIB / coverOf(context)),
    "mb_per_second"
  )

// -- words

export const HOST = { kind: "host", name: null } as const
export const unitOf = ({ name }: UnitReading) => ({ kind: "unit", name }) as const

/** What is known of some evidence. */
export const told = (evidence: Readonly<Record<string, number | null>>): Readonly<Record<string, number>> =>
  Object.fromEntries(Object.entries(evidence).filter((entry): entry is [string, number] => entry[1] !== null))

/** As a person says it: whole from 10 on, one digit below. */
export const shown = (value: number): string => String(value >= 10 ? Math.round(value) : Math.round(value * 10) / 10)
export const cores = (value: number): string => {
  const shown = Math.round(value * 100) / 100
  return `${shown} ${shown === 1 ? "core" : "cores"}`
}
export const mebibytes = (bytes: number): string => `${Math.round(bytes / MIB)} MiB`
export const count = (value: number, one: string, several: string) =>
  `${Math.round(value)} ${Math.round(value) === 1 ? one : several}`
export const named = ({ name, unit, value }: Neighbour): string =>
  `${name} (${unit === "percent" ? cores(value / 100) : `${shown(value)} MB/s`})`
export const coresSet = (host: HostReading | undefined) => (host?.cores == null ? null : cores(host.cores))
export const memorySet = (host: HostReading | undefined) =>
  host?.memoryTotal == null ? null : mebibytes(host.memoryTotal)
