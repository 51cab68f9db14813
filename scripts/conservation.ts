/**
 * The conservation judge (`test/conservation/Conservation.ts`) at full length: `npm run test:conservation`.
 *
 * NODEPULSE_CONSERVATION_SECONDS (600), NODEPULSE_CONSERVATION_AGENTS (20), NODEPULSE_SEED (a new one each time).
 * Prints the seed, what was done to whom, and the books; exits 1 where the promise is broken, and then keeps the logs.
 */
import { randomInt } from "node:crypto"
import { rmSync } from "node:fs"
import { Effect } from "effect"
import { complaints, run, summary } from "../test/conservation/Conservation.ts"

const number = (name: string, otherwise: number): number => Number(process.env[name] ?? otherwise)
const say = (line: string) => process.stdout.write(`${line}\n`)

const report = await Effect.runPromise(
  run({
    seed: number("NODEPULSE_SEED", randomInt(2 ** 31)),
    seconds: number("NODEPULSE_CONSERVATION_SECONDS", 600),
    agents: number("NODEPULSE_CONSERVATION_AGENTS", 20),
    say,
    keepLogs: true
  })
)
say(`\n${summary(report)}`)
const wrong = complaints(report)
say(wrong.length === 0 ? "\nthe promise is kept" : `\nTHE PROMISE IS BROKEN\n${wrong.join("\n")}\nlogs: ${report.logs}`)
if (wrong.length === 0) rmSync(report.logs, { recursive: true, force: true })
process.exitCode = wrong.length === 0 ? 0 : 1
