import { spawn } from "node:child_process"
import { existsSync, readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import type { Order } from "../../src/protocol/Orders.ts"
import { CRASH_POINTS } from "./CrashPoint.ts"
import {
  ada,
  fileOf,
  folder,
  orderOf,
  processes,
  signed,
  sleeper,
  terminating,
  waitUntil
} from "./HandsWorld.fixture.ts"

const run = (at: string, point: string): Promise<NodeJS.Signals | number | null> =>
  new Promise((resolve) => {
    const child = spawn(process.execPath, [join(import.meta.dirname, "HandsKilled.fixture.ts"), at, point], {
      stdio: "ignore"
    })
    child.once("exit", (code, signal) => resolve(signal ?? code))
  })

interface Line {
  readonly kind: string
  readonly order?: Order
  readonly outcome?: { readonly result: string; readonly code: string | null }
}

const journalOf = (at: string): ReadonlyArray<Line> =>
  existsSync(join(at, "state", "journal"))
    ? readFileSync(join(at, "state", "journal"), "utf8")
        .split("\n")
        .flatMap((line) => (line === "" ? [] : [JSON.parse(line) as Line]))
    : []

const linesOf = (path: string) => (existsSync(path) ? readFileSync(path, "utf8").trim().split("\n") : [])

/** One outcome that is no refusal says what became of an order, however often it comes. */
const endings = (at: string) => journalOf(at).flatMap(({ outcome }) => (outcome === undefined ? [] : [outcome]))

describe("an order whose host is killed in the middle", () => {
  it.live(
    "reaches its process once or not at all, and the journal says so, at every point",
    () =>
      Effect.gen(function* () {
        for (const point of ["judged", "intended", "acted", "concluded"] as const) {
          const at = yield* folder
          fileOf(at, `  - {verbs: [terminate], names: [sh]}\n`)
          const counted = join(at, "terms")
          const { pid } = yield* sleeper(
            `trap 'echo x >> ${counted}' TERM; touch ${at}/ready; while :; do sleep 0.05; done`
          )
          yield* Effect.promise(() => waitUntil(() => existsSync(join(at, "ready"))))
          writeFileSync(join(at, "order.json"), JSON.stringify(yield* signed(terminating(pid!), ada)))
          assert.strictEqual(yield* Effect.promise(() => run(at, point)), "SIGKILL", point)
          const [intended, sent] = [journalOf(at).some(({ kind }) => kind === "intent"), linesOf(counted).length]
          assert.isTrue(intended || sent === 0, point)
          // It comes again, as from a server that repeats itself.
          assert.strictEqual(yield* Effect.promise(() => run(at, "none")), 0)
          const results = endings(at).filter(({ result }) => result !== "refused")
          assert.lengthOf(results, 1, point)
          assert.strictEqual(linesOf(counted).length, point === "intended" ? 0 : 1, point)
          const expected = point === "intended" || point === "acted" ? "interrupted" : "failed"
          assert.strictEqual(results[0]?.result, expected, point)
          assert.isDefined(processes.of(pid!))
        }
      }),
    120_000
  )

  it.live(
    "restrains its unit once or not at all, and never without what takes it back",
    () =>
      Effect.gen(function* () {
        for (const point of CRASH_POINTS) {
          const at = yield* folder
          fileOf(at, `  - {verbs: [quota], units: [stress.service]}\n`)
          const target = { unit: "stress.service", invocation: "0123456789abcdef0123456789abcdef" }
          const order = orderOf({ verb: "quota", target, settings: { percent: 20, minutes: 5 } } as never)
          writeFileSync(join(at, "order.json"), JSON.stringify(yield* signed(order, ada)))
          assert.strictEqual(yield* Effect.promise(() => run(at, point)), "SIGKILL", point)
          yield* Effect.promise(() => run(at, "none"))
          const calls = linesOf(join(at, "calls"))
          const sets = calls.filter((call) => call.startsWith("set-property"))
          assert.isAtMost(sets.length, 1, point)
          if (sets.length === 1) assert.match(calls[0]!, /^start nodepulse-hands-revert@/, point)
          // What was planned is waited for, also where it was not set: it then leaves the unit alone.
          if (point !== "judged" && point !== "intended") {
            assert.isTrue(
              calls.some((call) => call.startsWith("start")),
              point
            )
          }
          assert.lengthOf(
            endings(at).filter(({ result }) => result !== "refused"),
            1,
            point
          )
        }
      }),
    120_000
  )
})
