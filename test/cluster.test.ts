/**
 * Promise 1 where the stream is spread over a cluster: the conservation judge with two ingests and three digests that share four
 * streams. Once what may happen is done one after the other, and it is told how long each holds up rows; once primaries are killed
 * or stopped, and slots moved, at random. NODEPULSE_CONSERVATION_SECONDS and NODEPULSE_SEED as there.
 */
import { randomInt } from "node:crypto"
import { assert, it } from "@effect/vitest"
import { Effect } from "effect"
import { complaints, entryKindOf, run, summary } from "./conservation/Conservation.ts"
import { makeShow } from "./conservation/Show.ts"
import { describeValkey } from "./TestValkey.ts"

const seconds = Number(process.env.NODEPULSE_CONSERVATION_SECONDS ?? 20)
const seed = Number(process.env.NODEPULSE_SEED ?? randomInt(2 ** 31))
/** It is 10 where the machine has nothing else to do; shared by others it may take several times as long. */
const BACK_WITHIN_SECONDS = 40

describeValkey("promise 1 on a cluster", () => {
  it.live(
    `nothing is lost or stored twice when a digest dies, one sleeps through its lease, a primary fails, a slot moves and others are resharded (an entry a ${entryKindOf(seed)}, NODEPULSE_SEED=${seed})`,
    () =>
      Effect.gen(function* () {
        const happened: Array<string> = []
        const show = makeShow()
        const report = yield* run({
          seed,
          seconds: 0,
          agents: 4,
          groups: 40,
          cluster: true,
          disturb: show.run,
          say: (line) => happened.push(line)
        })
        const told = `${happened.join("\n")}\n${summary(report)}`
        process.stdout.write(`${told}\n`)
        assert.deepStrictEqual(complaints(report), [], told)
        for (const [what, took] of Object.entries(show.backAfter())) assert.isBelow(took, BACK_WITHIN_SECONDS, what)
        assert.isAbove(report.verdict.answered, 0)
      }),
    360_000
  )

  it.live(
    `what was answered with 2xx is in PostgreSQL exactly once, whatever fails, moves or stops (an entry a ${entryKindOf(seed)}, NODEPULSE_SEED=${seed})`,
    () =>
      Effect.gen(function* () {
        const happened: Array<string> = []
        const report = yield* run({ seed, seconds, agents: 4, cluster: true, say: (line) => happened.push(line) })
        assert.deepStrictEqual(complaints(report), [], `${happened.join("\n")}\n${summary(report)}`)
        assert.isAbove(report.verdict.answered, 0)
      }),
    (seconds + 300) * 1_000
  )
})
