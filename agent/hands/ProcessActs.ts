/**
 * What is done to a process: a signal, a nice value, an I/O class.
 *
 * Guarantee: a signal reaches the process of the order or none. Python opens a pidfd, which stays that process's whoever has the pid
 * later, then looks at start and name, and signals through the pidfd. Where there is no python3 of 3.9 or newer, start and name are
 * looked at immediately before kill(2), in the same turn of this program: a pid that is given to another process within those
 * microseconds would be signalled. So is it with nice and I/O class, which the kernel sets by thread id alone.
 *
 * A nice value is set for all threads, also for those that begin meanwhile; what it was before is in the outcome, and not restored.
 */
import { getPriority, setPriority } from "node:os"
import { Effect } from "effect"
import type { ProcessTarget } from "../../src/protocol/Orders.ts"
import type { HostProcesses } from "./HostProcesses.ts"
import { OwnRun } from "./OwnRun.ts"

/** How long a process may take to end after it was asked to, before that is called failed. */
export const ENDS_WITHIN_SECONDS = 5

export interface Done {
  readonly result: "done" | "failed"
  readonly message: string
}

const PIDFD = `
import os, select, signal, sys
pid, ticks, comm, number, wait = int(sys.argv[1]), sys.argv[2].encode(), sys.argv[3], int(sys.argv[4]), int(sys.argv[5])
try:
    opened, send = os.pidfd_open, signal.pidfd_send_signal
except AttributeError:
    sys.exit(5)
try:
    fd = opened(pid)
    with open("/proc/%d/stat" % pid, "rb") as file:
        stat = file.read()
    end = stat.rindex(b")")
    fields = stat[end + 2:].split()
    if fields[19] != ticks or fields[0] in (b"Z", b"X"):
        sys.exit(3)
    if comm and stat[stat.index(b"(") + 1:end].hex() != comm:
        sys.exit(3)
    send(fd, number)
    os.write(1, b"sent")
except (ProcessLookupError, FileNotFoundError):
    sys.exit(3)
except PermissionError:
    sys.exit(6)
except OSError:
    sys.exit(5)
poll = select.poll()
poll.register(fd, select.POLLIN)
sys.exit(0 if poll.poll(wait) else 4)
`

const NUMBERS = { SIGTERM: 15, SIGKILL: 9 } as const

/** Sends the signal, and waits for the process to end. */
export const signalProcess = Effect.fnUntraced(function* (
  processes: HostProcesses,
  target: ProcessTarget,
  signal: keyof typeof NUMBERS
) {
  const run = yield* OwnRun
  const comm = /^[\x20-\x5b\x5d-\x7e]*$/.test(target.name) ? Buffer.from(target.name).toString("hex") : ""
  const args = [target.pid, target.start_ticks, comm, NUMBERS[signal], ENDS_WITHIN_SECONDS * 1_000].map(String)
  const { code, stdout } = yield* run("python3", ["-I", "-S", "-c", PIDFD, ...args], (ENDS_WITHIN_SECONDS + 10) * 1_000)
  if (code === 0) return ended(signal)
  if (code === 3) return changed
  if (code === 4) return stillThere(signal)
  if (code === 6) return failed(`this user may not send ${signal} (CAP_KILL is missing)`)
  // No python, or none that knows pidfd, or it ended before it had sent anything.
  if (stdout !== "sent") {
    if (!isTarget(processes, target)) return changed
    const problem = yield* Effect.sync(() => sent(target.pid, signal))
    if (problem !== undefined) return failed(problem)
  }
  for (let waited = 0; waited < ENDS_WITHIN_SECONDS * 10; waited++) {
    if (!isTarget(processes, target)) return ended(signal)
    yield* Effect.sleep("100 millis")
  }
  return stillThere(signal)
})

const done = (message: string): Done => ({ result: "done", message })
const failed = (message: string): Done => ({ result: "failed", message })
const changed = failed("the process of the order had ended before the signal was sent")
const ended = (signal: string) => done(`it was sent ${signal} and has ended`)
const stillThere = (signal: string) =>
  failed(`it was sent ${signal} and has not ended within ${ENDS_WITHIN_SECONDS} seconds`)
/** What is said of a process that was asked to end, and did not: it may be killed. */
export const STILL_THERE = stillThere("SIGTERM").message

const sent = (pid: number, signal: keyof typeof NUMBERS): string | undefined => {
  try {
    process.kill(pid, signal)
    return undefined
  } catch (cause) {
    return `${signal} could not be sent (${(cause as NodeJS.ErrnoException).code})`
  }
}

/** Whether the pid is still that process's, and it has not ended. */
export const isTarget = (processes: HostProcesses, { name, pid, start_ticks }: ProcessTarget): boolean => {
  const seen = processes.startOf(pid)
  return seen?.startTicks === start_ticks && seen.name === name && seen.state !== "Z" && seen.state !== "X"
}

/** Threads that begin while others are set are found by looking again, so often at most. */
const LOOKS_MAX = 5
const THREADS_IN_A_ROW = 500

export const reniceProcess = Effect.fnUntraced(function* (
  processes: HostProcesses,
  target: ProcessTarget,
  { io, nice }: { readonly nice: number; readonly io: "unchanged" | "best-effort" | "idle" }
) {
  const before = processes.niceOf(target.pid)
  const known = new Set<number>()
  for (let look = 0; look < LOOKS_MAX; look++) {
    if (!isTarget(processes, target)) return failed("the process of the order has ended")
    const fresh = processes.threadsOf(target.pid).filter((thread) => !known.has(thread))
    if (fresh.length === 0) break
    for (const thread of fresh) {
      known.add(thread)
      const problem = yield* Effect.sync(() => setNice(thread, nice))
      if (problem !== undefined) return failed(problem)
    }
    const problem = io === "unchanged" ? undefined : yield* setClass(fresh, io, nice)
    if (problem !== undefined) return failed(problem)
  }
  const words = io === "unchanged" ? "" : `, its I/O class is ${io}`
  return done(`its nice value was ${before} and is ${nice}${words}, in ${known.size} threads`)
})

const setNice = (thread: number, nice: number): string | undefined => {
  try {
    setPriority(thread, nice)
    return getPriority(thread) === nice ? undefined : `thread ${thread} has kept its nice value`
  } catch (cause) {
    const code = (cause as { readonly info?: { readonly code?: string } }).info?.code
    // A thread that has ended meanwhile needs none.
    if (code === "ESRCH") return undefined
    return `the nice value of thread ${thread} could not be set (${code}): CAP_SYS_NICE is missing`
  }
}

const setClass = Effect.fnUntraced(function* (
  threads: ReadonlyArray<number>,
  io: "best-effort" | "idle",
  nice: number
) {
  const run = yield* OwnRun
  // The level that the kernel gives a process of that nice value by itself.
  const level = io === "idle" ? ["-c", "3"] : ["-c", "2", "-n", String(Math.floor((nice + 20) / 5))]
  for (let at = 0; at < threads.length; at += THREADS_IN_A_ROW) {
    const some = threads.slice(at, at + THREADS_IN_A_ROW).map(String)
    const { code, problem } = yield* run("ionice", ["-t", ...level, "-p", ...some])
    if (code !== 0) return `the I/O class could not be set: ${problem}`
  }
  return undefined
})
