/**
 * Rules that were saved from the page or over the API, as a port.
 *
 * Guarantees: a change and its entry in the audit, with what was before and after, are one transaction; of two people who began at
 * the same version one saves, and the other is told by whom.
 */
import { Context, type Effect, Schema } from "effect"
import type { DatabaseUnavailable } from "../sinks/storage/DatabaseUnavailable.ts"
import type { RuleDocument } from "./RuleDocument.ts"

export interface StoredRule {
  readonly name: string
  /** Grows with each save. */
  readonly version: number
  readonly document: RuleDocument
  /** As the audit calls them. */
  readonly by: string
  /** Epoch milliseconds. */
  readonly at: number
}

/** There is no such stored rule. Not retryable. */
export class UnknownRule extends Schema.TaggedError<UnknownRule>()("UnknownRule", {
  name: Schema.String,
  /** What there is of the name instead. */
  instead: Schema.optionalKey(Schema.String)
}) {
  readonly retryable = false
  override get message(): string {
    const instead = this.instead === undefined ? "" : `: ${this.instead}`
    return `no rule ${JSON.stringify(this.name)} was saved here${instead}`
  }
}

/** Somebody saved in between. Retryable from their version on. */
export class RuleConflict extends Schema.TaggedError<RuleConflict>()("RuleConflict", {
  name: Schema.String,
  base: Schema.Int,
  version: Schema.Int,
  by: Schema.String,
  /** Epoch milliseconds. */
  at: Schema.Finite
}) {
  readonly retryable = false
  override get message(): string {
    const { base, by, name, version } = this
    return base === 0
      ? `there is a rule ${JSON.stringify(name)} already: version ${version}, saved by ${by}`
      : `${by} saved version ${version} of ${JSON.stringify(name)} meanwhile; yours is made from version ${base}`
  }
}

/** There are as many rules as there may be. Not retryable: one has to go first. */
export class TooManyRules extends Schema.TaggedError<TooManyRules>()("TooManyRules", { limit: Schema.Int }) {
  readonly retryable = false
  override get message(): string {
    return `there are ${this.limit} rules, as many as there may be: remove one first`
  }
}

export class StoredRules extends Context.Service<
  StoredRules,
  {
    /** By name. */
    readonly list: Effect.Effect<ReadonlyArray<StoredRule>, DatabaseUnavailable>
    /** Makes the version after `base`, which is 0 for a rule that is new; at most so many rules are stored. */
    readonly save: (
      rule: { readonly name: string; readonly document: RuleDocument; readonly base: number },
      most: number
    ) => Effect.Effect<StoredRule, UnknownRule | RuleConflict | TooManyRules | DatabaseUnavailable>
    /** Removes it, where `base` is its version or undefined. */
    readonly remove: (
      name: string,
      base: number | undefined
    ) => Effect.Effect<void, UnknownRule | RuleConflict | DatabaseUnavailable>
  }
>()("nodepulse/alerts/StoredRules") {}
