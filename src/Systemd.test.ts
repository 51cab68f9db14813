import { chmod, mkdtemp, readFile, rm, writeFile } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { assert, describe, it } from "@effect/vitest"
import { ConfigProvider, Duration, Effect, Fiber } from "effect"
import { TestClock } from "effect/testing"
import { children, childrenBy, pingInterval } from "./Systemd.ts"

const withEnvironment = (values: Readonly<Record<string, string>>) =>
  Effect.provide(ConfigProvider.layer(ConfigProvider.fromUnknown(values)))

describe("what systemd is told", () => {
  it("is told at half of the watchdog's time, and only where there is one", () => {
    assert.strictEqual(Duration.toMillis(pingInterval("90000000")!), 45_000)
    for (const none of [undefined, "", "0", "-1", "soon"]) assert.isUndefined(pingInterval(none))
  })

  it.effect("is nothing, and nothing is spawned, where no systemd listens", () =>
    Effect.gen(function* () {
      assert.deepStrictEqual(yield* children, [])
    }).pipe(withEnvironment({}))
  )

  it.effect("is that the program is ready, then alive in time, then stopping", () =>
    Effect.gen(function* () {
      // A stand-in for systemd-notify: what it is told, line by line.
      const folder = yield* Effect.acquireRelease(
        Effect.promise(() => mkdtemp(join(tmpdir(), "nodepulse-systemd-"))),
        (path) => Effect.promise(() => rm(path, { recursive: true, force: true }))
      )
      const told = join(folder, "told")
      yield* Effect.promise(() => writeFile(join(folder, "systemd-notify"), `#!/bin/sh\necho "$1" >> "${told}"\n`))
      yield* Effect.promise(() => chmod(join(folder, "systemd-notify"), 0o755))
      const lines = (count: number): Effect.Effect<ReadonlyArray<string>> =>
        Effect.promise(async () => {
          while (true) {
            const read = (await readFile(told, "utf8").catch(() => "")).split("\n").filter((line) => line !== "")
            if (read.length >= count) return read
            await new Promise((resolve) => setTimeout(resolve, 10))
          }
        })
      const [child] = yield* childrenBy(join(folder, "systemd-notify"))
      const fiber = yield* Effect.forkScoped(child!.run)
      assert.deepStrictEqual(yield* lines(1), ["READY=1"])
      // The stand-in is a real process: the clock goes on until its exit was noticed and the next message fell due.
      const alive = yield* Effect.forkScoped(
        Effect.forever(Effect.andThen(TestClock.adjust("2 seconds"), Effect.yieldNow))
      )
      assert.strictEqual((yield* lines(2))[1], "WATCHDOG=1")
      yield* Fiber.interrupt(alive)
      yield* Fiber.interrupt(fiber)
      assert.strictEqual((yield* lines(3)).at(-1), "STOPPING=1")
    }).pipe(Effect.scoped, withEnvironment({ NOTIFY_SOCKET: "/run/systemd/notify", WATCHDOG_USEC: "4000000" }))
  )
})
