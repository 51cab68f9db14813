/**
 * What is done to a unit: it is restrained for a while, or restarted.
 *
 * Guarantee: the unit's run is looked at immediately before. A property is set only when what takes it back is running
 * ({@link Reverts}), and afterwards it is looked at: an outcome that says done was seen. A restart says which run follows which.
 */
import * as Fs from "node:fs"
import { Effect } from "effect"
import type { Order, UnitTarget } from "../../src/protocol/Orders.ts"
import { CrashPoint } from "./CrashPoint.ts"
import {
  assignmentOf,
  numbersOf,
  RESTRAINTS,
  type Restraint,
  restartUnit,
  type Systemctl,
  setProperty,
  startUnit,
  unitOf
} from "./HostUnits.ts"
import type { Done } from "./ProcessActs.ts"
import type { Reverts } from "./Reverts.ts"

export type RestraintOrder = Extract<Order, { readonly verb: Restraint }>

/** What the property is to be, as the bus has it. */
export const wantedOf = (order: RestraintOrder): string => {
  if (order.verb === "weight") return String(order.settings.weight)
  if (order.verb === "quota") return String(order.settings.percent * 10_000)
  return String(order.settings.bytes)
}

const failed = (message: string): Done => ({ result: "failed", message })
const CHANGED = "it was started anew or stopped meanwhile: nothing was done"

const isSameRun = ({ invocation, unit }: UnitTarget) =>
  Effect.map(unitOf(unit), (now) => now?.invocation === invocation)

/** `up`: seconds since the boot. */
export const restrain = Effect.fnUntraced(function* (
  order: RestraintOrder,
  { reverts, systemctl, up }: { readonly reverts: Reverts; readonly systemctl: Systemctl; readonly up: number }
) {
  const crash = yield* CrashPoint
  const { boot_id: bootId, id, settings, target, verb } = order
  const property = RESTRAINTS[verb]
  if (verb === "memory_high" && !Fs.existsSync("/sys/fs/cgroup/cgroup.controllers")) {
    return failed("MemoryHigh= needs cgroup v2, which this host does not have for memory")
  }
  const [now] = yield* numbersOf(target.unit, [property])
  if (now === undefined) return failed(`${property} of ${target.unit} cannot be read`)
  const planned = reverts.planned(target.unit, verb)
  // What an order has set is not what was there before.
  const before = planned?.set === now ? planned.before : now
  const plan = {
    unit: target.unit,
    restraint: verb,
    before,
    due: up + settings.minutes * 60,
    bootId,
    order: id,
    systemctl
  }
  const back = () => {
    if (planned === undefined) reverts.withdraw(target.unit, verb)
    else reverts.plan({ ...plan, ...planned, due: up })
  }
  const set = wantedOf(order)
  reverts.plan({ ...plan, set })
  crash("planned")
  const started = yield* startUnit(systemctl, reverts.serviceOf(target.unit, verb))
  if (started.code !== 0) {
    back()
    return failed(`nothing was set, since nothing would take it back: ${started.problem}`)
  }
  crash("waiting")
  if (!(yield* isSameRun(target))) {
    back()
    return failed(CHANGED)
  }
  const done = yield* setProperty(systemctl, target.unit, assignmentOf(verb, set))
  if (done.code !== 0) {
    back()
    return failed(`${property} could not be set: ${done.problem}`)
  }
  crash("set")
  const [seen] = yield* numbersOf(target.unit, [property])
  // A size may be rounded to whole pages.
  if (seen !== undefined && seen !== set) reverts.plan({ ...plan, set: seen })
  const after: Done = {
    result: "done",
    message: `${assignmentOf(verb, seen ?? set)} for ${settings.minutes} min, then ${assignmentOf(verb, before)} again`
  }
  return after
})

export const restart = Effect.fnUntraced(function* (
  { target }: Extract<Order, { readonly verb: "restart" }>,
  systemctl: Systemctl
) {
  if (!(yield* isSameRun(target))) return failed(CHANGED)
  const { code, problem } = yield* restartUnit(systemctl, target.unit)
  const after = yield* unitOf(target.unit)
  const isAnew = after !== undefined && after.invocation !== "" && after.invocation !== target.invocation
  if (code !== 0) return failed(`${isAnew ? "it was stopped and begun anew, but" : "it was not restarted"}: ${problem}`)
  const done: Done = isAnew
    ? { result: "done", message: `restarted: it is ${after.active}, with main process ${after.mainPid ?? "none"}` }
    : failed(`systemctl has restarted it, but it is ${after?.active ?? "gone"} with the same run`)
  return done
})
