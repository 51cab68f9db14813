/**
 * How fast each stage goes, for the live view: its counters over the last minute.
 *
 * A fiber of the supervisor's notes the counters every 5 seconds and keeps a minute of them, so that one look tells the
 * rates, whoever looked before. In the first minute they are over the time since the start. Bound: 13 notes of a few numbers a stage.
 */
import { Clock, Duration, Effect } from "effect"
import type { PipelineStage, PipelineTree } from "../api/PipelineAnswer.ts"

/** By the way down to a stage, `nodepulse/digest/producer`. */
export type Counters = ReadonlyMap<string, Readonly<Record<Counted, number>>>

export interface PipelineRates {
  /** Notes the counters for ever. */
  readonly run: Effect.Effect<never>
  /** The tree of this moment, each stage with `perSecond`. */
  readonly snapshot: Effect.Effect<PipelineTree>
}

const COUNTED = ["received", "passed", "rejected"] as const
type Counted = (typeof COUNTED)[number]

const NOTED_EVERY = Duration.seconds(5)
const NOTES_MAX = 13

/** The rates of the tree that `view` shows. Notes the first counters now. */
export const makePipelineRates = (view: () => PipelineTree): Effect.Effect<PipelineRates> =>
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
export const countersOf = (tree: PipelineTree): Counters => {
  const counters = new Map<string, Readonly<Record<Counted, number>>>()
  eachStage(tree, "", (path, stage) => {
    counters.set(path, stage)
    return stage
  })
  return counters
}

/** The tree with `perSecond` in each stage: what its counters grew by since `before`, `overSeconds` ago. Pure. */
export const withRates = (tree: PipelineTree, before: Counters, overSeconds: number): PipelineTree =>
  eachStage(tree, "", (path, stage) => {
    const old = before.get(path)
    // At the very start there is nothing to tell yet.
    if (overSeconds < 1) return { ...stage, perSecond: null }
    const rate = (name: Counted) => rounded(Math.max(0, stage[name] - (old?.[name] ?? 0)) / overSeconds)
    const perSecond = {
      received: rate("received"),
      passed: rate("passed"),
      rejected: rate("rejected"),
      overSeconds: rounded(overSeconds)
    }
    return { ...stage, perSecond }
  })

/** A copy of the tree in which `change` has replaced each stage. */
const eachStage = (
  tree: PipelineTree,
  above: string,
  change: (path: string, stage: PipelineStage) => PipelineStage
): PipelineTree => {
  const path = `${above}${tree.name}/`
  const { children, stages } = tree
  return {
    ...tree,
    ...(stages === undefined ? {} : { stages: stages.map((stage) => change(`${path}${stage.stage}`, stage)) }),
    children: children.map((child) => ({
      ...child,
      tree: child.tree === null ? null : eachStage(child.tree, path, change)
    }))
  }
}

const rounded = (value: number): number => Math.round(value * 1_000) / 1_000
