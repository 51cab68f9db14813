/** What every answer about names has in common: `grouping`, the rule set that puts them together. */
import { Effect } from "effect"
import type { Groupings } from "../../query/grouping/Groupings.ts"
import type { Regrouping } from "../../query/grouping/Regrouping.ts"
import { parseReference } from "../../query/grouping/Rules.ts"
import { fromFailure } from "../api/Problem.ts"

/** The regrouping that a question names, for the answer to be made under; undefined where it names none. */
export const regroupingOf = (groupings: Groupings["Service"], grouping: string | undefined) => {
  const reference = grouping === undefined ? undefined : parseReference(grouping)
  return reference === undefined
    ? Effect.succeed(undefined)
    : Effect.mapError(groupings.regrouping(reference), (failure) => fromFailure(failure))
}

/** Under which rules an answer was made, as a field of it. */
export const showGrouping = (regrouping: Regrouping | undefined) =>
  regrouping === undefined ? {} : { grouping: regrouping.grouping }
