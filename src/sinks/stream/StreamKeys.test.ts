import { chmod, mkdtemp, rm, writeFile } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { PgClient } from "@effect/sql-pg"
import { expect, layer } from "@effect/vitest"
import { Effect, Layer } from "effect"
import { TestClock } from "effect/testing"
import * as TestDatabase from "../../../test/TestDatabase.ts"
import { keysOfDatabase, keysOfFile, rotateKeys, StreamKeys } from "./StreamKeys.ts"

/** A process: its keys, in hexadecimal. */
const aProcess = Effect.gen(function* () {
  const keys = yield* StreamKeys
  keys.readFrom(keysOfDatabase(yield* PgClient.PgClient))
  return Effect.map(keys.fresh, (all) => all.map((key) => key.export().toString("hex")))
}).pipe(Effect.provide(Layer.fresh(StreamKeys.layer)))

layer(TestDatabase.layer)("the stream's keys", (it) => {
  it.effect("are the same for all processes, and a new one is accepted by all before anybody seals with it", () =>
    Effect.gen(function* () {
      const sql = yield* PgClient.PgClient
      const [ingest, digest] = [yield* aProcess, yield* aProcess]
      const first = yield* ingest
      expect(first.length).toBe(1)
      expect(yield* digest).toEqual(first)
      yield* rotateKeys({ atOnce: false })
      expect(yield* ingest).toEqual(first)
      yield* TestClock.adjust("20 seconds")
      const both = yield* digest
      expect(both.length).toBe(2)
      expect(both[0]).toBe(first[0])
      yield* sql`update admiral.stream_keys set begins_at = begins_at - interval '3 minutes'`
      yield* TestClock.adjust("20 seconds")
      expect(yield* ingest).toEqual([both[1], both[0]])
      yield* rotateKeys({ atOnce: true })
      yield* TestClock.adjust("20 seconds")
      const [only, ...others] = yield* digest
      expect([both.includes(only!), others]).toEqual([false, []])
    })
  )

  it.effect("that are known are used while the database is away", () =>
    Effect.gen(function* () {
      const sql = yield* PgClient.PgClient
      const keys = yield* aProcess
      const known = yield* keys
      yield* Effect.acquireRelease(sql`alter table admiral.stream_keys rename to away`, () =>
        Effect.orDie(sql`alter table admiral.away rename to stream_keys`)
      )
      yield* TestClock.adjust("1 minute")
      expect(yield* keys).toEqual(known)
      expect((yield* Effect.flip(yield* aProcess))._tag).toBe("StreamUnavailable")
    }).pipe(Effect.scoped)
  )

  it.effect("of a file are a line each; one that is short, or that others can write, is refused by name", () =>
    Effect.gen(function* () {
      const folder = yield* Effect.acquireRelease(
        Effect.promise(() => mkdtemp(join(tmpdir(), "nodepulse-keys-"))),
        (made) => Effect.promise(() => rm(made, { recursive: true, force: true }))
      )
      const path = join(folder, "keys")
      const write = (text: string) => Effect.promise(() => writeFile(path, text, { mode: 0o600 }))
      const [one, two] = ["a".repeat(32), "b".repeat(40)]
      yield* write(`${one}\n${two}\n`)
      expect((yield* keysOfFile(path)).map((key) => key.export().toString())).toEqual([one, two])
      for (const text of ["", "short", `${one}\nshort`]) {
        yield* write(text)
        const { message } = yield* Effect.flip(keysOfFile(path))
        expect(message).toMatch(/^NODEPULSE_STREAM_KEY_FILE .*keys: each line is a key of at least 32 characters/)
        expect(message).not.toContain("aaa")
      }
      yield* Effect.promise(() => chmod(path, 0o666))
      expect((yield* Effect.flip(keysOfFile(path))).message).toMatch(/others can write it/)
    }).pipe(Effect.scoped)
  )
})
