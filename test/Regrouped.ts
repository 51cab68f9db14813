/** Rules, what the reference computation makes of them, and how an answer is asked for under them. */
import { Effect, Result } from "effect"
import { label } from "../src/plugins/Column.ts"
import type { Exporter } from "../src/plugins/Exporter.ts"
import type { Snapshot } from "../src/plugins/Snapshot.ts"
import { Groupings } from "../src/query/grouping/Groupings.ts"
import { compileRules } from "../src/query/grouping/RuleSet.ts"
import type { Rule } from "../src/query/grouping/Rules.ts"
import type { RankedRow, TopAnswer } from "../src/query/Rankings.ts"
import { truthTop } from "./Truth.ts"
import { exporters } from "./TruthRows.ts"

/** Two of the names that are always there, two that come and go, and one that is shown as another that is there. */
export const RULES: ReadonlyArray<Rule> = [
  { match: "^(a|b)$", name: "letters" },
  { match: "^sh(?P<rest>ort)", name: "sh${rest}s" },
  { match: "^z", name: "Z" }
]
export const shownOf = (name: string): string => {
  const set = Result.getOrThrow(compileRules(RULES))
  return set.taken(name)?.shown ?? name
}

/** The exporter with the shown name as another label, by which it is ranked; and its rows. */
export const regroupedExporters = exporters.map((exporter): Exporter => {
  if (exporter.name !== "process_exporter") return exporter
  const columns = { ...exporter.table.columns, shown: label({ doc: "What the name is shown as." }) }
  return { ...exporter, table: { ...exporter.table, columns }, top: { ...exporter.top!, per: "shown" as never } }
})
export const regroupedRows = (rows: ReadonlyArray<Snapshot>) =>
  rows.map((row) =>
    row.exporter === "process_exporter" ? { ...row, values: [...row.values, shownOf(String(row.values[0]))] } : row
  )

/** The top answer by shown name. It does not say of which names a row is made, which are a label beside the ranked one here only. */
export const truthRegrouped = (rows: ReadonlyArray<Snapshot>, request: Parameters<typeof truthTop>[2]): TopAnswer => {
  const answer = truthTop(regroupedExporters, rows, request)
  return { ...answer, rows: answer.rows.map(({ names: _, names_total: __, ...row }) => row as RankedRow) }
}

/** Saves rules, once each, and gives what an answer is asked under. */
export const under = Effect.fnUntraced(function* (name: string, rules: ReadonlyArray<Rule>) {
  const groupings = yield* Groupings
  yield* Effect.ignore(groupings.save({ name, base: 0, rules, comment: "" }))
  return yield* groupings.regrouping({ name, version: undefined })
})
