import { assert, describe, it } from "@effect/vitest"
import { Duration, Effect, Layer } from "effect"
import { TestClock } from "effect/testing"
import { AgentStatus } from "../AgentStatus.ts"
import { makeSetClock } from "../clock/SetClock.fixture.ts"
import { Collectors } from "../collector/Collector.ts"
import { AgentConfig, withDefaults } from "../config/AgentConfig.ts"
import { packRows } from "../spool/PackedRows.ts"
import { Spool } from "../spool/Spool.ts"
import { layerMemory } from "../spool/SpoolMemory.ts"
import { UNRESTRAINED } from "./Budget.ts"
import { watchBudget } from "./BudgetWatch.ts"

const BUDGET = { cpuPercent: 1, memoryBytes: 100_000 }

/** An agent that uses what it is told to: percent of a core, and bytes. */
const makeAgent = Effect.gen(function* () {
  const use = { cpu: 0.5, cpuSeconds: 0, memoryBytes: 50_000 }
  const limits: Array<number | undefined> = []
  const services = yield* Layer.build(
    AgentStatus.layer.pipe(
      Layer.provideMerge(Layer.succeed(AgentConfig, withDefaults({}, [], undefined, []))),
      Layer.provideMerge(layerMemory({ maxBytes: 1e6, maxAge: Duration.days(1) })),
      Layer.provideMerge(
        Layer.succeed(
          Collectors,
          Collectors.of({
            available: true,
            limit: (groups) => limits.push(groups),
            open: () => Effect.die("nothing is collected here")
          })
        )
      )
    )
  )
  yield* Effect.forkScoped(
    Effect.provideContext(
      watchBudget(BUDGET, () => ({ ...use })),
      services
    )
  )
  yield* Effect.yieldNow
  return yield* Effect.provideContext(
    Effect.gen(function* () {
      const status = yield* AgentStatus
      const spool = yield* Spool
      const minutes = Effect.fnUntraced(function* (count: number, cpu = use.cpu) {
        for (let minute = 0; minute < count; minute++) {
          use.cpuSeconds += (cpu / 100) * 60
          yield* TestClock.adjust("1 minute")
        }
        return status.current().budget
      })
      return { use, limits, minutes, spool }
    }),
    services
  )
})

describe("an agent that watches its budget", () => {
  it.effect("holds back after two minutes over it, for all to see, and does all again once it may", () =>
    Effect.gen(function* () {
      const { minutes } = yield* makeAgent
      assert.deepStrictEqual((yield* minutes(1, 2)).restraint, UNRESTRAINED)
      const { causes, restraint, usage } = yield* minutes(1, 2)
      assert.deepStrictEqual([causes, restraint.interval], [["cpu"], 2])
      assert.closeTo((usage!.cpuSeconds / usage!.seconds) * 100, 2, 1e-9)
      assert.strictEqual((yield* minutes(9, 0.3)).restraint.interval, 2)
      assert.deepInclude(yield* minutes(1, 0.3), { causes: [], restraint: UNRESTRAINED })
    })
  )

  it.effect("lets the collectors keep fewer groups against memory, and as many as ever when it is past", () =>
    Effect.gen(function* () {
      const { limits, minutes, use } = yield* makeAgent
      use.memoryBytes = 150_000
      yield* minutes(4)
      assert.deepStrictEqual(limits, [500, 250])
      use.memoryBytes = 20_000
      yield* minutes(20)
      assert.deepStrictEqual(limits, [500, 250, 500, undefined])
    })
  )

  it.effect("does not count rows that wait for the server in memory, and gives up none of them", () =>
    Effect.gen(function* () {
      const { minutes, spool, use } = yield* makeAgent
      const rows = packRows([JSON.stringify({ noise: Array.from({ length: 40_000 }, () => Math.random()) })])
      yield* spool.append([{ exporter: "disk_exporter", scrapedAt: 0, rows }])
      use.memoryBytes = 90_000 + spool.level().bytes
      assert.isAbove(use.memoryBytes, BUDGET.memoryBytes)
      assert.deepStrictEqual((yield* minutes(10)).restraint, UNRESTRAINED)
      assert.strictEqual(spool.level().records, 1)
    })
  )

  it.effect("is not misled by a wall clock that is set", () => {
    const clock = makeSetClock()
    return Effect.gen(function* () {
      const { minutes } = yield* makeAgent
      yield* minutes(1, 0.9)
      for (const millis of [-50_000, 3_600_000, -7_200_000]) {
        clock.set(millis)
        const { restraint, usage } = yield* minutes(1, 0.9)
        assert.deepStrictEqual([restraint, usage?.seconds], [UNRESTRAINED, 60])
      }
    }).pipe(clock.provided)
  })
})
