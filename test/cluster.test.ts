/**
 * Promise 1 where the stream is spread over a cluster: the conservation judge with three digests that share four streams, a
 * primary of which is killed or stopped while slots move. NODEPULSE_CONSERVATION_SECONDS and NODEPULSE_SEED as there.
 */
import { randomInt } from "node:crypto"
import { assert, it } from "@effect/vitest"
import { Effect } from "effect"
import { complaints, entryKindOf, run, summary } from "./conservation/Conservation.ts"
import { describeValkey } from "./TestValkey.ts"

const seconds = Number(process.env.NODEPULSE_CONSERVATION_SECONDS ?? 20)
const seed = Number(process.env.NODEPULSE_SEED ?? randomInt(2 ** 31))

describeValkey("promise 1 on a cluster", () => {
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
