/**
 * Tells systemd that the program is ready, alive, and stopping (`Type=notify`, `WatchdogSec=`), as a supervised child.
 *
 * NOTIFY_SOCKET is a unix datagram socket, which Node cannot open without a native module. So the message is sent by
 * `systemd-notify`, which is wherever systemd is; the unit says `NotifyAccess=all`. It costs one short process per
 * half of the watchdog's time, a few milliseconds each. Where NOTIFY_SOCKET is not set, nothing is sent and nothing is
 * spawned.
 *
 * What the watchdog proves: the event loop turns and the supervisor still runs its children. A message that cannot be
 * sent is logged and tried again; it is systemd who decides then.
 *
 * Bound: one `systemd-notify` at a time, killed after `SEND_WITHIN`.
 */
import { execFile } from "node:child_process"
import { Config, Duration, Effect, Option, Schema } from "effect"
import type { Child } from "./engine/Supervisor.ts"

const SEND_WITHIN = Duration.seconds(5)

/** systemd could not be told. Retryable: it is told again. */
export class NotifyFailed extends Schema.TaggedError<NotifyFailed>()("NotifyFailed", {
  state: Schema.String,
  reason: Schema.String
}) {
  readonly retryable = true
  override get message(): string {
    return `systemd-notify ${this.state}: ${this.reason}`
  }
}

const environment = Config.all({
  socket: Config.option(Config.NonEmptyString("NOTIFY_SOCKET")),
  watchdogMicros: Config.option(Config.NonEmptyString("WATCHDOG_USEC"))
})

/** Half of WATCHDOG_USEC, as sd_watchdog_enabled(3) recommends; undefined where no watchdog is asked for. */
export const pingInterval = (watchdogMicros: string | undefined): Duration.Duration | undefined => {
  const micros = Number(watchdogMicros)
  return Number.isFinite(micros) && micros > 0 ? Duration.millis(micros / 2_000) : undefined
}

const send = (command: string, state: string): Effect.Effect<void, NotifyFailed> =>
  Effect.callback((resume) => {
    const options = { timeout: Duration.toMillis(SEND_WITHIN), killSignal: "SIGKILL" } as const
    execFile(command, [state], options, (error, _output, problem) => {
      if (error === null) return resume(Effect.void)
      resume(Effect.fail(new NotifyFailed({ state, reason: problem.trim() || error.message })))
    })
  })

/**
 * The child that says READY=1 when it is first run, then WATCHDOG=1 in time, and STOPPING=1 when it is stopped: put it
 * last, so that it is stopped first. An empty list where no systemd listens. `command` sends one message, its argument.
 */
export const childrenBy = Effect.fnUntraced(function* (
  command: string
): Effect.fn.Return<ReadonlyArray<Child<never>>, Config.ConfigError> {
  const { socket, watchdogMicros } = yield* environment
  if (Option.isNone(socket)) return []
  const interval = pingInterval(Option.getOrUndefined(watchdogMicros))
  const alive: Effect.Effect<never, NotifyFailed> =
    interval === undefined
      ? Effect.never
      : Effect.forever(Effect.andThen(Effect.sleep(interval), send(command, "WATCHDOG=1")))
  const run = Effect.andThen(send(command, "READY=1"), alive).pipe(
    Effect.onInterrupt(() => Effect.ignore(send(command, "STOPPING=1")))
  )
  return [{ name: "systemd", run }]
})

/** The same, by the real one. */
export const children = childrenBy("systemd-notify")
