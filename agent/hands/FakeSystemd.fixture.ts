/**
 * systemctl and busctl as far as this program uses them, over units that a test makes up. Everything else that is run is real, with the
 * path of the tests (their python3 is not always Debian's).
 */
import { execFile } from "node:child_process"
import { randomBytes } from "node:crypto"
import { Effect, Layer } from "effect"
import { UNSET } from "./HostUnits.ts"
import { OwnRun, type ProgramOutput, type RunProgram } from "./OwnRun.ts"

export interface FakeUnit {
  readonly names: ReadonlyArray<string>
  readonly cgroup?: string
  readonly requiredBy?: ReadonlyArray<string>
  readonly conflicts?: ReadonlyArray<string>
  active?: string
  invocation: string
  readonly numbers: Record<string, string>
}

export class FakeSystemd {
  readonly units = new Map<string, FakeUnit>()
  /** What was changed, in order. */
  readonly calls: Array<string>
  /** Programs that are not there. */
  readonly missing = new Set<string>()
  /** What may not be done. */
  denied: RegExp | undefined
  /** Units of which it tells nothing. */
  silent: RegExp | undefined
  /** Before each time that a unit is shown. */
  onShow: (name: string) => Effect.Effect<void> = () => Effect.void

  constructor(calls: Array<string> = []) {
    this.calls = calls
  }

  add(name: string, more: Partial<FakeUnit> = {}): FakeUnit {
    const numbers = { CPUWeight: UNSET, CPUQuotaPerSecUSec: UNSET, MemoryHigh: UNSET, MemoryCurrent: "1048576" }
    const unit = { names: [name], invocation: randomBytes(16).toString("hex"), numbers, ...more }
    this.units.set(name, unit)
    return unit
  }

  get layer() {
    return Layer.succeed(OwnRun, this.#run)
  }

  readonly #run: RunProgram = (file, args) => {
    if (this.missing.has(file)) return Effect.succeed({ code: null, stdout: "", problem: `spawn ${file} ENOENT` })
    if (file === "systemctl")
      return Effect.andThen(
        args[0] === "show" ? this.onShow(args.at(-1) ?? "") : Effect.void,
        Effect.sync(() => this.#systemctl(args.filter((one) => one !== "--no-ask-password")))
      )
    if (file === "busctl") return Effect.sync(() => this.#busctl(args))
    return Effect.callback((resume) => {
      execFile(file, args, (error, stdout, problem) => {
        const code = error === null ? 0 : typeof error.code === "number" ? error.code : null
        resume(Effect.succeed({ code, stdout, problem }))
      })
    })
  }

  #of(name: string): FakeUnit | undefined {
    return [...this.units.values()].find(({ names }) => names.includes(name))
  }

  #systemctl([verb = "", ...rest]: ReadonlyArray<string>): ProgramOutput {
    const name = rest.find((one) => /\.(service|scope|socket)$/.test(one)) ?? ""
    const unit = this.#of(name)
    if (verb === "show" && this.silent?.test(name)) return { code: null, stdout: "", problem: "timed out" }
    if (verb === "show") return done(unit === undefined ? "LoadState=not-found\n" : shown(unit))
    if (this.denied?.test(`${verb} ${rest.join(" ")}`)) return { code: 1, stdout: "", problem: "Access denied" }
    this.calls.push([verb, ...rest].join(" "))
    if (verb === "restart" && unit !== undefined) unit.invocation = randomBytes(16).toString("hex")
    const [key = "", value = ""] = (rest.at(-1) ?? "").split("=")
    if (verb === "set-property" && unit !== undefined) set(unit, key, value)
    return done("")
  }

  #busctl([, , path = "", , ...properties]: ReadonlyArray<string>): ProgramOutput {
    const name = path
      .replace(/^.*\//, "")
      .replace(/_([0-9a-f]{2})/g, (_, hex) => String.fromCharCode(Number.parseInt(hex, 16)))
    const unit = this.#of(name)
    return done(properties.map((one) => `t ${unit?.numbers[one] ?? UNSET}\n`).join(""))
  }
}

const done = (stdout: string): ProgramOutput => ({ code: 0, stdout, problem: "" })

const set = (unit: FakeUnit, key: string, value: string): void => {
  const isUnset = value === "" || value === "infinity"
  if (key === "CPUQuota") unit.numbers.CPUQuotaPerSecUSec = isUnset ? UNSET : String(Number.parseFloat(value) * 10_000)
  else unit.numbers[key] = isUnset ? UNSET : value
}

const shown = ({ active = "active", cgroup, conflicts = [], invocation, names, requiredBy = [] }: FakeUnit): string =>
  `Id=${names[0]}\nNames=${names.join(" ")}\nLoadState=loaded\nInvocationID=${invocation}\nDescription=A unit\nActiveState=${active}
Restart=on-failure\nMainPID=0\nControlGroup=${cgroup ?? `/system.slice/${names[0]}`}\nRequiredBy=${requiredBy.join(" ")}\nBoundBy=\nConsistsOf=\nConflicts=${conflicts.join(" ")}\n`
