import { assert, describe, it } from "@effect/vitest"
import { Cause, Console, Effect, Logger } from "effect"
import { makeLogger, say, sayAside } from "./Terminal.ts"

/** What a terminal would act on: anything but text, line feeds and the colours of the log itself. */
const acts = (text: string): boolean =>
  /[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u202a-\u202e\u2066-\u2069]/.test(text.replace(/\u001b\[[0-9;]*m/g, ""))

const EVIL = "\u001b[2J\u001b]0;x\u0007\u009b2J\u202egnp"

const caught = <A, E>(effect: Effect.Effect<A, E>) =>
  Effect.gen(function* () {
    const written: Array<string> = []
    const write = (...parts: ReadonlyArray<unknown>) => void written.push(parts.map(String).join(" "))
    const real = yield* Console.Console
    const console = { ...real, log: write, error: write, info: write, warn: write, debug: write, group: write }
    yield* Effect.provideService(effect, Console.Console, console)
    return written
  })

describe("what reaches a terminal", () => {
  it.effect("from a command is printable, and JSON stays JSON", () =>
    Effect.gen(function* () {
      const written = yield* caught(Effect.andThen(say(JSON.stringify({ [EVIL]: EVIL }, null, 2)), sayAside(EVIL)))
      assert.deepStrictEqual(JSON.parse(written[0]!), { [EVIL]: EVIL })
      assert.isFalse(written.some(acts))
    })
  )

  it.effect("from the log is printable, whether text, error or cause, and a message is one line", () =>
    Effect.gen(function* () {
      const logged = Effect.all([
        Effect.logWarning(`a\nforged ${EVIL}`),
        Effect.logError("failed", new Error(EVIL)),
        Effect.logError("failed", Cause.fail(new Error(EVIL)))
      ]).pipe(Effect.provide(Logger.layer([makeLogger()])))
      const written = yield* caught(logged)
      assert.isAtLeast(written.length, 3)
      assert.isFalse(written.some(acts), JSON.stringify(written))
      assert.include(written.join("\n"), "a\\u000aforged")
    })
  )
})
