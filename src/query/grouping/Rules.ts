/**
 * Rules that put names together, as people write them: what each may be, and how a set of them is called. The bounds are
 * here, so that who writes rules (the page, a file) is told the same as who saves them. How they match is in `RuleSet.ts`.
 */
import { isPrintable } from "../../protocol/PrintableText.ts"

/** One rule: names that `match` finds itself in are shown as `name`, in which `$1` or `${word}` is what a group captured. */
export interface Rule {
  /** A regular expression in the syntax of RE2: no look-around, no back references. It may match anywhere in the name. */
  readonly match: string
  readonly name: string
}

export const RULES_MAX = 200
export const MATCH_LENGTH_MAX = 300
export const NAME_LENGTH_MAX = 200
/** Of all patterns and names of a set together. */
export const CHARACTERS_MAX = 20_000
const COMMENT_LENGTH_MAX = 300

export const GROUPING_ALLOWED = "1 to 40 lower-case letters, digits and hyphens, beginning with a letter or digit"
export const isGroupingName = (text: string): boolean => /^[a-z0-9][a-z0-9-]{0,39}$/.test(text)

export const COMMENT_ALLOWED = `a text of at most ${COMMENT_LENGTH_MAX} characters, without control or invisible characters`
export const isComment = (text: string): boolean => text.length <= COMMENT_LENGTH_MAX && isPrintable(text)

/** Which rules an answer was made with. */
export interface GroupingVersion {
  readonly name: string
  /** From 1 on; each save makes the next. */
  readonly version: number
}

/** As a parameter names it: `workers`, or `workers@3` for a version that is not to change. */
export const REFERENCE_ALLOWED = "the name of a rule set such as workers, or one version of it such as workers@3"

/** The parts of a reference; undefined where it is none. Without a version, the latest. */
export const parseReference = (
  text: string
): { readonly name: string; readonly version: number | undefined } | undefined => {
  const [, name, version] = /^([a-z0-9][a-z0-9-]{0,39})(?:@([1-9][0-9]{0,5}))?$/.exec(text) ?? []
  return name === undefined ? undefined : { name, version: version === undefined ? undefined : Number(version) }
}
