/**
 * What `nodepulse doctor` found: one line per check, and what to do where something is wrong.
 *
 * Pure but for printing. A failure makes the command exit with 1; a warning does not.
 */
import { Effect } from "effect"
import { CommandFailed } from "./Input.ts"
import { say } from "./Terminal.ts"

export interface Finding {
  readonly check: string
  readonly state: "ok" | "warning" | "failure"
  /** What was seen. */
  readonly saw: string
  /** What to do; none where all is well. */
  readonly advice?: string
}

export const fine = (check: string, saw: string): Finding => ({ check, state: "ok", saw })
export const doubtful = (check: string, saw: string, advice: string): Finding => ({
  check,
  state: "warning",
  saw,
  advice
})
export const wrong = (check: string, saw: string, advice: string): Finding => ({ check, state: "failure", saw, advice })

const MARKS = { ok: "ok   ", warning: "warn ", failure: "FAIL " } as const

/** The findings as text: `ok    config  …`, advice indented below. */
export const render = (findings: ReadonlyArray<Finding>): string => {
  const width = Math.max(...findings.map(({ check }) => check.length))
  return findings
    .flatMap(({ advice, check, saw, state }) => {
      const line = `${MARKS[state]} ${check.padEnd(width)}  ${saw}`
      return advice === undefined ? [line] : [line, `${" ".repeat(width + 8)}-> ${advice}`]
    })
    .join("\n")
}

/** Prints the findings; fails where one of them is a failure. */
export const conclude = (findings: ReadonlyArray<Finding>): Effect.Effect<void, CommandFailed> =>
  Effect.gen(function* () {
    yield* say(render(findings))
    const failures = findings.filter(({ state }) => state === "failure").length
    if (failures === 0) return
    return yield* new CommandFailed({ reason: `${failures} of ${findings.length} checks failed` })
  })

/** `12.3 MiB`; sizes as people read them. */
export const sizeText = (bytes: number): string => {
  const units = ["B", "KiB", "MiB", "GiB", "TiB"]
  const power = Math.max(0, Math.min(units.length - 1, Math.floor(Math.log2(Math.max(1, bytes)) / 10)))
  const value = bytes / 1024 ** power
  return `${value >= 100 || power === 0 ? Math.round(value) : value.toFixed(1)} ${units[power]}`
}
