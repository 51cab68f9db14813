/**
 * The units of this host, by systemctl and busctl: what they are, what depends on them, and the three properties that restrain one.
 *
 * Reading needs no right. Setting and restarting are asked of systemd, which asks polkit whether this user may; or by sudo, where the
 * host's file says so.
 *
 * Properties are read and compared as the numbers of the bus (`t 200000`), since what systemctl prints is rounded for people.
 *
 * Bounds: one call at a time of at most 10 s (90 s for a restart); {@link DEPENDANTS_MAX} units that depend on one.
 */
import { Effect } from "effect"
import { clipped } from "../../src/protocol/PrintableText.ts"
import { OwnRun, type ProgramOutput } from "./OwnRun.ts"

const DEPENDANTS_MAX = 200
const RESTART_MILLIS = 90_000

export interface HostUnit {
  /** The one name that it has, whatever it was asked by. */
  readonly unit: string
  /** And all its names. */
  readonly names: ReadonlyArray<string>
  readonly invocation: string
  readonly description: string
  readonly active: string
  readonly restart: string
  readonly mainPid: number | null
  readonly cgroup: string
  /** Units that are stopped or started anew with it, or because it is started: those that require it, and those that it conflicts with. */
  readonly required: ReadonlyArray<string>
}

/** What restrains a unit, as it is called on the bus and where it is set. */
export const RESTRAINTS = {
  weight: "CPUWeight",
  quota: "CPUQuotaPerSecUSec",
  memory_high: "MemoryHigh"
} as const
export type Restraint = keyof typeof RESTRAINTS

/** The bus says so where nothing is set. */
export const UNSET = "18446744073709551615"

/** `CPUQuota=20%`: a restraint as systemctl takes it, of the number that the bus has. */
export const assignmentOf = (restraint: Restraint, raw: string): string => {
  if (restraint === "weight") return `CPUWeight=${raw === UNSET ? "" : raw}`
  if (restraint === "memory_high") return `MemoryHigh=${raw === UNSET ? "infinity" : raw}`
  // Microseconds of CPU a second, which is hundredths of a percent times a hundred.
  return `CPUQuota=${raw === UNSET ? "" : `${Number(raw) / 10_000}%`}`
}

const TAKEN_ALONG = [
  "RequiredBy",
  "RequisiteOf",
  "BoundBy",
  "ConsistsOf",
  "PropagatesStopTo",
  "Conflicts",
  "ConflictedBy"
]
const SHOWN = `Id,Names,LoadState,InvocationID,Description,ActiveState,Restart,MainPID,ControlGroup,${TAKEN_ALONG.join(",")}`

/** The unit as it is now; undefined where systemd knows none of that name, or does not answer. */
export const unitOf = (name: string): Effect.Effect<HostUnit | undefined, never, never> =>
  Effect.map(lookAt(name), (seen) => (seen === "unanswered" ? undefined : seen))

/** The same, told apart. */
const lookAt = Effect.fnUntraced(function* (name: string) {
  const run = yield* OwnRun
  const output = yield* run("systemctl", ["show", "--no-pager", `--property=${SHOWN}`, "--", name])
  const fields = new Map(
    output.stdout.split("\n").map((line): [string, string] => {
      const equals = line.indexOf("=")
      return [line.slice(0, equals), line.slice(equals + 1)]
    })
  )
  const field = (key: string) => fields.get(key) ?? ""
  const words = (key: string) =>
    field(key)
      .split(" ")
      .filter((word) => word !== "")
  if (output.code !== 0 || field("LoadState") === "") return "unanswered"
  if (field("LoadState") !== "loaded") return undefined
  const unit: HostUnit = {
    unit: field("Id"),
    names: [...new Set([field("Id"), ...words("Names")])],
    invocation: field("InvocationID"),
    description: clipped(field("Description"), 300),
    active: field("ActiveState"),
    restart: field("Restart"),
    mainPid: Number(field("MainPID")) > 0 ? Number(field("MainPID")) : null,
    cgroup: field("ControlGroup"),
    required: [...new Set(TAKEN_ALONG.flatMap(words))]
  }
  return unit
})

/**
 * The active units that go down, or are started anew, with this one: those that depend on it, on those, and so on. `isWhole`: there are
 * no more, and systemd has told of each.
 */
export const dependantsOf = Effect.fnUntraced(function* (unit: HostUnit) {
  const seen = new Set([unit.unit])
  const found: Array<HostUnit> = []
  let open = [...unit.required]
  let isAnswered = true
  while (open.length > 0 && seen.size < DEPENDANTS_MAX) {
    const next: Array<string> = []
    for (const name of open.slice(0, DEPENDANTS_MAX - seen.size)) {
      if (seen.has(name)) continue
      seen.add(name)
      const one = yield* lookAt(name)
      if (one === "unanswered") isAnswered = false
      if (one === undefined || one === "unanswered" || one.active === "inactive") continue
      found.push(one)
      next.push(...one.required)
    }
    open = next
  }
  return { found, isWhole: isAnswered && open.length === 0 }
})

/** The number of each property, as the bus has it; empty where it does not tell. */
export const numbersOf = Effect.fnUntraced(function* (unit: string, properties: ReadonlyArray<string>) {
  const run = yield* OwnRun
  const output = yield* run("busctl", ["get-property", BUS, pathOf(unit), interfaceOf(unit), ...properties])
  const lines = output.code === 0 ? output.stdout.trim().split("\n") : []
  return properties.map((_, index) => /^t (\d+)$/.exec(lines[index] ?? "")?.[1])
})

const BUS = "org.freedesktop.systemd1"

export const interfaceOf = (unit: string): string => `${BUS}.${unit.endsWith(".scope") ? "Scope" : "Service"}`

/** Where the bus has a unit: every byte but letters and digits (not first) as `_` and two digits. */
export const pathOf = (unit: string): string =>
  `/org/freedesktop/systemd1/unit/${unit.replace(/[^A-Za-z0-9]|^\d/g, (one) => `_${one.charCodeAt(0).toString(16).padStart(2, "0")}`)}`

export type Systemctl = "direct" | "sudo"

const systemctl = (how: Systemctl, args: ReadonlyArray<string>, timeoutMillis?: number): Effect.Effect<ProgramOutput> =>
  Effect.flatMap(OwnRun, (run) =>
    how === "sudo"
      ? run("sudo", ["-n", "/usr/bin/systemctl", ...args], timeoutMillis)
      : run("systemctl", ["--no-ask-password", ...args], timeoutMillis)
  )

export const restartUnit = (how: Systemctl, unit: string) => systemctl(how, ["restart", unit], RESTART_MILLIS)

export const startUnit = (how: Systemctl, unit: string) => systemctl(how, ["start", unit])

export const setProperty = (how: Systemctl, unit: string, assignment: string) =>
  systemctl(how, ["set-property", "--runtime", unit, assignment])
