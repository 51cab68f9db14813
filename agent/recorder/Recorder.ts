/**
 * The flight recorder as children of the agent: `recorder` takes a sample each second, `recordings` delivers what is wanted. A recording
 * is made when the server asks for one in its answer to a push (`src/protocol/AgentWants.ts`), and when the kernel has killed a process for
 * want of memory.
 *
 * Guarantee: nothing is sent before the server has taken rows of this very agent, nor while another one writes with the token. However
 * often it is asked, it makes no more than `RecordingQuota.ts` says, and none twice. A failure of it ends neither scrapes nor the push.
 */
import { randomUUID } from "node:crypto"
import { Clock, Duration, Effect } from "effect"
import { parseWanted, type Wanted } from "../../src/protocol/AgentWants.ts"
import type { RecordingReason } from "../../src/protocol/Recording.ts"
import { BootClock } from "../clock/BootClock.ts"
import type { AgentServer } from "../config/AgentConfig.ts"
import { FlightRecorder, type RecorderSources } from "./FlightRecorder.ts"
import type { Answered } from "./PushAnswered.ts"
import { RecordingQuota } from "./RecordingQuota.ts"
import { makeSender } from "./RecordingSender.ts"

/** After a kill the recorder goes on for a while, so that what followed is seen. */
const AFTER_KILL_MILLIS = 5_000
/** Requests that were heard: the server repeats one until it has the recording. */
const HEARD_MAX = 32
/** A request waits for its turn, but no longer than anybody waits for an answer to it. */
const WAITS_MAX_MILLIS = 600_000
const WAITING_MAX = 4

export interface Recorder {
  readonly children: ReadonlyArray<{ readonly name: string; readonly run: Effect.Effect<never> }>
  readonly answered: Answered
}

/** `isResting`: whether it is to take no samples for now. */
export const makeRecorder = Effect.fnUntraced(function* (
  server: AgentServer,
  sources: RecorderSources,
  isResting: () => boolean = () => false
) {
  const clock = yield* Clock.Clock
  const boot = yield* Effect.map(BootClock, (read) => () => read(clock))
  const recorder = new FlightRecorder(sources)
  const quota = new RecordingQuota()
  const sender = yield* makeSender(server)
  const heard: Array<string> = []
  let wanted: ReadonlyArray<Wanted & { readonly since: number }> = []
  let isHolder = false
  /** When a kill is to be told, milliseconds since boot. */
  let tellAt: number | undefined

  const answered: Recorder["answered"] = ({ isTaken, wants }) => {
    isHolder = isTaken
    const one = isTaken ? parseWanted(wants) : undefined
    if (one === undefined || heard.includes(one.id) || wanted.length >= WAITING_MAX) return
    heard.push(one.id)
    heard.splice(0, heard.length - HEARD_MAX)
    wanted = [...wanted, { ...one, since: boot() }]
  }

  const make = Effect.fnUntraced(function* (id: string, reason: RecordingReason, at: number) {
    if (!quota.take(reason, at)) return false
    const recording = recorder.recording(id, reason, at, clock.currentTimeMillisUnsafe())
    if (recording === undefined) return false
    yield* Effect.logInfo(`recording ${id} of the last ${Math.round(-recording.at[0]!)} s is made (${reason})`)
    yield* sender.offer(recording)
    return true
  })

  const tick = Effect.fnUntraced(function* () {
    const at = boot()
    const kills = recorder.sample(at, clock.currentTimeMillisUnsafe())
    if (kills.length > 0) {
      tellAt ??= at + AFTER_KILL_MILLIS
      const names = kills.map(({ name, unit }) => name ?? unit ?? "a process")
      yield* Effect.logWarning(`the kernel killed ${names.join(", ")} for want of memory`)
    }
    for (const one of wanted) {
      const isDone = (yield* make(one.id, one.reason, at)) || at - one.since >= WAITS_MAX_MILLIS
      if (isDone) wanted = wanted.filter((other) => other !== one)
    }
    if (tellAt === undefined || at < tellAt || !isHolder) return
    // Those that came in the rest are told with the next.
    if (yield* make(randomUUID().replaceAll("-", ""), "oom_kill", at)) tellAt = undefined
  })

  const run: Effect.Effect<never> = Effect.gen(function* () {
    while (true) {
      const period = recorder.budget.now.periodMillis
      const now = boot()
      yield* Effect.sleep(Duration.millis(Math.max(1, (Math.floor(now / period) + 1) * period - now)))
      if (!isResting()) yield* tick()
    }
  })

  return {
    children: [
      { name: "recorder", run },
      { name: "recordings", run: sender.run }
    ],
    answered
  } satisfies Recorder
})
