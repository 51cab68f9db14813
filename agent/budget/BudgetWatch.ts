/**
 * Measures what the agent uses, each minute, and holds it back where that is more than its budget (`Budget.ts`): in its status,
 * where scrapers, recorder and push read it, and in the collectors. Each step is a line in the log.
 *
 * It measures the process. So it is for an agent that has one of its own, not for that inside a server. Rows that wait for
 * the server in memory are not counted: they have a bound of their own, and are not given up for a budget.
 */
import { Clock, Effect } from "effect"
import { AgentStatus } from "../AgentStatus.ts"
import { Collectors } from "../collector/Collector.ts"
import { Spool } from "../spool/Spool.ts"
import {
  afterMinute,
  type Budget,
  causesOf,
  partsOf,
  restraintOf,
  restraintText,
  type Usage,
  WITHIN_BUDGET
} from "./Budget.ts"

/** What the process has used since its start, and holds now. */
export interface ProcessUse {
  readonly cpuSeconds: number
  readonly memoryBytes: number
}

const ofThisProcess = (): ProcessUse => {
  const { system, user } = process.cpuUsage()
  return { cpuSeconds: (system + user) / 1e6, memoryBytes: process.memoryUsage.rss() }
}

/** Watches for ever. */
export const watchBudget = (
  budget: Budget,
  use: () => ProcessUse = ofThisProcess
): Effect.Effect<never, never, AgentStatus | Collectors | Spool> =>
  Effect.gen(function* () {
    const status = yield* AgentStatus
    const collectors = yield* Collectors
    const spool = yield* Spool
    const clock = yield* Clock.Clock
    const seconds = () => Number(clock.monotonicTimeNanosUnsafe()) / 1e9
    let state = WITHIN_BUDGET
    let [at, before] = [seconds(), use()]
    while (true) {
      yield* Effect.sleep("1 minute")
      const [now, after] = [seconds(), use()]
      const { bytes, durable } = yield* spool.stats
      const usage: Usage = {
        seconds: now - at,
        cpuSeconds: after.cpuSeconds - before.cpuSeconds,
        memoryBytes: Math.max(0, after.memoryBytes - (durable ? 0 : bytes))
      }
      ;[at, before] = [now, after]
      const was = restraintOf(state)
      state = afterMinute(state, budget, usage)
      const restraint = restraintOf(state)
      yield* status.restrained({ usage, restraint, causes: causesOf(state) })
      if (restraintText(was) === restraintText(restraint)) continue
      collectors.limit?.(restraint.groups)
      yield* announce(usedText(budget, usage), restraintText(restraint), stepsOf(was) < stepsOf(restraint))
    }
  })

const announce = (used: string, does: string, isHarder: boolean): Effect.Effect<void> => {
  if (does === "") return Effect.log(`the agent is within its budget again (${used}): it does all that it is asked to`)
  const line = `the agent ${does}`
  return isHarder
    ? Effect.logWarning(`${line}: it has used more than its budget (${used}; budget in nodepulse.yml)`)
    : Effect.log(`${line}, and no less: it is within its budget again (${used})`)
}

/** More of them is harder. */
const stepsOf = ({ groups, interval, recorder }: ReturnType<typeof restraintOf>): number =>
  Math.log2(interval) + (groups === undefined ? 0 : 500 / groups) + (recorder ? 0 : 1)

/** What is watched, beside what it may be: `2.3 % of a core of 1 %`. */
const usedText = (budget: Budget, usage: Usage): string => {
  const parts = partsOf(budget, usage)
  const mebi = (bytes: number) => `${Math.round(bytes / 1_048_576)} MiB`
  return [
    ...(parts.cpu === undefined
      ? []
      : [`${((usage.cpuSeconds / usage.seconds) * 100).toFixed(1)} % of a core, of ${budget.cpuPercent} %`]),
    ...(parts.memory === undefined ? [] : [`${mebi(usage.memoryBytes)}, of ${mebi(budget.memoryBytes!)}`])
  ].join("; ")
}
