/** What a recording tells: who used most, who grew, and when. Pure. */
import type { Answer } from "../ask/Api.ts"

export type Recording = Answer<"recordings.get">
type Values = ReadonlyArray<number | null>

/** A process or a unit, as the tables and charts show it. */
export interface Shown {
  readonly key: string
  readonly name: string
  /** Of a process: its number and its unit. */
  readonly about: string
  readonly pid?: number
  readonly unit?: string
  readonly cpu: Values
  readonly memory: Values
  /** Null where nothing is known. */
  readonly peakCpu: number | null
  readonly peakMemory: number | null
  readonly grew: number | null
}

const peakOf = (values: Values): number | null =>
  values.reduce<number | null>(
    (most, value) => (value === null || (most !== null && most >= value) ? most : value),
    null
  )

/** By how much it was larger at its largest than when it was first seen before. */
const grewBy = (values: Values): number | null => {
  const first = values.find((value) => value !== null)
  const peak = peakOf(values)
  return first == null || peak === null ? null : peak - first
}

const shown = (key: string, name: string, about: string, cpu: Values, memory: Values): Shown => ({
  ...{ key, name, about, cpu, memory },
  peakCpu: peakOf(cpu),
  peakMemory: peakOf(memory),
  grew: grewBy(memory)
})

export const processesOf = ({ processes }: Pick<Recording, "processes">): ReadonlyArray<Shown> =>
  processes.map(({ cpu, memory_bytes, name, pid, unit }, n) => ({
    ...shown(`p${n}`, name, unit === "" || unit.startsWith("(") ? String(pid) : `${pid} · ${unit}`, cpu, memory_bytes),
    pid,
    unit
  }))

export const unitsOf = ({ units }: Pick<Recording, "units">): ReadonlyArray<Shown> =>
  units.map(({ cpu, memory_bytes, name }, n) => shown(`u${n}`, name, "", cpu, memory_bytes))

/** The first ones by a number, of those that have one above 0; ties as they came. */
export const mostBy = (
  all: ReadonlyArray<Shown>,
  by: "peakCpu" | "peakMemory" | "grew",
  most: number
): ReadonlyArray<Shown> =>
  all
    .filter((one) => (one[by] ?? 0) > 0)
    .toSorted((a, b) => (b[by] ?? 0) - (a[by] ?? 0))
    .slice(0, most)

/** All of it with what was seen until a moment, epoch seconds: what followed says nothing of what led to it. */
export const until = (recording: Recording, moment: number): Pick<Recording, "processes" | "units"> => {
  const end = Date.parse(recording.to) / 1_000
  const upto = recording.at.filter((at) => end + at <= moment).length
  const cut = <A extends { readonly cpu: Values; readonly memory_bytes: Values }>(one: A): A => ({
    ...one,
    cpu: one.cpu.slice(0, upto),
    memory_bytes: one.memory_bytes.slice(0, upto)
  })
  return { processes: recording.processes.map(cut), units: recording.units.map(cut) }
}

/**
 * Who grew before a kill, the most first. Where the limit of a unit was reached, what grew elsewhere did not reach it: the unit's own
 * come first.
 */
export const grownBefore = (
  all: ReadonlyArray<Shown>,
  kill: Pick<Recording["kills"][number], "pid" | "scope" | "unit">,
  most: number
): ReadonlyArray<Shown> => {
  const grown = mostBy(all, "grew", all.length)
  if (kill.scope !== "unit") return grown.slice(0, most)
  const isOwn = ({ pid, unit }: Shown) =>
    pid !== undefined && (pid === kill.pid || (kill.unit !== null && unit === kill.unit))
  return [...grown.filter(isOwn), ...grown.filter((one) => !isOwn(one))].slice(0, most)
}
