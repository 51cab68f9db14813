/** `nodepulse groups`: rule sets that put names together, as files, over the API with the saved sign-in. */
import { Effect, Option, Result } from "effect"
import { Argument, Command, Flag } from "effect/cli"
import { readGrouping, writeGrouping } from "../../query/grouping/GroupingFile.ts"
import {
  COMMENT_ALLOWED,
  GROUPING_ALLOWED,
  isComment,
  isGroupingName,
  parseReference,
  REFERENCE_ALLOWED
} from "../../query/grouping/Rules.ts"
import { CommandFailed, readInput } from "../Input.ts"
import { endsWithItsReader, room, say, sayLines } from "../Terminal.ts"
import { given } from "./Options.ts"
import { findServer, type Remote, remote } from "./RemoteApi.ts"
import { figure, table } from "./Table.ts"

const text = (name: string, description: string) =>
  Flag.String(name).pipe(Flag.withDescription(description), Flag.optional)

const fail = (reason: string) => new CommandFailed({ reason })

const setName = Argument.String("name").pipe(Argument.withDescription("The name of a rule set"))

/** The latest version of a set; undefined where there is none of that name. */
const latestOf = Effect.fnUntraced(function* ({ ask }: Remote, name: string) {
  const { groupings } = yield* ask((client) => client.groupings.list())
  if (!groupings.some((one) => one.name === name)) return undefined
  return yield* ask((client) => client.groupings.get({ params: { name }, query: {} }))
})

const apply = Command.make(
  "apply",
  {
    file: Argument.String("file").pipe(
      Argument.withDescription("A file with rules; standard input where none is named"),
      Argument.optional
    ),
    name: text("name", "The name of the set; the one in the file unless given"),
    comment: text("comment", "Why, for whoever looks at the versions later"),
    server: text("server", "With --dry-run: of which server the names are, by its id or name; of all unless given"),
    dryRun: Flag.Boolean("dry-run").pipe(
      Flag.withDescription("Say what the rules would do to the names of the last 24 hours, and save nothing"),
      Flag.withDefault(false)
    )
  },
  Effect.fnUntraced(function* ({ comment, dryRun, file, name, server }) {
    yield* endsWithItsReader
    const where = Option.getOrElse(file, () => "standard input")
    const read = readGrouping(Buffer.from(yield* readInput(file)).toString("utf8"))
    if (Result.isFailure(read)) return yield* fail(read.failure.map((problem) => `${where}: ${problem}`).join("\n"))
    const { rules } = read.success
    const there = yield* remote
    if (dryRun) return yield* preview(there, rules, given(server))
    const called = given(name) ?? read.success.name
    if (called === undefined) return yield* fail(`${where} has no name: give one with --name`)
    if (!isGroupingName(called)) return yield* fail(`--name ${called} is not ${GROUPING_ALLOWED}`)
    const why = given(comment) ?? read.success.comment ?? ""
    if (!isComment(why)) return yield* fail(`--comment is not ${COMMENT_ALLOWED}`)
    const before = yield* latestOf(there, called)
    if (before !== undefined && JSON.stringify(before.rules) === JSON.stringify(rules)) {
      return yield* say(`${called} has these rules already: version ${before.version}`)
    }
    const payload = { name: called, base_version: before?.version ?? 0, rules, comment: why }
    const saved = yield* there.ask((client) => client.groupings.save({ payload }))
    yield* say(`saved ${rules.length} rules as version ${saved.version} of ${saved.name}`)
  })
).pipe(
  Command.withDescription(
    "Save a file's rules as a new version, unless they are those of the latest. Exits with 1 and the line where they cannot be used."
  )
)

/** What rules would do, rule by rule, and the names that none takes. */
const preview = Effect.fnUntraced(function* (
  there: Remote,
  rules: ReadonlyArray<{ readonly match: string; readonly name: string }>,
  named: string | undefined
) {
  const about = named === undefined ? undefined : yield* findServer(there, named)
  const payload = { rules, ...(about === undefined ? {} : { server_id: about.server_id }) }
  const { after, before, names, taken, unit } = yield* there.ask((client) => client.groupings.preview({ payload }))
  const { columns } = yield* room
  const left = names.filter(({ rule }) => rule === null)
  yield* sayLines([
    ...table(
      ["RULE", "NAMES", "SHOWN AS"],
      rules.map(({ match, name }, n) => [
        { text: String(n + 1) },
        { text: String(taken[n]) },
        { text: `${name}  (${match})` }
      ]),
      columns
    ),
    [{ text: `${before.groups} names become ${after.groups}, ${left.length} of them taken by no rule.` }],
    [{ text: `In all ${figure(before.value, unit)} before and ${figure(after.value, unit)} after (${unit}).` }]
  ])
})

const list = Command.make(
  "list",
  {},
  Effect.fnUntraced(function* () {
    yield* endsWithItsReader
    const { ask } = yield* remote
    const { groupings } = yield* ask((client) => client.groupings.list())
    if (groupings.length === 0) return yield* say("there are no rule sets yet")
    yield* sayLines(
      table(
        ["VERSION", "RULES", "SAVED", "BY", "NAME"],
        groupings.map(({ author, name, rules, saved_at, version }) => [
          { text: String(version) },
          { text: String(rules) },
          { text: saved_at.slice(0, 16) },
          { text: author },
          { text: name }
        ]),
        (yield* room).columns
      )
    )
  })
).pipe(Command.withDescription("List the rule sets"))

const show = Command.make(
  "show",
  { set: Argument.String("set").pipe(Argument.withDescription("A set, or one version of it: workers@3")) },
  Effect.fnUntraced(function* ({ set }) {
    yield* endsWithItsReader
    const reference = parseReference(set)
    if (reference === undefined) return yield* fail(`${set} is not ${REFERENCE_ALLOWED}`)
    const { ask } = yield* remote
    const { name, version } = reference
    const query = version === undefined ? {} : { version }
    const found = yield* ask((client) => client.groupings.get({ params: { name }, query }))
    yield* say(writeGrouping(found.name, found.comment, found.rules).trimEnd())
  })
).pipe(Command.withDescription("Print a rule set as a file that `groups apply` takes"))

const rollback = Command.make(
  "rollback",
  { name: setName, version: Argument.Int("version").pipe(Argument.withDescription("The version to go back to")) },
  Effect.fnUntraced(function* ({ name, version }) {
    const there = yield* remote
    const latest = yield* latestOf(there, name)
    if (latest === undefined) return yield* fail(`there is no rule set ${JSON.stringify(name)}`)
    const payload = { to_version: version, base_version: latest.version }
    const saved = yield* there.ask((client) => client.groupings.rollback({ params: { name }, payload }))
    yield* say(`saved the rules of version ${version} as version ${saved.version} of ${name}`)
  })
).pipe(Command.withDescription("Save the rules of an older version again, as a new one"))

export const groupsCommand = Command.make("groups").pipe(
  Command.withDescription("Put names together by rules. Saving needs an operator's or an admin token."),
  Command.withSubcommands([apply, list, show, rollback]),
  Command.withExamples([
    { command: "nodepulse groups apply workers.yml --dry-run", description: "What the rules would do" },
    { command: 'nodepulse groups apply workers.yml --comment "by script"', description: "Save them" },
    { command: "nodepulse groups show workers@3", description: "An older version, as a file" },
    { command: "nodepulse groups rollback workers 3", description: "Go back to it" }
  ])
)
