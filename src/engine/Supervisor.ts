/**
 * The supervisor: the one place where fibers are forked.
 *
 * It runs named children, and:
 * - a child that fails, dies of a defect, is interrupted from elsewhere, or ends although it should not, is started
 *   again after a backoff that doubles up to a cap, with jitter; it is logged and counted: a dead fiber is never silent;
 * - an error with `retryable: true` (a database that is away) is retried without a limit; anything else counts against
 *   `maxRestarts`. The restart count and the backoff reset after a child stayed up for `healthyAfter`. Past the limit the
 *   supervisor stops its other children and fails with `Escalated`, which its own supervisor handles in the same way, up to
 *   the program; a child with `escalates: true` is never restarted on its own;
 * - on interruption it first lets `drain` end the work, for at most `stopWithin`, then stops the children one by one in
 *   the reverse of their order, so that what depends on another goes first; or all at once, where nothing does
 *   (`stopTogether`). A child that does not stop in its time, because what it waits for does not answer and cannot be
 *   interrupted, is left behind and said so: it must not keep the others from ending well.
 *
 * A child may itself be a supervisor or a pipeline: its `view` then hangs below it in the tree.
 */
import { Cause, Clock, Deferred, Duration, Effect, Exit, Fiber, Random, Schema, Scope } from "effect"
import type { LedgerCounts } from "./Acknowledgement.ts"
import type { StageView } from "./Stage.ts"

/** A child failed more often than its supervisor allows. */
export class Escalated extends Schema.TaggedError<Escalated>()("Escalated", {
  supervisor: Schema.String,
  child: Schema.String,
  restarts: Schema.Number,
  reason: Schema.String
}) {
  override get message(): string {
    return `${this.supervisor}: "${this.child}" failed ${this.restarts + 1} times and is given up: ${this.reason}`
  }
}

export type ChildState = "starting" | "running" | "waiting" | "finished" | "stopped" | "failed"

/** What the live view shows of a child; times are epoch milliseconds. */
export interface ChildView {
  readonly name: string
  readonly state: ChildState
  /** When it came into this state. */
  readonly since: number
  readonly restarts: number
  readonly lastError: { readonly at: number; readonly reason: string } | null
  /** When it is started again, in state `waiting`. */
  readonly retryAt: number | null
  readonly tree: TreeView | null
}

export interface SupervisorView {
  readonly name: string
  readonly children: ReadonlyArray<ChildView>
}

/** A supervisor, or a pipeline: then with its stages, its bounds and its books. */
export interface TreeView extends SupervisorView {
  readonly bounds?: {
    readonly demand: number
    readonly inFlight: number
    readonly batchSize: number
    readonly concurrency: number
  }
  readonly books?: LedgerCounts
  readonly stages?: ReadonlyArray<StageView>
}

export interface Child<R> {
  readonly name: string
  readonly run: Effect.Effect<unknown, unknown, R>
  /** Whether it is expected to end by itself. Else its end is a failure. */
  readonly completes?: boolean
  /** Whether its first failure is the supervisor's: it held what a successor would not know of. */
  readonly escalates?: boolean
  /** What hangs below it in the live view. */
  readonly view?: () => TreeView
  /** How long stopping it may take. Defaults to 5 seconds. */
  readonly stopWithin?: Duration.Input
}

export interface Options<R> {
  readonly name: string
  readonly children: ReadonlyArray<Child<R>>
  /** Restarts in a row, for errors that are not retryable, before it escalates. */
  readonly maxRestarts: number
  readonly backoff: { readonly from: Duration.Input; readonly to: Duration.Input }
  readonly healthyAfter: Duration.Input
  /** How long `drain` may take. */
  readonly stopWithin: Duration.Input
  /** Lets the work under way end by itself. */
  readonly drain?: Effect.Effect<void, never, R>
  /** Whether the children are stopped at once. Defaults to one by one. */
  readonly stopTogether?: boolean
}

const STOP_CHILD_WITHIN = "5 seconds"

export interface Supervisor<R> {
  /** Runs until interrupted, until every child has finished, or until one is given up. May be run again. */
  readonly run: Effect.Effect<void, Escalated, R>
  readonly view: () => SupervisorView
}

export const make = <R>(options: Options<R>): Supervisor<R> => {
  const records = options.children.map((child) => new ChildRecord(child.name, child.view))
  const run = Effect.uninterruptibleMask((restore) =>
    Effect.gen(function* () {
      const scope = yield* Scope.make()
      const escalated = yield* Deferred.make<never, Escalated>()
      const fibers: Array<Fiber.Fiber<void>> = []
      for (const [index, child] of options.children.entries()) {
        const supervised = keepRunning(options, child, records[index]!, escalated)
        fibers.push(yield* Effect.forkIn(Effect.interruptible(supervised), scope))
      }
      const finished = Effect.asVoid(Fiber.awaitAll(fibers))
      const exit = yield* Effect.exit(restore(Effect.raceFirst(finished, Deferred.await(escalated))))
      // In a fiber of its own: this one has been interrupted, and could not be timed out any more.
      if (Exit.hasInterrupts(exit) && options.drain !== undefined) {
        const draining = Effect.timeoutOption(options.drain, options.stopWithin)
        const drained = yield* Fiber.join(yield* Effect.forkIn(Effect.interruptible(draining), scope))
        if (drained._tag === "None") {
          const limit = Duration.format(Duration.fromInputUnsafe(options.stopWithin))
          yield* Effect.logWarning(`${options.name}: not drained within ${limit}`)
        }
      }
      /** Whether it has stopped in its time. In a fiber of its own, as above. */
      const stop = Effect.fnUntraced(function* (index: number) {
        const child = options.children[index]!
        const fiber = fibers[index]!
        fiber.interruptUnsafe()
        const within = child.stopWithin ?? STOP_CHILD_WITHIN
        const stopped = Effect.timeoutOption(Fiber.await(fiber), within)
        const outcome = yield* Fiber.join(yield* Effect.forkIn(Effect.interruptible(stopped), scope))
        if (outcome._tag === "Some") return true
        const limit = Duration.format(Duration.fromInputUnsafe(within))
        yield* Effect.logWarning(`${options.name}: "${child.name}" does not stop within ${limit} and is left behind`)
        return false
      })
      const stopped = yield* Effect.forEach(fibers.map((_, index) => index).reverse(), stop, {
        concurrency: options.stopTogether === true ? Math.max(1, fibers.length) : 1
      })
      // Closing waits for all of them.
      if (stopped.every((one) => one)) yield* Scope.close(scope, exit)
      return yield* exit
    })
  )
  return { run, view: () => ({ name: options.name, children: records.map((record) => record.view()) }) }
}

/** Runs one child, again and again. Ends when the child has finished or is given up. */
const keepRunning = <R>(
  options: Options<R>,
  child: Child<R>,
  record: ChildRecord,
  escalated: Deferred.Deferred<never, Escalated>
): Effect.Effect<void, never, R> =>
  Effect.gen(function* () {
    const healthyAfter = Duration.toMillis(options.healthyAfter)
    let inARow = 0
    let delays = 0
    while (true) {
      const startedAt = yield* Clock.currentTimeMillis
      record.enter("running", startedAt)
      const exit = yield* Effect.exit(child.run)
      const now = yield* Clock.currentTimeMillis
      if (Exit.isSuccess(exit) && child.completes === true) return record.enter("finished", now)
      const reason = Exit.isSuccess(exit) ? "ended although it should run for ever" : reasonOf(exit.cause)
      if (now - startedAt >= healthyAfter) {
        inARow = 0
        delays = 0
      }
      record.lastError = { at: now, reason }
      if (!(Exit.isFailure(exit) && isRetryable(exit.cause))) inARow++
      if (inARow > options.maxRestarts || child.escalates === true) {
        record.enter("failed", now)
        yield* Effect.logError(`${options.name}: "${child.name}" is given up: ${reason}`)
        const restarts = Math.max(0, inARow - 1)
        const error = new Escalated({ supervisor: options.name, child: child.name, restarts, reason })
        return yield* Deferred.fail(escalated, error)
      }
      const delay = backoff(options.backoff, delays++) * (0.5 + (yield* Random.next) / 2)
      record.restarts++
      record.enter("waiting", now, now + delay)
      yield* Effect.logWarning(
        `${options.name}: "${child.name}" failed and starts again in ${Math.round(delay)} ms: ${reason}`
      )
      yield* Effect.sleep(delay)
    }
  }).pipe(
    Effect.onInterrupt(() => Effect.map(Clock.currentTimeMillis, (now) => record.stop(now))),
    Effect.asVoid
  )

/** The state of a child that the live view shows. Survives restarts. */
class ChildRecord {
  readonly #name: string
  readonly #tree: (() => TreeView) | undefined
  #state: ChildState = "starting"
  #since = 0
  #retryAt: number | null = null
  restarts = 0
  lastError: ChildView["lastError"] = null

  constructor(name: string, tree: (() => TreeView) | undefined) {
    this.#name = name
    this.#tree = tree
  }

  enter(state: ChildState, now: number, retryAt: number | null = null): void {
    this.#state = state
    this.#since = now
    this.#retryAt = retryAt
  }

  /** As `enter("stopped")`, but what was given up or has finished stays so. */
  stop(now: number): void {
    if (this.#state !== "failed" && this.#state !== "finished") this.enter("stopped", now)
  }

  view(): ChildView {
    return {
      name: this.#name,
      state: this.#state,
      since: this.#since,
      restarts: this.restarts,
      lastError: this.lastError,
      retryAt: this.#retryAt,
      tree: this.#tree?.() ?? null
    }
  }
}

/** The delay before the n-th restart (from 0), without jitter. */
const backoff = (bounds: Options<never>["backoff"], n: number): number =>
  Math.min(Duration.toMillis(bounds.to), Duration.toMillis(bounds.from) * 2 ** Math.min(n, 30))

/** Whether every error in the cause says of itself that trying again can help. */
const isRetryable = (cause: Cause.Cause<unknown>): boolean =>
  cause.reasons.length > 0 && cause.reasons.every((reason) => Cause.isFailReason(reason) && saysRetryable(reason.error))

/** Whether the error says of itself that trying again can help. */
export const saysRetryable = (error: unknown): boolean =>
  typeof error === "object" && error !== null && "retryable" in error && error.retryable === true

/** One line for people: what failed, clipped. Total: reporting a failure never fails. */
export const reasonOf = (cause: Cause.Cause<unknown>): string => {
  if (Cause.hasInterruptsOnly(cause)) return "interrupted"
  const text = textOf(Cause.squash(cause))
  return text.length > 500 ? `${text.slice(0, 500)}…` : text
}

const textOf = (error: unknown): string => {
  try {
    return typeof error === "object" && error !== null && "message" in error && typeof error.message === "string"
      ? error.message || (error instanceof Error ? error.name : "unknown")
      : String(error)
  } catch {
    return "something that cannot be printed"
  }
}
