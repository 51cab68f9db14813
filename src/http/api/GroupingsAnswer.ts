/** Rule sets that put names together, as `/api/groupings` takes and says them. What the rules do is in `docs/grouping.md`. */
import { Schema } from "effect"
import { HttpApiSchema } from "effect/http-api"
import {
  COMMENT_ALLOWED,
  GROUPING_ALLOWED,
  isComment,
  isGroupingName,
  MATCH_LENGTH_MAX,
  NAME_LENGTH_MAX,
  RULES_MAX
} from "../../query/grouping/Rules.ts"

/** That the rules are right is checked where they are compiled: the problem names the rule, the pattern and the position. */
const Rule = Schema.Struct({
  match: Schema.String.annotate({
    description: `A regular expression (RE2) that may match anywhere in a name; at most ${MATCH_LENGTH_MAX} characters.`
  }),
  name: Schema.String.annotate({
    description: `What the names are shown as; $1 or \${word} is what a group captured. At most ${NAME_LENGTH_MAX} characters.`
  })
})

const Rules = Schema.Array(Rule).annotate({
  description: `At most ${RULES_MAX}; the first one that matches takes a name.`
})

const Comment = Schema.String.check(Schema.makeFilter(isComment, { expected: COMMENT_ALLOWED }))
const Base = Schema.Int.check(Schema.isGreaterThanOrEqualTo(0)).annotate({
  description: "The version that was changed; 0 for a set that is new."
})

export const NewGrouping = Schema.Struct({
  name: Schema.String.check(Schema.makeFilter(isGroupingName, { expected: GROUPING_ALLOWED })),
  base_version: Base,
  rules: Rules,
  comment: Schema.optionalKey(Comment)
})

export const Rollback = Schema.Struct({
  to_version: Schema.Int.check(Schema.isGreaterThan(0)).annotate({ description: "Whose rules are saved again." }),
  base_version: Base,
  comment: Schema.optionalKey(Comment)
})

const version = {
  name: Schema.String,
  version: Schema.Int,
  comment: Schema.String,
  author: Schema.String.annotate({ description: "Whose token or session it was, as the audit calls them." }),
  saved_at: Schema.String
}

export const Grouping = Schema.Struct({ ...version, rules: Rules })
export type Grouping = typeof Grouping.Type

export const GroupingSaved = Grouping.pipe(HttpApiSchema.status(201))

export const GroupingsAnswer = Schema.Struct({
  groupings: Schema.Array(Schema.Struct({ ...version, rules: Schema.Int.annotate({ description: "How many." }) }))
})

export const GroupingVersions = Schema.Struct({
  versions: Schema.Array(
    Schema.Struct({ ...version, retired: Schema.Boolean, rules: Schema.Int.annotate({ description: "How many." }) })
  ).annotate({ description: "The latest first." }),
  next: Schema.NullOr(Schema.Int).annotate({ description: "What `before` takes for the next page; null on the last." })
})

export const PreviewQuestion = Schema.Struct({
  rules: Rules,
  resource: Schema.optionalKey(Schema.String.annotate({ description: "The first one that is ranked, unless given." })),
  metric: Schema.optionalKey(Schema.String),
  server_id: Schema.optionalKey(Schema.String.annotate({ description: "All servers unless given." }))
})

const side = Schema.Struct({ groups: Schema.Int, value: Schema.Finite })

export const GroupingPreview = Schema.Struct({
  resource: Schema.String,
  metric: Schema.String,
  unit: Schema.String,
  window: Schema.Struct({ from: Schema.String, to: Schema.String }),
  names: Schema.Array(
    Schema.Struct({
      name: Schema.String,
      rule: Schema.NullOr(Schema.Int).annotate({ description: "Which rule takes it, from 1 on; null: none." }),
      shown: Schema.String,
      value: Schema.Finite
    })
  ).annotate({ description: "The names of the last 24 hours, those that no rule takes first; at most 1000 of them." }),
  groups: Schema.Array(Schema.Struct({ name: Schema.String, members: Schema.Int, value: Schema.Finite })),
  taken: Schema.Array(Schema.Int).annotate({ description: "How many names each rule takes." }),
  alike: Schema.Array(
    Schema.Struct({ rule: Rule, names: Schema.Int, value: Schema.Finite, examples: Schema.Array(Schema.String) })
  ).annotate({
    description: "Names that no rule takes and that differ in digits or hashes only, and a rule for them."
  }),
  before: side.annotate({ description: "All names, and the average of them together over the window." }),
  after: side.annotate({ description: "The same of the groups that the rules make: the value is equal." }),
  omitted: Schema.Struct({ groups: Schema.Int, value: Schema.Finite }).annotate({
    description: "The smallest groups, where there are too many to be looked at."
  })
})
export type GroupingPreview = typeof GroupingPreview.Type

/** Under which rules an answer was made: the field of those that take `grouping`. */
export const UsedGrouping = Schema.optionalKey(
  Schema.Struct({ name: Schema.String, version: Schema.Int }).annotate({
    description: "Where names were put together: by which version of which rule set."
  })
)
