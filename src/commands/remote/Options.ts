/** The options that `nodepulse top` and `diff` share: whose numbers, by what, and when. */
import { Clock, Effect, Option, Result } from "effect"
import { Argument, Flag } from "effect/cli"
import { type GroupingVersion, parseReference, REFERENCE_ALLOWED } from "../../query/grouping/Rules.ts"
import { CommandFailed } from "../Input.ts"
import { MOMENTS, rangeOf, SPANS } from "./TimeRange.ts"

const text = (name: string, description: string) =>
  Flag.String(name).pipe(Flag.withDescription(description), Flag.optional)

export const options = {
  server: Argument.String("server").pipe(Argument.withDescription("The id or name of a server"), Argument.optional),
  by: text("by", "What to rank by, such as cpu or memory"),
  resource: text("resource", "What to rank, where there is more than processes: a resource of GET /api/exporters"),
  at: text("at", `The window ends at a moment: ${MOMENTS}`),
  from: text("from", "The window begins at a moment"),
  to: text("to", "and ends at one; now unless given"),
  last: text("last", `How long the window is: ${SPANS}. 1h unless given, with --at 5m`),
  limit: Flag.Int("limit").pipe(
    Flag.withAlias("n"),
    Flag.withDescription("How many rows, 1 to 1000; 20 unless given"),
    Flag.filter(
      (limit) => limit >= 1 && limit <= 1_000,
      (limit) => `--limit is ${limit}, but must be 1 to 1000`
    ),
    Flag.withDefault(20)
  ),
  grouping: Flag.String("grouping").pipe(
    Flag.withDescription("Names put together by a rule set, or one version of it: workers@3"),
    Flag.filter(
      (grouping) => parseReference(grouping) !== undefined,
      (grouping) => `--grouping ${grouping} is not ${REFERENCE_ALLOWED}`
    ),
    Flag.optional
  ),
  json: Flag.Boolean("json").pipe(Flag.withDescription("The API's answer as it is"), Flag.withDefault(false))
}

export interface When {
  readonly at: Option.Option<string>
  readonly from: Option.Option<string>
  readonly to: Option.Option<string>
  readonly last: Option.Option<string>
}

/** What the API calls the window that was asked for. */
export const windowQuery = Effect.fnUntraced(function* ({ at, from, last, to }: When) {
  const now = (yield* Clock.currentTimeMillis) * 1_000
  const said = { at: given(at), from: given(from), to: given(to), last: given(last) }
  const range = rangeOf(said, now)
  if (Result.isFailure(range)) return yield* new CommandFailed({ reason: range.failure })
  const { at: moment, hours } = range.success
  return moment === undefined ? { hours } : { hours, at: moment }
})

/** Said beside the numbers: by which rules names were put together. */
export const groupedBy = (grouping: GroupingVersion | undefined): string | undefined =>
  grouping === undefined ? undefined : `names grouped by ${grouping.name}@${grouping.version}`

export const given = <A>(option: Option.Option<A>): A | undefined => Option.getOrUndefined(option)
