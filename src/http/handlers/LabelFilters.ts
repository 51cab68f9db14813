/**
 * A question about one value of a label beside the ranked one: `unit=nginx`. The parameter is called as the label is on the
 * wire. Such an answer is read from rows, whatever the roll-ups hold, so its window is a day at most.
 */
import { Result } from "effect"
import { otherLabels } from "../../plugins/Catalog.ts"
import type { Exporter } from "../../plugins/Exporter.ts"
import { LABEL_LENGTH_MAX } from "../../plugins/Storable.ts"
import type { LabelFilter } from "../../query/Rankings.ts"
import { ALLOWED } from "../api/Parameters.ts"
import { type InvalidParameter, invalidParameter } from "../api/Problem.ts"

const HOURS_MAX = 24

/** The label that a query asks for beside its declared parameters; undefined where it asks for none. */
export const labelFilter = (
  exporter: Exporter,
  query: object,
  declared: object,
  hours: number
): Result.Result<LabelFilter | undefined, InvalidParameter> => {
  const asked = Object.entries(query).filter(([key]) => !Object.hasOwn(declared, key))
  const labels = otherLabels(exporter)
  let only: LabelFilter | undefined
  for (const [key, value] of asked) {
    const label = labels.find(({ name }) => name === key)
    if (label === undefined) {
      const known = [...Object.keys(declared), ...labels.map(({ name }) => name)]
      return Result.fail(invalidParameter(key, value, `one of the parameters ${known.join(", ")}`))
    }
    if (Array.isArray(value)) return Result.fail(invalidParameter(key, value, "given once"))
    if (typeof value !== "string" || value.length > LABEL_LENGTH_MAX || value.includes("\0")) {
      return Result.fail(invalidParameter(key, value, ALLOWED.label))
    }
    if (only !== undefined) return Result.fail(invalidParameter(key, value, "one label at a time"))
    only = { label: label.label, value }
  }
  if (only === undefined || hours <= HOURS_MAX) return Result.succeed(only)
  const allowed = `a number above 0, at most ${HOURS_MAX} where a label is asked for: such answers are read from rows`
  return Result.fail(invalidParameter("hours", hours, allowed))
}
