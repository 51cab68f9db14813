import { describe, expect, it } from "@effect/vitest"
import { Effect, Logger } from "effect"
import { TestClock } from "effect/testing"
import { DatabaseUnavailable } from "./DatabaseUnavailable.ts"
import { RowsRefused } from "./SnapshotRows.ts"
import { makeWriteHealth } from "./WriteHealth.ts"

const readOnly = new DatabaseUnavailable({
  operation: "store rows of x",
  because: "read-only",
  cause: new Error("25006")
})
const refused = new RowsRefused({ reason: "row 3: too large", cause: new Error("row 3") })

const withLog = <A, E, R>(use: (lines: Array<string>) => Effect.Effect<A, E, R>) => {
  const lines: Array<string> = []
  return Effect.provide(
    use(lines),
    Logger.layer([Logger.make(({ message }) => void lines.push(String([message].flat()[0])))])
  )
}

describe("a writer that fails says so", () => {
  it.effect("once when it begins, every minute with the number of failures, once when it is over", () =>
    withLog((lines) =>
      Effect.gen(function* () {
        const { watch } = makeWriteHealth()
        const fails = Effect.ignore(watch("rows of x", Effect.fail(readOnly)))
        for (let at = 0; at < 30; at++) {
          yield* fails
          yield* TestClock.adjust("5 seconds")
        }
        yield* watch("rows of x", Effect.succeed(1))
        yield* watch("rows of x", Effect.succeed(1))
        expect(lines).toEqual([
          expect.stringMatching(
            /^rows of x cannot be written, and wait: cannot store rows of x: the database is read-only/
          ),
          expect.stringMatching(/^rows of x still cannot be written, for 1m \(13 failures\): /),
          expect.stringMatching(/^rows of x still cannot be written, for 2m \(25 failures\): /),
          "rows of x are written again, after 2m 30s and 30 failures"
        ])
      })
    )
  )

  it.effect("readiness follows the last real write: of each exporter by itself, and not a single hiccup", () =>
    withLog((lines) =>
      Effect.gen(function* () {
        const { check, watch } = makeWriteHealth()
        const ready = Effect.match(check, { onSuccess: () => "ready", onFailure: ({ message }) => message })
        yield* Effect.ignore(watch("rows of x", Effect.fail(readOnly)))
        expect(yield* ready).toBe("ready")
        yield* watch("rows of y", Effect.succeed(1))
        yield* TestClock.adjust("3 seconds")
        yield* Effect.ignore(watch("rows of x", Effect.fail(readOnly)))
        expect(yield* ready).toMatch(/^cannot be written: rows of x for 3s \(2 failures\): .*read-only/)
        yield* Effect.exit(watch("rows of x", Effect.die(new Error("a hole in the disk"))))
        expect(yield* ready).toContain("a hole in the disk")
        yield* watch("rows of x", Effect.succeed(1))
        expect(yield* ready).toBe("ready")
        // The data is at fault here, and the database took the others: nothing fails.
        yield* Effect.ignore(watch("rows of x", Effect.fail(refused)))
        yield* Effect.ignore(watch("rows of x", Effect.fail(refused)))
        expect(yield* ready).toBe("ready")
        expect(lines.length).toBe(2)
      })
    )
  )

  it.effect("failures that come and go many times a second are a line each ten seconds", () =>
    withLog((lines) =>
      Effect.gen(function* () {
        const { watch } = makeWriteHealth()
        for (let at = 0; at < 600; at++) {
          yield* Effect.ignore(watch("rows of x", Effect.fail(readOnly)))
          yield* watch("rows of x", Effect.succeed(1))
          yield* TestClock.adjust("100 millis")
        }
        expect(lines.length).toBeLessThanOrEqual(2 * 7)
      })
    )
  )
})
