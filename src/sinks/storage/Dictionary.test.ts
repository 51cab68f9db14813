import { PgClient } from "@effect/sql-pg"
import { expect, layer } from "@effect/vitest"
import { Deferred, Effect, Fiber, Layer } from "effect"
import * as TestDatabase from "../../../test/TestDatabase.ts"
import { makeDictionary, sweepLabels } from "./Dictionary.ts"

const exists = (value: string) =>
  Effect.gen(function* () {
    const sql = yield* PgClient.PgClient
    const [row] = yield* sql<{ readonly id: number; readonly until: number }>`
      select id, used_until - date '1970-01-01' as until from admiral.label_values where value = ${value}`
    return row
  })
const sweep = (day: number) => sweepLabels([], day)

layer(Layer.provideMerge(Layer.empty, TestDatabase.layer))("label values", (it) => {
  it.effect("have one id, whoever asks, and are remembered until the day they were asked for", () =>
    Effect.gen(function* () {
      const [one, other] = [yield* makeDictionary, yield* makeDictionary]
      const values = new Set(["nginx", "", "é".repeat(16_384)])
      const ids = yield* one.labels(values, 10)
      expect(yield* other.labels(values, 12)).toEqual(ids)
      expect(new Set(ids.values()).size).toBe(3)
      expect(one.cachedLabel("nginx", 10)).toBe(ids.get("nginx"))
      // For later rows it has to ask again, so that the table knows of the later day.
      expect(one.cachedLabel("nginx", 11)).toBeUndefined()
      expect(one.cachedLabel("nginx", 9)).toBe(ids.get("nginx"))
      expect((yield* exists("nginx"))!.until).toBe(12)
      expect(yield* one.labels(new Set(["nginx"]), 11)).toEqual(new Map([["nginx", ids.get("nginx")]]))
      expect((yield* exists("nginx"))!.until).toBe(12)
    })
  )

  it.effect("go when nothing of their days is kept any more, and come back under another id", () =>
    Effect.gen(function* () {
      const dictionary = yield* makeDictionary
      const before = yield* dictionary.labels(new Set(["old 1", "old 2", "young"]), 20)
      yield* dictionary.labels(new Set(["young"]), 30)
      yield* sweep(20)
      expect(yield* exists("old 1")).toBeDefined()
      yield* sweep(21)
      expect(yield* exists("old 1")).toBeUndefined()
      expect((yield* exists("young"))!.id).toBe(before.get("young"))
      // The cache still has the old id, for rows that are refused; rows of today get another.
      const after = yield* dictionary.labels(new Set(["old 1"]), 40)
      expect(after.get("old 1")).not.toBe(before.get("old 1"))
      expect((yield* exists("old 1"))!.id).toBe(after.get("old 1"))
    })
  )

  it.effect("that are asked for while they are being deleted are never lost", () =>
    Effect.gen(function* () {
      const sql = yield* PgClient.PgClient
      const dictionary = yield* makeDictionary
      const old = (yield* dictionary.labels(new Set(["raced"]), 50)).get("raced")
      const waiting = Effect.repeat(
        sql`select 1 from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'`,
        { until: (rows) => rows.length > 0 }
      )
      // The one that deletes has deleted it and not committed yet, while a digest asks for it.
      const deleted = yield* Deferred.make<void>()
      const commit = yield* Deferred.make<void>()
      const sweeping = yield* sweepLabels([], 51).pipe(
        Effect.andThen(Deferred.succeed(deleted, undefined)),
        Effect.andThen(Deferred.await(commit)),
        sql.withTransaction,
        Effect.forkChild
      )
      yield* Deferred.await(deleted)
      const asking = yield* Effect.forkChild(dictionary.labels(new Set(["raced"]), 60))
      yield* waiting
      yield* Deferred.succeed(commit, undefined)
      yield* Fiber.join(sweeping)
      const fresh = (yield* Fiber.join(asking)).get("raced")
      expect(fresh).not.toBe(old)
      expect((yield* exists("raced"))!.id).toBe(fresh)
    })
  )

  it.effect("are never handed out and missing, however they are asked for and swept at once", () =>
    Effect.gen(function* () {
      const sql = yield* PgClient.PgClient
      const dictionaries = [yield* makeDictionary, yield* makeDictionary, yield* makeDictionary]
      const names = Array.from({ length: 30 }, (_, n) => `name ${n}`)
      let missing = 0
      // Each day some names are used by some; whatever was handed out for today is there when it is stored, and stays.
      for (let day = 100; day < 160; day++) {
        const uses = dictionaries.map((dictionary, d) =>
          Effect.gen(function* () {
            const own = names.filter((_, n) => (day * 7 + n * 3 + d) % 5 === 0)
            const ids = yield* dictionary.labels(new Set(own), day)
            const stored = yield* sql<{ readonly id: number }>`
              select id from admiral.label_values where value = any(${own}::text[]) and used_until - date '1970-01-01' >= ${day}::int4`
            const there = new Set(stored.map(({ id }) => id))
            missing += [...ids.values()].filter((id) => !there.has(id)).length
          })
        )
        yield* Effect.all([...uses, sweep(day), sweep(day)], { concurrency: 5 })
      }
      expect(missing).toBe(0)
    })
  )
})
