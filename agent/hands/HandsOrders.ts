/**
 * An order from its arrival to its outcome: read, judged, written down, done, written down.
 *
 * Guarantee: done once or not at all. The intent is on the disk before anything is done, and an order that has one is never done again:
 * a crash in between leaves an outcome `interrupted`, with what can be told of it afterwards. Each order that arrives has an outcome,
 * in the journal and in the log. One order at a time.
 */
import { randomUUID } from "node:crypto"
import { Effect, Result, Schema } from "effect"
import { type Order, type Outcome, SignedOrder, STRICT } from "../../src/protocol/Orders.ts"
import { clipped } from "../../src/protocol/PrintableText.ts"
import { CrashPoint } from "./CrashPoint.ts"
import type { HandsFile, HandsRule } from "./HandsFile.ts"
import type { HandsHost } from "./HandsHost.ts"
import { numbersOf, RESTRAINTS, type Systemctl, startUnit, unitOf } from "./HostUnits.ts"
import type { Intent } from "./OrderJournal.ts"
import { type Refused, refused, ruleThatAllows } from "./OrderRules.ts"
import { signersOf } from "./OrderSignatures.ts"
import { namesOf, seenTarget } from "./OrderTarget.ts"
import { type Done, isTarget, reniceProcess, signalProcess } from "./ProcessActs.ts"
import { restart, restrain, wantedOf } from "./UnitActs.ts"

const decode = Schema.decodeUnknownResult(SignedOrder, STRICT)

interface Accepted {
  readonly order: Order
  readonly by: ReadonlyArray<string>
  readonly rule: HandsRule
}

/** Whether the order may be done. Nothing is remembered of one that may not. */
export const judge = Effect.fnUntraced(function* (host: HandsHost, file: HandsFile, raw: unknown) {
  const decoded = decode(raw)
  if (Result.isFailure(decoded)) return refused("malformed")
  const signed = decoded.success
  const { order } = signed
  if (order.server !== file.serverId) return refused("other-host", order.server)
  if (order.boot_id !== host.processes.bootId()) return refused("other-boot")
  if (host.journal.hasSeen(order)) return refused("replayed", host.journal.endingOf(order.id))
  // Before systemd is asked anything for whoever sent it; and afterwards, since its answers may take their time.
  const unsigned = signersOf(file, signed, (yield* host.use).at)
  if ("code" in unsigned) return unsigned
  const seen = yield* seenTarget(host.processes, order.verb, order.target)
  if ("code" in seen) return seen
  const use = yield* host.use
  const signers = signersOf(file, signed, use.at)
  if ("code" in signers) return signers
  const rule = ruleThatAllows(file, order, namesOf(seen), signers, use)
  if ("code" in rule) return rule
  if (order.verb === "kill" && !host.hasFailedToEnd(order.target, use.up)) return refused("term-first")
  if (host.journal.isFull) return refused("rate-limited", "its journal of this boot is full")
  const accepted: Accepted = { order, by: [...new Set(signers.map(({ name }) => name))], rule }
  return accepted
})

/** Does what is asked, or says why not. */
export const handle = Effect.fnUntraced(function* (host: HandsHost, file: HandsFile, raw: unknown) {
  const crash = yield* CrashPoint
  const verdict = yield* judge(host, file, raw)
  crash("judged")
  if ("code" in verdict) return yield* conclude(host, refusalOf(raw, verdict))
  const { by, order, rule } = verdict
  const { at, up } = yield* host.use
  host.journal.intend({ order, by, rule: rule.id, at, up })
  crash("intended")
  yield* Effect.logInfo(
    `intent order=${order.id} ${shown(order)} by=${by.join(",")} reason=${JSON.stringify(order.reason)}`
  )
  const done = yield* perform(host, file.systemctl, order, up)
  crash("acted")
  const isReverted = done.result === "done" && "minutes" in order.settings
  const minutes = "minutes" in order.settings ? order.settings.minutes : 0
  yield* conclude(host, {
    ...{ order: order.id, result: done.result, code: null, message: done.message, by },
    reverts_at: isReverted ? at + minutes * 60 : null
  })
  crash("concluded")
})

const perform = (host: HandsHost, systemctl: Systemctl, order: Order, up: number): Effect.Effect<Done> => {
  if (order.verb === "nice") return reniceProcess(host.processes, order.target, order.settings)
  if (order.verb === "terminate") return signalProcess(host.processes, order.target, "SIGTERM")
  if (order.verb === "kill") return signalProcess(host.processes, order.target, "SIGKILL")
  if (order.verb === "restart") return restart(order, systemctl)
  return restrain(order, { reverts: host.reverts, systemctl, up })
}

type Conclusion = Omit<Outcome, "id" | "at">

const refusalOf = (raw: unknown, { code, message }: Refused): Conclusion => ({
  ...{ order: idOf(raw), result: "refused", code, message: clipped(message, 500), by: [], reverts_at: null }
})

/** The id of an order that may be nothing like one. */
const idOf = (raw: unknown): string | null => {
  const order = typeof raw === "object" && raw !== null && "order" in raw ? raw.order : undefined
  const id = typeof order === "object" && order !== null && "id" in order ? order.id : undefined
  return typeof id === "string" && /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/.test(id) ? id : null
}

const conclude = Effect.fnUntraced(function* (host: HandsHost, conclusion: Conclusion) {
  const { at, up } = yield* host.use
  const outcome: Outcome = { ...conclusion, message: clipped(conclusion.message, 500), id: randomUUID(), at }
  const written = host.journal.conclude(outcome, up)
  if (written === "last")
    yield* Effect.logWarning("too many orders were refused within an hour: no more of them are written down")
  if (written === "no") return
  const { by, code, message, order, result } = outcome
  yield* Effect.logInfo(
    `outcome order=${order ?? "unreadable"} result=${result}${code === null ? "" : ` code=${code}`}${by.length === 0 ? "" : ` by=${by.join(",")}`}: ${message}`
  )
})

const shown = ({ settings, target, verb }: Order): string =>
  `verb=${verb} target=${JSON.stringify(target)} settings=${JSON.stringify(settings)}`

/** What has to be said and done first: of orders that this program was at when it ended, and of what has to be taken back. */
export const recover = Effect.fnUntraced(function* (host: HandsHost, file: HandsFile) {
  for (const intent of host.journal.interrupted) {
    yield* conclude(host, {
      ...{ order: intent.order.id, result: "interrupted", code: null, by: intent.by, reverts_at: null },
      message: `this program ended while it was at it, and does not try again: ${yield* whatIsTrue(host, intent)}`
    })
  }
  for (const service of host.reverts.services()) {
    const { code, problem } = yield* startUnit(file.systemctl, service)
    if (code !== 0) yield* Effect.logError(`${service}, which takes back what was set, does not run: ${problem}`)
  }
})

/** What can be told, afterwards, of an order that may have been done. */
const whatIsTrue = Effect.fnUntraced(function* (host: HandsHost, { order }: Intent) {
  if (order.boot_id !== host.processes.bootId()) return "the host was started anew since"
  if (order.verb === "terminate" || order.verb === "kill") {
    return isTarget(host.processes, order.target) ? "the process is still there" : "the process has ended"
  }
  if (order.verb === "nice") {
    if (!isTarget(host.processes, order.target)) return "the process has ended"
    return `its nice value is ${host.processes.niceOf(order.target.pid)}, ${order.settings.nice} was asked for`
  }
  if (order.verb === "restart") {
    const unit = yield* unitOf(order.target.unit)
    return unit?.invocation === order.target.invocation ? "the unit was not restarted" : "the unit was restarted"
  }
  const [now] = yield* numbersOf(order.target.unit, [RESTRAINTS[order.verb]])
  return now === wantedOf(order)
    ? `${RESTRAINTS[order.verb]} is what was asked for`
    : `${RESTRAINTS[order.verb]} was not set`
})
