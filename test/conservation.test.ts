/**
 * The conservation judge in short, for every run of the tests; `npm run test:conservation` is the long one.
 * NODEPULSE_CONSERVATION_SECONDS and NODEPULSE_SEED choose another length and repeat a run.
 */
import { randomInt } from "node:crypto"
import { assert, it } from "@effect/vitest"
import { Effect } from "effect"
import { complaints, entryKindOf, run, summary } from "./conservation/Conservation.ts"
import { describeCitus } from "./TestCitus.ts"
import { describeValkey } from "./TestValkey.ts"

const seconds = Number(process.env.NODEPULSE_CONSERVATION_SECONDS ?? 20)
const seed = Number(process.env.NODEPULSE_SEED ?? randomInt(2 ** 31))

describeValkey("promise 1", () => {
  it.live(
    `what was answered with 2xx is in PostgreSQL exactly once, whatever is killed, paused, cut or restarted, and nothing else is (an entry a ${entryKindOf(seed)}, NODEPULSE_SEED=${seed})`,
    () =>
      Effect.gen(function* () {
        const happened: Array<string> = []
        const report = yield* run({ seed, seconds, agents: 4, say: (line) => happened.push(line) })
        assert.deepStrictEqual(complaints(report), [], `${happened.join("\n")}\n${summary(report)}`)
        assert.isAbove(report.verdict.answered, 0)
      }),
    (seconds + 300) * 1_000
  )
})

describeCitus("where the rows are distributed", () => {
  describeValkey("promise 1", () => {
    it.live(
      `what was answered with 2xx is in the shards exactly once, whatever node is killed, paused or cut off (an entry a ${entryKindOf(seed)}, NODEPULSE_SEED=${seed})`,
      () =>
        Effect.gen(function* () {
          const happened: Array<string> = []
          const say = (line: string) => happened.push(line)
          const report = yield* run({ seed, seconds, agents: 4, distributed: true, say })
          assert.deepStrictEqual(complaints(report), [], `${happened.join("\n")}\n${summary(report)}`)
          assert.isAbove(report.verdict.answered, 0)
        }),
      (seconds + 300) * 1_000
    )
  })
})
