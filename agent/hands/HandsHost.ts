/**
 * The host that acts, with all that it remembers: its processes, its journal, what has to be taken back, its clocks.
 *
 * Bound: one program at a time has the state folder; a second one is refused (`lock`).
 */
import * as Fs from "node:fs"
import { join } from "node:path"
import { Clock, Effect, Schema } from "effect"
import type { ProcessTarget } from "../../src/protocol/Orders.ts"
import { BootClock } from "../clock/BootClock.ts"
import type { ProcessNames } from "../collector/names/ProcessNames.ts"
import { userNames } from "../collector/names/UserNames.ts"
import { type HostProcess, HostProcesses } from "./HostProcesses.ts"
import { OrderJournal } from "./OrderJournal.ts"
import type { RuleUse } from "./OrderRules.ts"
import { ENDS_WITHIN_SECONDS, STILL_THERE } from "./ProcessActs.ts"
import { Reverts } from "./Reverts.ts"

/** The state folder cannot be used. Not retryable: nothing is done without a journal. */
export class HandsStateUnusable extends Schema.TaggedError<HandsStateUnusable>()("HandsStateUnusable", {
  folder: Schema.String,
  reason: Schema.String
}) {
  readonly retryable = false
  override get message(): string {
    return `the state folder ${this.folder} cannot be used: ${this.reason}`
  }
}

export interface HandsUse extends RuleUse {
  /** Epoch seconds, whole. */
  readonly at: number
  /** Seconds since the boot. */
  readonly up: number
}

export interface HandsHost {
  readonly processes: HostProcesses
  readonly journal: OrderJournal
  readonly reverts: Reverts
  /** When previews were made within the last minute, seconds since the boot. */
  readonly looks: Array<number>
  /** The moment, and what was done until then. */
  readonly use: Effect.Effect<HandsUse>
  /** Whether this program has asked the process to end, long enough ago, and has seen that it did not. */
  readonly hasFailedToEnd: (target: ProcessTarget, up: number) => boolean
  /** The name that the page knows the process by. */
  readonly groupOf: (process: HostProcess) => string | undefined
  readonly userOf: (uid: number) => string
}

/** Reads the journal, and closes it at the end of the scope. */
export const makeHandsHost = Effect.fnUntraced(function* (folder: string, names: ProcessNames) {
  const processes = new HostProcesses()
  const unusable = (cause: unknown) =>
    new HandsStateUnusable({ folder, reason: cause instanceof Error ? cause.message : String(cause) })
  const opened = Effect.try({
    try: () => {
      const unlock = lock(folder, processes)
      return { unlock, journal: new OrderJournal(folder, processes.bootId()), reverts: new Reverts(folder) }
    },
    catch: unusable
  })
  const { journal, reverts } = yield* Effect.acquireRelease(opened, ({ journal, unlock }) =>
    Effect.sync(() => {
      journal.close()
      unlock()
    })
  )
  const boot = yield* BootClock
  const use = Effect.map(Clock.Clock, (clock): HandsUse => {
    const up = boot(clock) / 1_000
    const now = clock.currentTimeMillisUnsafe()
    const local = new Date(now)
    return {
      at: Math.floor(now / 1_000),
      up,
      minuteOfDay: local.getHours() * 60 + local.getMinutes(),
      usesOf: (rule) => journal.usesOf(rule, up)
    }
  })
  const host: HandsHost = {
    processes,
    journal,
    reverts,
    looks: [],
    use,
    hasFailedToEnd: ({ pid, start_ticks }, up) =>
      journal.intents.some(
        ({ order, up: then }) =>
          order.verb === "terminate" &&
          order.target.pid === pid &&
          order.target.start_ticks === start_ticks &&
          up - then >= ENDS_WITHIN_SECONDS &&
          journal.endingOf(order.id) === `failed: ${STILL_THERE}`
      ),
    groupOf: ({ cgroup, comm, exe, pid, uid, unit }) =>
      names.nameOf({
        ...{ pid, comm, exe, uid, startedAt: 0 },
        cmdline: processes.argumentsOf(pid),
        cgroups: [cgroup],
        unit: unit ?? ""
      }),
    userOf: userNames("/etc/passwd")
  }
  return host
})

/**
 * The pid and start of who has the folder, in a file of it. What was left by one that is gone is taken over. Two that begin in the very same
 * moment may both get it: the journal tells them apart before either has done anything.
 */
const lock = (folder: string, processes: HostProcesses): (() => void) => {
  Fs.mkdirSync(folder, { recursive: true, mode: 0o700 })
  const path = join(folder, "lock")
  const own = `${process.pid} ${processes.startOf(process.pid)?.startTicks} ${processes.bootId()}`
  const there = Fs.existsSync(path) ? Fs.readFileSync(path, "utf8") : ""
  const [pid, ticks, boot] = there.split(" ")
  const isAlive = boot === processes.bootId() && String(processes.startOf(Number(pid))?.startTicks) === ticks
  if (isAlive && there !== own) throw new Error(`process ${pid} uses it`)
  Fs.writeFileSync(path, own, { mode: 0o600 })
  return () => Fs.rmSync(path, { force: true })
}
