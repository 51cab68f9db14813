/**
 * How fast each stage goes, for the live view: its counters over the last minute.
 *
 * A fiber of the supervisor's notes the counters every 5 seconds and keeps a minute of them, so that one look tells the
 * rates, whoever looked before. In the first minute they are over the time since the start. Whatever is in the tree and
 * looks otherwise stays as it is. Bound: 13 notes of a few numbers a stage.
 */
import { Clock, Duration, Effect } from "effect"

/** By the way down to a stage, `nodepulse/digest/producer`. */
export type Counters = ReadonlyMap<string, Readonly<Record<Counted, number>>>

export interface PerSecond {
  readonly received: number
  readonly passed: number
  readonly rejected: number
  /** The time that these are means of. */
  readonly overSeconds: number
}

export interface PipelineRates {
  /** Notes the counters for ever. */
  readonly run: Effect.Effect<never>
  /** The tree of this moment, each stage with `perSecond`. */
  readonly snapshot: Effect.Effect<unknown>
}

const COUNTED = ["received", "passed", "rejected"] as const
type Counted = (typeof COUNTED)[number]

const NOTED_EVERY = Duration.seconds(5)
const NOTES_MAX = 13

/** The rates of the tree that `view` shows. Notes the first counters now. */
export const makePipelineRates = (view: () => unknown): Effect.Effect<PipelineRates> =>
  Effect.gen(function* () {
    const seconds = Effect.map(Clock.monotonicTimeNanos, (nanos) => Number(nanos) / 1e9)
    const note = Effect.map(seconds, (at) => ({ at, counters: countersOf(view()) }))
    const notes = [yield* note]
    return {
      run: Effect.forever(
        Effect.gen(function* () {
          yield* Effect.sleep(NOTED_EVERY)
          notes.push(yield* note)
          if (notes.length > NOTES_MAX) notes.shift()
        })
      ),
      snapshot: Effect.map(seconds, (now) => {
        const { at, counters } = notes[0]!
        return withRates(view(), counters, now - at)
      })
    }
  })

/** The counters of every stage in a tree. Pure. */
export const countersOf = (tree: unknown): Counters => {
  const counters = new Map<string, Readonly<Record<Counted, number>>>()
  walk(tree, "", (path, stage) => counters.set(path, stage))
  return counters
}

/** The tree with `perSecond` in each stage: what its counters grew by since `before`, `overSeconds` ago. Pure. */
export const withRates = (tree: unknown, before: Counters, overSeconds: number): unknown =>
  walk(tree, "", (path, stage) => {
    const old = before.get(path)
    // At the very start there is nothing to tell yet.
    if (overSeconds < 1) return { ...stage, perSecond: null }
    const rate = (name: Counted) => rounded(Math.max(0, stage[name] - (old?.[name] ?? 0)) / overSeconds)
    const perSecond: PerSecond = {
      received: rate("received"),
      passed: rate("passed"),
      rejected: rate("rejected"),
      overSeconds: rounded(overSeconds)
    }
    return { ...stage, perSecond }
  })

type StageLike = Readonly<Record<Counted, number>> & { readonly stage: string }

/** A copy of the tree in which `change` has replaced each stage. */
const walk = (tree: unknown, above: string, change: (path: string, stage: StageLike) => unknown): unknown => {
  if (!isObject(tree)) return tree
  const path = `${above}${String(tree.name)}/`
  const copy: Record<string, unknown> = { ...tree }
  if (Array.isArray(tree.stages)) {
    copy.stages = tree.stages.map((stage) => (isStage(stage) ? change(`${path}${stage.stage}`, stage) : stage))
  }
  if (Array.isArray(tree.children)) {
    copy.children = tree.children.map((child) =>
      isObject(child) ? { ...child, tree: walk(child.tree, path, change) } : child
    )
  }
  return copy
}

const isObject = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === "object" && value !== null

const isStage = (value: unknown): value is StageLike =>
  isObject(value) && typeof value.stage === "string" && COUNTED.every((name) => typeof value[name] === "number")

const rounded = (value: number): number => Math.round(value * 1_000) / 1_000
