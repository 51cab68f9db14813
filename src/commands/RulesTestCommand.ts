/**
 * `nodepulse rules test`: rules tried on made-up series, here, without a server.
 *
 * Exits with 0 where all tests pass, 1 where one fails, 2 where a file cannot be read or holds a problem.
 */
import { dirname, resolve } from "node:path"
import { Effect, Result, Runtime, Schema } from "effect"
import { Argument, Command } from "effect/cli"
import { FLEET_RULES } from "../alerts/DefaultRules.ts"
import { readDocuments } from "../alerts/RuleDocument.ts"
import { type TestedRules, testRules } from "../alerts/RuleTester.ts"
import { readRuleTests, type TestedAlert, unknownRules } from "../alerts/RuleTestFile.ts"
import { Registry } from "../plugins/Registry.ts"
import { CommandFailed, readTextFile } from "./Input.ts"
import { endsWithItsReader, type Piece, sayAside, sayLines } from "./Terminal.ts"

/** A file that cannot be read, or holds a problem: nothing was tried. */
class UnreadableTests extends Schema.TaggedError<UnreadableTests>()("UnreadableTests", { reason: Schema.String }) {
  override readonly [Runtime.errorExitCode] = 2
  override get message(): string {
    return this.reason
  }
}

type Problems = ReadonlyArray<string>

const textOf = (file: string): Effect.Effect<string, Problems> =>
  Effect.mapError(readTextFile(file), ({ reason }) => [reason])

/** A file of tests, and the rules that it names. */
const readBoth = Effect.fnUntraced(function* (file: string) {
  const { exporters } = yield* Registry
  const tests = yield* inFile(file, readRuleTests(yield* textOf(file), exporters))
  const named = tests.rulesFile === undefined ? undefined : resolve(dirname(file), tests.rulesFile)
  const text = named === undefined ? FLEET_RULES : yield* textOf(named)
  const rules = yield* inFile(named ?? "the rules that are shipped", readDocuments(text, exporters))
  const wrong = unknownRules(
    tests,
    rules.map(({ name }) => name)
  )
  if (wrong.length > 0) return yield* inFile(file, Result.fail(wrong))
  return { tests, rules: rules.flatMap(({ enabled, rule }) => (enabled ? (rule ?? []) : [])) }
})

const inFile = <A>(file: string, read: Result.Result<A, Problems>): Effect.Effect<A, Problems> =>
  Effect.fromResult(Result.mapError(read, (problems) => problems.map((problem) => `${file}: ${problem}`)))

/** Tries the tests of a file; says how each went, and how many failed. */
const tryFile = Effect.fnUntraced(function* (file: string) {
  const registry = yield* Registry
  const { rules, tests } = yield* readBoth(file)
  let failed = 0
  for (const test of tests.tests) {
    const went = yield* testRules(test, rules, registry)
    const passed = went.missing.length + went.unexpected.length === 0
    if (!passed) failed++
    yield* sayLines([
      [passed ? { text: "ok  " } : { text: "FAIL", emphasis: "warning" }, { text: `  ${file}: ${test.name}` }],
      ...(passed ? [] : difference(went))
    ])
    yield* Effect.yieldNow
  }
  return { tests: tests.tests.length, failed }
})

export const rulesTestCommand = Command.make(
  "test",
  {
    files: Argument.String("file").pipe(
      Argument.withDescription("A file of tests (YAML): docs/rules.md says what it holds"),
      Argument.variadic({ min: 1, max: 100 })
    )
  },
  Effect.fnUntraced(function* ({ files }) {
    yield* endsWithItsReader
    let [tests, failed, unreadable] = [0, 0, 0]
    for (const file of files) {
      const went = yield* Effect.result(tryFile(file))
      if (Result.isFailure(went)) {
        unreadable++
        for (const problem of went.failure) yield* sayAside(problem)
        continue
      }
      tests += went.success.tests
      failed += went.success.failed
    }
    if (unreadable > 0) {
      const reason = `${counted(unreadable, "file")} cannot be tested`
      return yield* new UnreadableTests({ reason })
    }
    if (failed > 0) return yield* new CommandFailed({ reason: `${failed} of ${counted(tests, "test")} failed` })
    yield* sayLines([[{ text: `${counted(tests, "test")} passed` }]])
  })
).pipe(
  Command.withDescription(
    "Try rules on made-up series, and say what fires that should not, and does not that should. Needs no server. Exits 0 where all tests pass, 1 where one fails, 2 where a file cannot be read."
  ),
  Command.withExamples([
    { command: "nodepulse rules test postgres.test.yml", description: "The tests of one file" },
    { command: "nodepulse rules test rules.d/*.test.yml", description: "Those of several" }
  ])
)

const counted = (count: number, noun: string): string => `${count} ${noun}${count === 1 ? "" : "s"}`

const difference = ({ end, missing, unexpected }: TestedRules): ReadonlyArray<ReadonlyArray<Piece>> => [
  ...missing.map(
    (alert): ReadonlyArray<Piece> => [{ text: `      - expected  ${alertText(alert, end)}`, emphasis: "down" }]
  ),
  ...unexpected.map(
    (alert): ReadonlyArray<Piece> => [{ text: `      + got       ${alertText(alert, end)}`, emphasis: "up" }]
  )
]

const alertText = ({ firesAt, group, resolvesAt, rule, server }: TestedAlert, end: number): string => {
  const over =
    resolvesAt === undefined
      ? `still fires at the end (${durationText(end)})`
      : `resolves at ${durationText(resolvesAt)}`
  return `${rule}, ${server}${group === "" ? "" : `, ${group}`}: fires at ${durationText(firesAt)}, ${over}`
}

/** As it is written in a file: `1h30m15s`. */
const durationText = (millis: number): string => {
  const parts = [
    [Math.floor(millis / 3_600_000), "h"],
    [Math.floor(millis / 60_000) % 60, "m"],
    [(millis / 1_000) % 60, "s"]
  ] as const
  return parts.flatMap(([count, unit]) => (count === 0 ? [] : [`${count}${unit}`])).join("") || "0s"
}
