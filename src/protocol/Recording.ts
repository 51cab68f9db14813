/**
 * What the flight recorder of an agent sends: the last 15 minutes of its machine, a sample a second. Both ends know it from here, and so
 * does the page.
 *
 * A recording is a set of columns, all as long as `at`: a value for each sample, null where nothing is known (a gap, a process that was
 * not there yet). CPU is in percent of one core, over the time since the sample before.
 *
 * Guarantee: {@link readRecording} takes what is exactly that and refuses all else with the field and the value; whatever it takes is
 * within the bounds here. It is another program's: nothing in it is believed.
 */
import { Result } from "effect"
import { isPrintable } from "./PrintableText.ts"

const SAMPLES_MAX = 1_000
export const PROCESSES_MAX = 60
export const UNITS_MAX = 40
export const KILLS_MAX = 20
const DEGRADED_MAX = 100
/** The longest name, in UTF-16 units. */
export const NAME_LENGTH_MAX = 256
/** As it is sent. */
export const PACKED_BYTES_MAX = 1024 * 1024
/** Samples reach back so far, seconds. */
export const SPAN_SECONDS = 900
const SPAN_SECONDS_MAX = 1_000

export const HOST_COLUMNS = [
  "cpu_user",
  "cpu_system",
  "cpu_iowait",
  "cpu_irq",
  "cpu_steal",
  "tasks_running",
  "tasks_blocked",
  "memory_available_bytes",
  "swap_used_bytes",
  "pressure_cpu",
  "pressure_memory",
  "pressure_memory_full",
  "pressure_io",
  "pressure_io_full"
] as const
export type HostColumn = (typeof HOST_COLUMNS)[number]

export const REASONS = ["alert", "asked", "oom_kill"] as const
export type RecordingReason = (typeof REASONS)[number]

type Values = ReadonlyArray<number | null>

export interface RecordedProcess {
  /** Of its group, as the process collector names it. */
  readonly name: string
  readonly pid: number
  /** Empty where it is not known. */
  readonly unit: string
  readonly cpu: Values
  readonly memory: Values
}

export interface RecordedUnit {
  readonly name: string
  /** Null: none, or not known. */
  readonly limit: number | null
  readonly cpu: Values
  readonly memory: Values
}

/** A process that the kernel killed for want of memory. Null: not known. */
export interface OomKill {
  /** Epoch seconds. */
  readonly at: number
  readonly name: string | null
  readonly pid: number | null
  readonly unit: string | null
  /** What it held. */
  readonly memory: number | null
  /** Whose limit was reached: the machine's, or that of a unit, `limited`. */
  readonly scope: "host" | "unit" | "unknown"
  readonly limited: string | null
  readonly limit: number | null
  /** `kernel`: by the kernel's own message; `presumed`: the largest process of that unit that was gone then. */
  readonly source: "kernel" | "presumed"
}

export interface Recording {
  readonly version: 1
  readonly id: string
  readonly reason: RecordingReason
  /** The moment of the last sample, epoch seconds. */
  readonly ended: number
  /** Seconds from the last sample, in order: the last one is 0. */
  readonly at: ReadonlyArray<number>
  readonly cores: number
  readonly memory: number
  readonly host: Readonly<Record<HostColumn, Values>>
  readonly processes: ReadonlyArray<RecordedProcess>
  readonly units: ReadonlyArray<RecordedUnit>
  readonly kills: ReadonlyArray<OomKill>
  /** When the recorder had to do less, to stay within its budget, and what: seconds as in `at`. */
  readonly degraded: ReadonlyArray<{ readonly at: number; readonly level: number }>
}

/** What is wrong with a recording. */
class Wrong {
  readonly message: string
  constructor(message: string) {
    this.message = message
  }
}

/** Reads a recording. A failure names the field, and its value. */
export const readRecording = (value: unknown): Result.Result<Recording, string> => {
  try {
    return Result.succeed(recordingOf(value))
  } catch (wrong) {
    if (wrong instanceof Wrong) return Result.fail(wrong.message)
    throw wrong
  }
}

const recordingOf = (value: unknown): Recording => {
  const all = objectOf("the recording", value, FIELDS)
  const version = numberOf("version", all.version, 1, 1)
  if (version !== 1) throw new Wrong(`version is ${shown(all.version)}, this server reads version 1`)
  const at = timesOf(all.at)
  const columns = objectOf("host", all.host, HOST_COLUMNS)
  const column = (field: string, most: number) => (values: unknown) => columnOf(field, values, at.length, most)
  return {
    version: 1,
    id: textOf("id", all.id, /^[0-9a-f]{32}$/, "32 hexadecimal digits"),
    reason: oneOf("reason", all.reason, REASONS),
    ended: numberOf("ended", all.ended, 0, SECONDS_MAX),
    at,
    cores: wholeOf("cores", all.cores, 1, CORES_MAX),
    memory: wholeOf("memory", all.memory, 0, BYTES_MAX),
    host: Object.fromEntries(
      HOST_COLUMNS.map((name) => [
        name,
        column(`host.${name}`, name.endsWith("_bytes") ? BYTES_MAX : RATE_MAX)(columns[name])
      ])
    ) as Recording["host"],
    processes: listOf("processes", all.processes, PROCESSES_MAX, (field, one) => {
      const { cpu, memory, name, pid, unit } = objectOf(field, one, ["name", "pid", "unit", "cpu", "memory"])
      return {
        name: nameOf(`${field}.name`, name, 1),
        pid: wholeOf(`${field}.pid`, pid, 1, PID_MAX),
        unit: nameOf(`${field}.unit`, unit, 0),
        cpu: column(`${field}.cpu`, RATE_MAX)(cpu),
        memory: column(`${field}.memory`, BYTES_MAX)(memory)
      }
    }),
    units: listOf("units", all.units, UNITS_MAX, (field, one) => {
      const { cpu, limit, memory, name } = objectOf(field, one, ["name", "limit", "cpu", "memory"])
      return {
        name: nameOf(`${field}.name`, name, 1),
        limit: orNull(limit, (bytes) => wholeOf(`${field}.limit`, bytes, 0, BYTES_MAX)),
        cpu: column(`${field}.cpu`, RATE_MAX)(cpu),
        memory: column(`${field}.memory`, BYTES_MAX)(memory)
      }
    }),
    kills: listOf("kills", all.kills, KILLS_MAX, killOf),
    degraded: listOf("degraded", all.degraded, DEGRADED_MAX, (field, one) => {
      const { at, level } = objectOf(field, one, ["at", "level"])
      return {
        at: numberOf(`${field}.at`, at, -SPAN_SECONDS_MAX, 0),
        level: wholeOf(`${field}.level`, level, 0, 9)
      }
    })
  }
}

const killOf = (field: string, value: unknown): OomKill => {
  const kill = objectOf(field, value, [
    ...["at", "name", "pid", "unit", "memory"],
    ...["scope", "limited", "limit", "source"]
  ])
  const name = (key: "name" | "unit" | "limited", least: number) =>
    orNull(kill[key], (text) => nameOf(`${field}.${key}`, text, least))
  return {
    at: numberOf(`${field}.at`, kill.at, 0, SECONDS_MAX),
    name: name("name", 1),
    pid: orNull(kill.pid, (pid) => wholeOf(`${field}.pid`, pid, 1, PID_MAX)),
    unit: name("unit", 0),
    memory: orNull(kill.memory, (bytes) => wholeOf(`${field}.memory`, bytes, 0, BYTES_MAX)),
    scope: oneOf(`${field}.scope`, kill.scope, ["host", "unit", "unknown"]),
    limited: name("limited", 0),
    limit: orNull(kill.limit, (bytes) => wholeOf(`${field}.limit`, bytes, 0, BYTES_MAX)),
    source: oneOf(`${field}.source`, kill.source, ["kernel", "presumed"])
  }
}

const FIELDS = [
  ...["version", "id", "reason", "ended", "at", "cores", "memory"],
  ...["host", "processes", "units", "kills", "degraded"]
]
const SECONDS_MAX = 1e11
const BYTES_MAX = 2 ** 52
const CORES_MAX = 65_536
const PID_MAX = 2 ** 31
/** Of a percentage of one core, and of tasks: what every core could do together. */
const RATE_MAX = CORES_MAX * 200

const timesOf = (value: unknown): ReadonlyArray<number> => {
  const at = listOf("at", value, SAMPLES_MAX, (field, one) => numberOf(field, one, -SPAN_SECONDS_MAX, 0))
  if (at.length === 0) throw new Wrong("at is empty, but a recording has at least one sample")
  if (at.at(-1) !== 0) throw new Wrong(`the last of at is ${at.at(-1)}, but must be 0`)
  const later = at.findIndex((one, n) => n > 0 && one <= at[n - 1]!)
  if (later > 0) throw new Wrong(`at[${later}] is ${at[later]}, which is not after at[${later - 1}]`)
  return at
}

const columnOf = (field: string, value: unknown, length: number, most: number): Values => {
  if (!Array.isArray(value)) throw new Wrong(`${field} is ${shown(value)}, but must be a list`)
  if (value.length !== length) throw new Wrong(`${field} has ${value.length} values, but at has ${length}`)
  for (let n = 0; n < length; n++) {
    const one: unknown = value[n]
    if (one !== null && !(typeof one === "number" && one >= 0 && one <= most)) {
      throw new Wrong(`${field}[${n}] is ${shown(one)}, but must be null or a number from 0 to ${most}`)
    }
  }
  return value
}

const listOf = <A>(
  field: string,
  value: unknown,
  most: number,
  read: (field: string, one: unknown) => A
): ReadonlyArray<A> => {
  if (!Array.isArray(value)) throw new Wrong(`${field} is ${shown(value)}, but must be a list`)
  if (value.length > most) throw new Wrong(`${field} has ${value.length} entries, at most ${most} are accepted`)
  return Array.from(value, (one, n) => read(`${field}[${n}]`, one))
}

/** Exactly these fields: what nobody reads is not stored. */
const objectOf = (field: string, value: unknown, names: ReadonlyArray<string>): Readonly<Record<string, unknown>> => {
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    throw new Wrong(`${field} is ${shown(value)}, but must be an object`)
  }
  for (const name of names) if (!Object.hasOwn(value, name)) throw new Wrong(`${field} has no ${name}`)
  for (const name of Object.keys(value)) {
    if (!names.includes(name)) throw new Wrong(`${field} has a field ${shown(name)}, which is not known`)
  }
  return value as Readonly<Record<string, unknown>>
}

const numberOf = (field: string, value: unknown, least: number, most: number): number => {
  if (typeof value === "number" && value >= least && value <= most) return value
  throw new Wrong(`${field} is ${shown(value)}, but must be a number from ${least} to ${most}`)
}

const wholeOf = (field: string, value: unknown, least: number, most: number): number => {
  if (Number.isInteger(value)) return numberOf(field, value, least, most)
  throw new Wrong(`${field} is ${shown(value)}, but must be a whole number from ${least} to ${most}`)
}

const textOf = (field: string, value: unknown, pattern: RegExp, what: string): string => {
  if (typeof value === "string" && pattern.test(value)) return value
  throw new Wrong(`${field} is ${shown(value)}, but must be ${what}`)
}

const nameOf = (field: string, value: unknown, least: number): string => {
  const isName =
    typeof value === "string" && value.length >= least && value.length <= NAME_LENGTH_MAX && isPrintable(value)
  if (isName) return value
  throw new Wrong(
    `${field} is ${shown(value)}, but must be a text of at most ${NAME_LENGTH_MAX} characters without control or invisible ones`
  )
}

const oneOf = <const A extends string>(field: string, value: unknown, known: ReadonlyArray<A>): A => {
  const found = known.find((one) => one === value)
  if (found !== undefined) return found
  throw new Wrong(`${field} is ${shown(value)}, but must be one of ${known.join(", ")}`)
}

const orNull = <A>(value: unknown, read: (value: unknown) => A): A | null => (value === null ? null : read(value))

/** A value as it may stand in a message: short, whatever it is. */
const shown = (value: unknown): string => {
  if (typeof value === "string") return JSON.stringify(value.slice(0, 60))
  if (value === undefined) return "missing"
  if (typeof value === "object" && value !== null) return Array.isArray(value) ? "a list" : "an object"
  return String(value)
}
