import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { assert, describe, it } from "@effect/vitest"
import { Duration, Effect, Layer, Logger } from "effect"
import { TestClock } from "effect/testing"
import { layerStatus } from "../Agent.ts"
import { AgentStatus } from "../AgentStatus.ts"
import { AgentConfig } from "../config/AgentConfig.ts"
import { layerMemory } from "../spool/SpoolMemory.ts"
import { BootClock } from "./BootClock.ts"
import { MachineClock } from "./MachineClock.ts"
import { makeSetClock } from "./SetClock.fixture.ts"

const services = (logged: Array<string>, path?: string) =>
  layerStatus.pipe(
    Layer.provideMerge(layerMemory({ maxBytes: 1e6, maxAge: "1 day" })),
    Layer.provideMerge(
      Layer.succeed(AgentConfig, {
        serverName: "web-1",
        server: undefined,
        buffer: { path, maxBytes: 1e6, maxAge: Duration.days(1) },
        exporters: [],
        disabled: [],
        warnings: []
      })
    ),
    Layer.provideMerge(Logger.layer([Logger.make(({ message }) => void logged.push(String(message)))]))
  )

describe("a step of the wall clock", () => {
  it.effect("is logged once in plain words, counted, and told with its moment", () => {
    const clock = makeSetClock()
    const logged: Array<string> = []
    return Effect.gen(function* () {
      const machine = yield* MachineClock
      assert.isUndefined(machine.step())
      yield* TestClock.adjust("1 minute")
      yield* machine.notice
      assert.deepStrictEqual(logged, [])
      clock.set(-60_000)
      yield* machine.notice
      yield* machine.notice
      assert.strictEqual(logged.length, 1)
      assert.match(logged[0]!, /clock was set back by 1m/)
      assert.deepStrictEqual(machine.step(), { seconds: -60, at: 0 })
      clock.set(30_000)
      yield* machine.notice
      assert.match(logged[1]!, /clock was set forward by 30s/)
      const { clock: view } = (yield* AgentStatus).current()
      assert.deepInclude(view, { steps: 2, lastStepSeconds: 30 })
    }).pipe(Effect.provide(services(logged)), clock.provided)
  })

  it.effect("moves neither ticks nor pauses", () => {
    const clock = makeSetClock()
    return Effect.gen(function* () {
      const { steadyMillis } = yield* MachineClock
      const before = steadyMillis()
      clock.set(-3_600_000)
      yield* TestClock.adjust("15 seconds")
      assert.strictEqual(steadyMillis() - before, 15_000)
    }).pipe(Effect.provide(services([])), clock.provided)
  })

  it.effect("is not the time that the machine was suspended, and is noticed also when it happened meanwhile", () => {
    const clock = makeSetClock()
    const logged: Array<string> = []
    // Suspended: wall and boot clock go on, the monotonic one does not.
    let suspended = 0
    const boot = Layer.succeed(
      BootClock,
      (real: { readonly monotonicTimeNanosUnsafe: () => bigint }) =>
        Number(real.monotonicTimeNanosUnsafe() / 1_000_000n) + suspended
    )
    return Effect.gen(function* () {
      const machine = yield* MachineClock
      suspended += 8 * 3_600_000
      clock.set(8 * 3_600_000)
      yield* machine.notice
      assert.deepStrictEqual(logged, [])
      suspended += 3_600_000
      clock.set(3_600_000 + 30_000)
      yield* machine.notice
      assert.match(logged[0]!, /set forward by 30s/)
    }).pipe(Effect.provide(services(logged).pipe(Layer.provideMerge(boot))), clock.provided)
  })

  it.effect("is noticed at the start where it happened while the agent was not running", () => {
    const clock = makeSetClock()
    const logged: Array<string> = []
    const folder = mkdtempSync(join(tmpdir(), "nodepulse-clock-"))
    return Effect.gen(function* () {
      yield* Effect.provide(MachineClock, services(logged, folder))
      clock.set(30_000)
      const { step } = yield* Effect.provide(MachineClock, services(logged, folder))
      assert.strictEqual(step()?.seconds, 30)
      assert.match(logged.join(), /set forward by 30s while the agent was not running/)
    }).pipe(clock.provided, Effect.ensuring(Effect.sync(() => rmSync(folder, { recursive: true, force: true }))))
  })
})

it.effect("a clock that is off is told once, and again when it agrees; a slow answer tells nothing", () => {
  const logged: Array<string> = []
  return Effect.gen(function* () {
    const machine = yield* MachineClock
    const at = Date.parse("2026-03-01T12:00:00Z")
    const date = (skewSeconds: number) => new Date(at - skewSeconds * 1_000).toUTCString()
    const answered = (skewSeconds: number, roundTripMillis = 20) =>
      machine.answered({ date: date(skewSeconds), at, roundTripMillis })
    yield* answered(1_200, 60_000)
    yield* machine.answered({ date: "soon", at, roundTripMillis: 20 })
    yield* machine.answered({ date: undefined, at, roundTripMillis: 20 })
    assert.deepStrictEqual(logged, [])
    yield* answered(1_200)
    yield* answered(1_201)
    assert.strictEqual(logged.length, 1)
    assert.match(logged[0]!, /clock is (20m|19m 59s|20m 1s) ahead of the server's: set it right/)
    yield* answered(-1_200)
    yield* answered(0)
    assert.match(logged.at(-1)!, /agrees with the server's again/)
    assert.strictEqual((yield* AgentStatus).current().clock.skewSeconds, 0)
  }).pipe(Effect.provide(services(logged)))
})
