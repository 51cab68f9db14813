/**
 * What an order is about, as it is on this host at this moment: the process or unit that was signed for, or why it may not be touched.
 *
 * Guarantee: a process is the one of the order only where pid, start and name agree, and it has not ended; a unit only where it is the
 * same run of it. What nobody may act on is refused here, and so is a restart that would take such a unit along.
 */
import { Effect } from "effect"
import type { ProcessTarget, UnitTarget } from "../../src/protocol/Orders.ts"
import type { Verb } from "../../src/protocol/OrderText.ts"
import { forbiddenProcess, forbiddenProgram, forbiddenUnit } from "./Forbidden.ts"
import type { HostProcess, HostProcesses } from "./HostProcesses.ts"
import { dependantsOf, type HostUnit, unitOf } from "./HostUnits.ts"
import { type Refused, refused, type TargetNames } from "./OrderRules.ts"

export type Seen = { readonly process: HostProcess } | { readonly unit: HostUnit }

export const namesOf = (seen: Seen): TargetNames =>
  "process" in seen ? { unit: seen.process.unit, process: seen.process.name } : { unit: seen.unit.unit }

export const seenTarget = (
  processes: HostProcesses,
  verb: Verb,
  target: ProcessTarget | UnitTarget
): Effect.Effect<Seen | Refused> =>
  "pid" in target ? Effect.sync(() => seenProcess(processes, target)) : seenUnit(processes, verb, target)

const seenProcess = (processes: HostProcesses, { name, pid, start_ticks }: ProcessTarget): Seen | Refused => {
  const process = processes.of(pid)
  if (process === undefined) return refused("target-changed", `there is no process ${pid} any more`)
  const why = notTouched(processes, process)
  if (why !== undefined) return why
  if (process.startTicks !== start_ticks) return refused("target-changed", `another process has pid ${pid} now`)
  if (process.name !== name) return refused("target-changed", `process ${pid} is called ${process.name} now`)
  if (process.state === "Z" || process.state === "X") return refused("target-changed", `process ${pid} has ended`)
  return { process }
}

/** Why nobody may act on the process. */
export const notTouched = (processes: HostProcesses, seen: HostProcess): Refused | undefined => {
  const why = forbiddenProcess(seen, processes.ownCgroup(), process.pid)
  return why === undefined ? undefined : refused("forbidden-target", why)
}

const seenUnit = Effect.fnUntraced(function* (processes: HostProcesses, verb: Verb, target: UnitTarget) {
  const unit = yield* unitOf(target.unit)
  if (unit === undefined) return refused("target-changed", `there is no unit ${target.unit}`)
  const why = yield* unitNotTouched(processes, verb, unit)
  if (why !== undefined) return why
  if (unit.unit !== target.unit) return refused("target-changed", `${target.unit} is another name of ${unit.unit}`)
  if (unit.active !== "active" && unit.active !== "reloading") {
    return refused("target-changed", `${unit.unit} is ${unit.active}`)
  }
  if (unit.invocation !== target.invocation) return refused("target-changed", `${unit.unit} was started anew`)
  const seen: Seen = { unit }
  return seen
})

/** Why nobody may act on the unit in this way. */
export const unitNotTouched = Effect.fnUntraced(function* (
  processes: HostProcesses,
  verb: Verb,
  unit: HostUnit,
  all: ReadonlyArray<HostProcess> = processes.all()
) {
  const own = processes.ownCgroup()
  // What runs in a container is that container's own.
  const inUnits = all.filter(({ container }) => !container)
  const whyOf = (one: HostUnit) =>
    forbiddenUnit(one.names, one.cgroup, own) ??
    inUnits.flatMap((process) => (process.unit === one.unit ? (forbiddenProgram(process) ?? []) : []))[0]
  const why = whyOf(unit)
  if (why !== undefined) return refused("forbidden-target", why)
  if (verb !== "restart") return undefined
  const { found, isWhole } = yield* dependantsOf(unit)
  if (!isWhole) return refused("forbidden-target", "more units depend on it than could be looked at")
  for (const one of found) {
    const whyNot = whyOf(one)
    if (whyNot !== undefined) return refused("forbidden-target", `it takes ${one.unit} along, and ${whyNot}`)
  }
  return undefined
})
