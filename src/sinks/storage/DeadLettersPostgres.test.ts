import { PgClient } from "@effect/sql-pg"
import { expect, layer } from "@effect/vitest"
import { Effect, Layer } from "effect"
import * as TestDatabase from "../../../test/TestDatabase.ts"
import { DeadLetters, type NewDeadLetter } from "./DeadLetters.ts"
import { LETTERS_MAX, layer as layerPostgres, PAYLOAD_MAX, pruneDeadLetters } from "./DeadLettersPostgres.ts"

const letter = (key: string, over: Partial<NewDeadLetter> = {}): NewDeadLetter => ({
  key,
  exporter: "disk_exporter",
  serverId: "alpha",
  reason: "num_procs is -1",
  payload: '["x",1]',
  ...over
})

layer(layerPostgres.pipe(Layer.provideMerge(TestDatabase.layer)))("dead letters", (it) => {
  it.effect("a repeated put changes nothing", () =>
    Effect.gen(function* () {
      const letters = yield* DeadLetters
      yield* letters.put([])
      yield* letters.put([letter("stream 1-1"), letter("stream 1-2"), letter("stream 1-1")])
      yield* letters.put([letter("stream 1-2", { reason: "other" }), letter("stream 1-3")])
      const { letters: listed, total } = yield* letters.list({ limit: 10 })
      expect(total).toBe(3)
      expect(listed.length).toBe(3)
      expect(listed.every(({ reason }) => reason === "num_procs is -1")).toBe(true)
    })
  )

  it.effect("are listed newest first, page by page", () =>
    Effect.gen(function* () {
      const letters = yield* DeadLetters
      yield* letters.put(Array.from({ length: 25 }, (_, n) => letter(`page ${n}`, { payload: `${n}` })))
      const seen: Array<string> = []
      let before: string | undefined
      for (;;) {
        const page = yield* letters.list(before === undefined ? { limit: 7 } : { limit: 7, before })
        if (page.letters.length === 0) break
        seen.push(...page.letters.map(({ id }) => id))
        before = page.letters.at(-1)!.id
      }
      expect(new Set(seen).size).toBe(seen.length)
      expect(seen.map(Number)).toEqual(seen.map(Number).sort((a, b) => b - a))
      expect(seen.length).toBe((yield* letters.list({ limit: 1 })).total)
    })
  )

  it.effect("keep whatever could not be stored, also what PostgreSQL has no text for", () =>
    Effect.gen(function* () {
      const letters = yield* DeadLetters
      const odd = [
        letter("odd\0key", { payload: 'a\0b"', exporter: "\0", serverId: "\ud800", reason: "r\0" }),
        letter("k".repeat(100_000), { payload: "x".repeat(PAYLOAD_MAX + 1), reason: "y".repeat(100_000) }),
        letter("", { payload: "" })
      ]
      yield* letters.put(odd)
      yield* letters.put(odd)
      const { letters: listed } = yield* letters.list({ limit: 3 })
      expect(listed.map(({ payload }) => payload.length).sort((a, b) => a - b)).toEqual([0, 4, PAYLOAD_MAX])
      expect(listed.find(({ payload }) => payload.length === 4)).toMatchObject({
        payload: 'a␀b"',
        reason: expect.stringContaining("U+0000 is shown as ␀")
      })
    })
  )

  it.effect("can be read and dropped one by one; others are named", () =>
    Effect.gen(function* () {
      const letters = yield* DeadLetters
      yield* letters.put([letter("to drop")])
      const { id } = (yield* letters.list({ limit: 1 })).letters[0]!
      expect(yield* letters.get(id)).toMatchObject({ id, exporter: "disk_exporter", payload: '["x",1]' })
      expect(yield* letters.drop([id, id, "999999", "no id", ""])).toBe(1)
      for (const unknown of [id, "no id", "", "-1", "9".repeat(30)]) {
        expect((yield* Effect.flip(letters.get(unknown)))._tag).toBe("UnknownDeadLetter")
      }
    })
  )

  it.effect("never grow past their bound in number and age", () =>
    Effect.gen(function* () {
      const sql = yield* PgClient.PgClient
      const letters = yield* DeadLetters
      yield* sql`insert into admiral.dead_letters (key, exporter, server_id, reason, payload, created_at)
        values ('very old', '', '', '', '', now() - interval '31 days')`
      yield* sql`insert into admiral.dead_letters (key, exporter, server_id, reason, payload)
        select 'many ' || n, '', '', '', '' from generate_series(1, ${LETTERS_MAX}::int4) n`
      yield* letters.put(Array.from({ length: 1_000 }, (_, n) => letter(`more ${n}`)))
      expect((yield* letters.list({ limit: 1 })).total).toBe(LETTERS_MAX)
      expect(yield* sql`select key from admiral.dead_letters where key in ('very old', 'more 999')`).toEqual([
        { key: "more 999" }
      ])
      expect(yield* pruneDeadLetters).toBe(0)
    })
  )
})
