/**
 * Rule sets that are kept, as a port: each save makes a new version, none is ever changed or removed, and an answer can be asked
 * for under any of them.
 *
 * Guarantees: a version and its entry in the audit are one transaction; of two people who began at the same version one saves, and
 * the other is told by whom. Bounds: {@link GROUPINGS_MAX} sets, {@link VERSIONS_MAX} versions each.
 */
import { Context, type Effect, Schema } from "effect"
import type { DatabaseUnavailable } from "../../sinks/storage/DatabaseUnavailable.ts"
import type { Regrouping } from "./Regrouping.ts"
import type { RuleRefused } from "./RuleSet.ts"
import type { GroupingVersion, Rule } from "./Rules.ts"

export const GROUPINGS_MAX = 100
export const VERSIONS_MAX = 10_000

export interface Grouping extends GroupingVersion {
  readonly rules: ReadonlyArray<Rule>
  readonly comment: string
  /** As the audit calls them. */
  readonly author: string
  /** Epoch microseconds. */
  readonly savedAt: number
  /** It is not offered any more: versions before it can be asked for by their numbers. */
  readonly retired: boolean
}

/** There is no such set, or no such version of it. Not retryable. */
export class UnknownGrouping extends Schema.TaggedError<UnknownGrouping>()("UnknownGrouping", {
  reference: Schema.String
}) {
  readonly retryable = false
  override get message(): string {
    return `there is no rule set ${JSON.stringify(this.reference)}`
  }
}

/** Somebody saved in between. Retryable from their version on. */
export class GroupingConflict extends Schema.TaggedError<GroupingConflict>()("GroupingConflict", {
  name: Schema.String,
  base: Schema.Int,
  version: Schema.Int,
  author: Schema.String,
  savedAt: Schema.Finite,
  comment: Schema.String
}) {
  readonly retryable = false
  override get message(): string {
    const { author, base, name, version } = this
    return base === 0
      ? `there is a rule set ${name} already: version ${version}, saved by ${author}`
      : `${author} saved version ${version} of ${name} meanwhile; yours is made from version ${base}`
  }
}

/** There are as many sets, or versions of one, as there may be. */
export class TooManyGroupings extends Schema.TaggedError<TooManyGroupings>()("TooManyGroupings", {
  limit: Schema.Int,
  what: Schema.Literals(["rule sets", "versions"])
}) {
  readonly retryable = false
  override get message(): string {
    return `there are ${this.limit} ${this.what}, and there may be no more`
  }
}

export type SaveFailure = RuleRefused | UnknownGrouping | GroupingConflict | TooManyGroupings | DatabaseUnavailable

export class Groupings extends Context.Service<
  Groupings,
  {
    /** The latest version of each set that is not retired, by name. */
    readonly list: Effect.Effect<ReadonlyArray<Grouping>, DatabaseUnavailable>
    /** One version, or the latest where none is named; a retired set has no latest. */
    readonly get: (name: string, version?: number) => Effect.Effect<Grouping, UnknownGrouping | DatabaseUnavailable>
    /** All versions, the latest first, at most so many, before the one that is named. */
    readonly versions: (
      name: string,
      page: { readonly limit: number; readonly before?: number | undefined }
    ) => Effect.Effect<ReadonlyArray<Grouping>, UnknownGrouping | DatabaseUnavailable>
    /** Makes the version after `base`, which is 0 for a set that is new (or was retired). */
    readonly save: (grouping: {
      readonly name: string
      readonly base: number
      readonly rules: ReadonlyArray<Rule>
      readonly comment: string
    }) => Effect.Effect<Grouping, SaveFailure>
    /** Offers a set no more, by a version that says so. */
    readonly retire: (name: string, comment: string) => Effect.Effect<void, SaveFailure>
    /** What an answer is asked under: a set's latest version, or the one that is named. Made anew for each answer. */
    readonly regrouping: (reference: {
      readonly name: string
      readonly version: number | undefined
    }) => Effect.Effect<Regrouping, UnknownGrouping | DatabaseUnavailable>
  }
>()("nodepulse/query/Groupings") {}
