/**
 * A rule set as a file (`docs/grouping.md`), read into rules and written from them. Pure; how a file is read and bounded is
 * `src/YamlDocument.ts`. A problem names the line, and of a pattern the character too.
 */
import { Result, Schema } from "effect"
import { stringify } from "yaml"
import { readYaml } from "../../YamlDocument.ts"
import { compileRules } from "./RuleSet.ts"
import { COMMENT_ALLOWED, GROUPING_ALLOWED, isComment, isGroupingName, RULES_MAX, type Rule } from "./Rules.ts"

const FileRule = Schema.Struct({ match: Schema.String, name: Schema.String })

const File = Schema.Struct({
  name: Schema.optionalKey(Schema.String.check(Schema.makeFilter(isGroupingName, { expected: GROUPING_ALLOWED }))),
  comment: Schema.optionalKey(Schema.String.check(Schema.makeFilter(isComment, { expected: COMMENT_ALLOWED }))),
  rules: Schema.Array(FileRule)
})
type GroupingFile = typeof File.Type

const decode = Schema.decodeUnknownResult(File, { errors: "all", onExcessProperty: "error" })

/** Reads the text of a file. A failure is the list of problems, one sentence each. */
export const readGrouping = (text: string): Result.Result<GroupingFile, ReadonlyArray<string>> =>
  readYaml(text, {
    decode,
    keys: [
      [/^$/, Object.keys(File.fields)],
      [/^rules\[\d+\]$/, Object.keys(FileRule.fields)]
    ],
    contradictions: ({ rules }, place) => {
      const compiled = compileRules(rules)
      if (Result.isSuccess(compiled)) return []
      const { field, message, rule } = compiled.failure
      return [rule === 0 ? message : `${place(["rules", rule - 1, field])}: ${message}`]
    },
    bounds: { bytes: 128 * 1024, keys: 5 * RULES_MAX, parts: 40 * RULES_MAX }
  })

/** The file that would be read as these rules. */
export const writeGrouping = (name: string, comment: string, rules: ReadonlyArray<Rule>): string =>
  stringify(
    { name, ...(comment === "" ? {} : { comment }), rules: rules.map(({ match, name }) => ({ match, name })) },
    { lineWidth: 0 }
  )
