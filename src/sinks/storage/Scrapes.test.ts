import { PgClient } from "@effect/sql-pg"
import { expect, layer } from "@effect/vitest"
import { Effect, Layer, Result } from "effect"
import * as TestDatabase from "../../../test/TestDatabase.ts"
import { counter, gauge, label } from "../../plugins/Column.ts"
import { defineExporter } from "../../plugins/Exporter.ts"
import { Registry } from "../../plugins/Registry.ts"
import type { Snapshot } from "../../plugins/Snapshot.ts"
import type { LeaseLost } from "../stream/leases/Fence.ts"
import type { DatabaseUnavailable } from "./DatabaseUnavailable.ts"
import type { Scrape } from "./Scrape.ts"
import { Scrapes } from "./Scrapes.ts"
import { type RowsRefused, type ServersWait, SnapshotRows } from "./SnapshotRows.ts"
import * as SnapshotRowsPostgres from "./SnapshotRowsPostgres.ts"
import { suiteExporters, suiteRow } from "./SnapshotRowsSuite.ts"

const isElsewhere = TestDatabase.leaveOut("plans of one machine, of the view and its function")

const SECOND = 1_000_000

/** Series of two labels that begin at zero. */
const seen = defineExporter({
  name: "seen_exporter",
  title: "Seen",
  scrape: { endpoint: "http://127.0.0.1:1/metrics", interval: "15 seconds", timeout: "5 seconds" },
  table: {
    name: "seen_snapshots",
    retention: "7 days",
    beginsAtZero: true,
    columns: {
      name: label({ doc: "A name." }),
      user: label({ doc: "A user." }),
      total: counter({ doc: "A total." }),
      level: gauge({ nullable: true, doc: "A level." })
    }
  },
  parse: () => Result.succeed({ rows: [], skipped: [], countersSince: null })
})()
const exporters = [...suiteExporters, seen]

const parts = Layer.mergeAll(SnapshotRowsPostgres.layer, Scrapes.layer).pipe(
  Layer.provideMerge(Registry.layer({ exporters })),
  Layer.provideMerge(TestDatabase.layerWith({ exporters }))
)

const register = (name: string) =>
  Effect.gen(function* () {
    const sql = yield* PgClient.PgClient
    const [row] = yield* sql<{ readonly id: number }>`
      insert into admiral.servers (server_id, name) values (${name}, ${name}) returning id`
    return row!.id
  })
const insert = (rows: ReadonlyArray<Snapshot>) =>
  Effect.flatMap(SnapshotRows, (sink) => sink.insert(rows[0]!.exporter, rows))
/** Of another process, which remembers nothing of this one. */
const insertElsewhere = (rows: ReadonlyArray<Snapshot>) =>
  Effect.provide(insert(rows), SnapshotRowsPostgres.layer.pipe(Layer.fresh), { local: true })

const seenRow = (serverId: string, second: number, name: string, since: number | null, user = "root"): Snapshot => ({
  exporter: "seen_exporter",
  serverId,
  timestamp: second * SECOND,
  countersSince: since === null ? null : since * SECOND,
  values: [name, user, second, null]
})

const shuffled = <A>(values: ReadonlyArray<A>, seed: number): ReadonlyArray<A> => {
  const order = [...values]
  let state = seed
  for (let n = order.length - 1; n > 0; n--) {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
    const other = state % (n + 1)
    ;[order[n], order[other]] = [order[other]!, order[n]!]
  }
  return order
}

layer(parts)("stored scrapes", (it) => {
  it.effect("come back as columns, whatever pieces and order they came in", () =>
    Effect.gen(function* () {
      const server = yield* register("pieces")
      const all: Array<Snapshot> = []
      for (let second = 15; second <= 150; second += 15) {
        for (let n = 0; n < 20; n++) {
          all.push(
            suiteRow({
              serverId: "pieces",
              timestamp: second * SECOND + 7,
              // In some scrapes the beginnings differ, in others they are unknown.
              countersSince: second === 30 ? n : second === 45 ? null : 5,
              name: `name ${n}`,
              user: `user ${n % 3}`,
              numbers: [n, Number.MAX_SAFE_INTEGER - n, n / 3, n % 2 === 0 ? null : -0, n % 5 === 0 ? null : -n - 1]
            })
          )
        }
      }
      const order = [...shuffled(all, 1), ...shuffled(all, 2)]
      for (let n = 0; n < order.length; n += 37) yield* insert(order.slice(n, n + 37))

      const scrapes = yield* Scrapes
      const [found] = yield* scrapes.between(
        "suite_exporter",
        [server],
        [{ after: 15 * SECOND + 7, upto: 150 * SECOND + 7 }],
        ["temperature", "whole", "large", "exact", "offset"]
      )
      expect([...found!.keys()]).toEqual([server])
      const own = found!.get(server)!
      expect(own.map(({ at }) => at)).toEqual(Array.from({ length: 9 }, (_, n) => (n + 2) * 15 * SECOND + 7))
      for (const { at, labels, since, sinceOf, values } of own) {
        const names = yield* scrapes.names([...labels[0]!, ...labels[1]!])
        const rows = Array.from(labels[0]!, (id, n) => ({
          name: names.get(id),
          user: names.get(labels[1]![n]!),
          since: sinceOf === undefined ? since : sinceOf[n],
          numbers: values.map((column) => column[n])
        })).sort((a, b) => a.numbers[1]! - b.numbers[1]!)
        expect(sinceOf !== undefined).toBe(at === 30 * SECOND + 7)
        expect(rows).toEqual(
          Array.from({ length: 20 }, (_, n) => ({
            name: `name ${n}`,
            user: `user ${n % 3}`,
            since: at === 30 * SECOND + 7 ? n : at === 45 * SECOND + 7 ? Number.NaN : 5,
            numbers: [
              n % 2 === 0 ? Number.NaN : -0,
              n,
              Number.MAX_SAFE_INTEGER - n,
              n / 3,
              n % 5 === 0 ? Number.NaN : -n - 1
            ]
          }))
        )
      }
    })
  )

  it.effect("with the rows of one value of a label at least, which need not be in all of them", () =>
    Effect.gen(function* () {
      const servers = [yield* register("some rows"), yield* register("some rows elsewhere")]
      const row = (serverId: string, second: number, name: string, user: string, since = 5) =>
        suiteRow({
          serverId,
          timestamp: second * SECOND,
          countersSince: since,
          name,
          user,
          numbers: [second, 1, 1, null, null]
        })
      yield* insert([
        ...["a", "b", "c", "d"].map((name) => row("some rows", 15, name, "root")),
        row("some rows", 30, "a", "root"),
        // Their beginnings differ.
        ...["root", "www", "mail"].map((user, n) => row("some rows", 45, "c", user, n)),
        row("some rows", 45, "d", "root", 9),
        ...["c", "d"].map((name) => row("some rows elsewhere", 45, name, "www"))
      ])
      const scrapes = yield* Scrapes
      const ids = yield* scrapes.idsOf(["c", "www"])
      const span = { after: 0, upto: 60 * SECOND }
      const columns = ["temperature", "whole", "exact"]
      for (const [place, label, value] of [
        [0, "name", "c"],
        [1, "user", "www"]
      ] as const) {
        const id = ids.get(value)!
        const rowsOf = (found: ReadonlyMap<number, ReadonlyArray<Scrape>>, server: number) =>
          (found.get(server) ?? []).map(({ at, labels, since, sinceOf, values }) => ({
            at,
            since,
            rows: Array.from(labels[place]!, (other, n) => [
              other,
              sinceOf?.[n],
              ...values.map((column) => column[n])
            ]).filter(([other]) => other === id)
          }))
        for (const asked of [servers.slice(0, 1), servers]) {
          const [[all], [some], [previous]] = yield* Effect.all([
            scrapes.between("suite_exporter", asked, [span], columns),
            scrapes.between("suite_exporter", asked, [span], columns, { label, id }),
            scrapes.withPrevious("suite_exporter", asked, SECOND, [span], columns, { label, id })
          ])
          for (const server of asked) {
            expect(rowsOf(some!, server)).toEqual(rowsOf(all!, server))
            expect(rowsOf(previous!, server)).toEqual(rowsOf(all!, server))
          }
          const counts = some!.get(servers[0]!)!.map(({ labels }) => labels[0]!.length)
          expect(counts).toEqual(label === "name" ? [1, 0, 3] : [0, 0, 1])
        }
      }
    })
  )

  it.effect("of several servers, and the latest of one, of some and of all", () =>
    Effect.gen(function* () {
      const [a, b, silent] = [
        yield* register("latest a"),
        yield* register("latest b"),
        yield* register("latest silent")
      ]
      const day = 86_400
      yield* insert(
        ["latest a", "latest b"].flatMap((serverId, n) =>
          Array.from({ length: 6 }, (_, scrape) =>
            suiteRow({ serverId, timestamp: (scrape * (day / 2) + n) * SECOND, numbers: [scrape, 1, 1, null, null] })
          )
        )
      )
      const scrapes = yield* Scrapes
      const wholes = (found: ReadonlyMap<number, ReadonlyArray<{ readonly values: ReadonlyArray<Float64Array> }>>) =>
        [a, b, silent].map((id) => found.get(id)?.map(({ values }) => values[0]![0]))
      const far = 100 * day * SECOND
      const between = (servers: ReadonlyArray<number>, after: number, upto: number) =>
        Effect.map(scrapes.between("suite_exporter", servers, [{ after, upto }], ["whole"]), ([found]) =>
          wholes(found!)
        )
      const near = (servers: ReadonlyArray<number>, oldest: number, after: number, upto: number) =>
        Effect.map(
          scrapes.withPrevious("suite_exporter", servers, after - oldest, [{ after, upto }], ["whole"]),
          ([found]) => wholes(found!)
        )
      const latest = (servers: ReadonlyArray<number> | undefined, count: number, upto = far) =>
        Effect.map(scrapes.latest("suite_exporter", servers, count, -1, upto, ["whole"]), wholes)
      expect(yield* between([a, b, silent], 0, far)).toEqual([[1, 2, 3, 4, 5], [0, 1, 2, 3, 4, 5], undefined])
      expect(yield* between([a, b], day * SECOND, (day + 1) * SECOND)).toEqual([undefined, [2], undefined])
      expect(yield* between([b], day * SECOND, (day + 1) * SECOND)).toEqual([undefined, [2], undefined])
      // With the one before them, where it is not too old; at the beginning of the span it is that one.
      const [half, begin] = [(day / 2) * SECOND, day * SECOND]
      for (const servers of [[a], [a, b, silent]]) {
        const some = (found: ReadonlyArray<unknown>) => found.slice(0, servers.length)
        expect(some(yield* near(servers, 0, begin, 2 * begin))).toEqual(some([[2, 3, 4], [1, 2, 3], undefined]))
        expect(some(yield* near(servers, 0, begin + SECOND, 2 * begin))).toEqual(some([[2, 3, 4], [2, 3], undefined]))
        expect(some(yield* near(servers, begin, begin + 2 * SECOND, 2 * begin))).toEqual(
          some([[3, 4], [2, 3], undefined])
        )
        expect(some(yield* near(servers, -1, 0, half))).toEqual(some([[0, 1], [0], undefined]))
      }
      // Several spans are several answers, each as if it were the only one, also where they overlap.
      const spans = Array.from({ length: 6 }, (_, n) => ({ after: n * half, upto: (n + 2) * half }))
      for (const servers of [[a], [a, b]]) {
        const [many, before] = yield* Effect.all([
          scrapes.between("suite_exporter", servers, spans, ["whole"]),
          scrapes.withPrevious("suite_exporter", servers, day * SECOND, spans, ["whole"])
        ])
        for (const [n, { after, upto }] of spans.entries()) {
          expect(wholes(many[n]!)).toEqual(yield* between(servers, after, upto))
          expect(wholes(before[n]!)).toEqual(yield* near(servers, after - day * SECOND, after, upto))
        }
      }
      expect(yield* near([], 0, 0, far)).toEqual([undefined, undefined, undefined])
      expect(yield* between([], 0, far)).toEqual([undefined, undefined, undefined])
      expect(yield* latest([a], 2)).toEqual([[4, 5], undefined, undefined])
      expect(yield* latest([silent], 2)).toEqual([undefined, undefined, undefined])
      expect(yield* latest([b, a, silent], 3, day * SECOND)).toEqual([[0, 1, 2], [0, 1], undefined])
      expect(yield* latest(undefined, 1)).toEqual([[5], [5], undefined])
      expect(yield* latest([], 1)).toEqual([undefined, undefined, undefined])
    })
  )

  it.effect("of an exporter without labels have one row and no labels", () =>
    Effect.gen(function* () {
      const server = yield* register("bare")
      const row = (second: number, load: number): Snapshot => ({
        exporter: "bare_exporter",
        serverId: "bare",
        timestamp: second * SECOND,
        countersSince: second,
        values: [load]
      })
      yield* insert([row(2, 0.25), row(1, 1e300), row(2, 9)])
      const [found] = yield* (yield* Scrapes).between(
        "bare_exporter",
        [server],
        [{ after: 0, upto: 10 * SECOND }],
        ["load"]
      )
      expect(found!.get(server)).toEqual([
        { at: SECOND, since: 1, sinceOf: undefined, labels: [], values: [Float64Array.of(1e300)] },
        { at: 2 * SECOND, since: 2, sinceOf: undefined, labels: [], values: [Float64Array.of(0.25)] }
      ])
    })
  )

  it.effect("name their labels, and find those that exist", () =>
    Effect.gen(function* () {
      yield* register("named")
      yield* insert([suiteRow({ serverId: "named", name: "Ålesund 🦀", user: "" })])
      const scrapes = yield* Scrapes
      const ids = yield* scrapes.idsOf(["Ålesund 🦀", "", "nobody has this name"])
      expect([...ids.keys()].sort()).toEqual(["", "Ålesund 🦀"])
      const names = yield* scrapes.names([...ids.values(), 2_000_000_000])
      expect([...names].map(([id, name]) => ids.get(name) === id)).toEqual([true, true])
    })
  )

  it.effect.skipIf(isElsewhere)("are found by their keys, however many there are", () =>
    Effect.gen(function* () {
      const sql = yield* PgClient.PgClient
      const ids: Array<number> = []
      for (let n = 0; n < 30; n++) ids.push(yield* register(`many ${n}`))
      const base = 40 * 86_400
      for (let n = 0; n < 30; n++) {
        yield* insert(
          Array.from({ length: 600 }, (_, scrape) =>
            suiteRow({ serverId: `many ${n}`, timestamp: (base + scrape * 15) * SECOND })
          )
        )
      }
      yield* sql`vacuum analyze admiral.suite_snapshots_scrapes`.unprepared
      yield* sql`analyze admiral.servers, admiral.label_values`.unprepared
      const explain = (statement: string) =>
        Effect.map(sql.unsafe<{ readonly "QUERY PLAN": string }>(`explain ${statement}`).unprepared, (rows) =>
          rows.map((row) => row["QUERY PLAN"]).join("\n")
        )
      const hour = `"timestamp" >= '1970-02-10 00:30+00' and "timestamp" <= '1970-02-10 01:30+00'`
      const between = `admiral.suite_snapshots_between('many 7', '1970-02-10 00:30+00', '1970-02-10 01:30+00')`
      for (const statement of [
        `select * from ${between}`,
        `select * from admiral.suite_snapshots where server_id = 'many 7' and ${hour}`
      ]) {
        const plan = yield* explain(statement)
        expect(plan).toMatch(/Index Scan using suite_snapshots_scrapes_19700210_pkey/)
        expect(plan).toMatch(/Index Cond: \(\(server_id = /)
        expect(plan).not.toMatch(/Seq Scan on suite_snapshots_scrapes/)
        // Of the days that are there, the one that is asked for.
        expect(plan.match(/suite_snapshots_scrapes_\d{8} /g)?.length ?? 0).toBe(1)
      }
      const [{ direct, within }] = (yield* sql.unsafe(
        `select (select count(*)::int4 from ${between}) as within,
          (select count(*)::int4 from admiral.suite_snapshots where server_id = 'many 7' and ${hour}) as direct`
      )) as [{ readonly direct: number; readonly within: number }]
      expect(within).toBe(241)
      expect(direct).toBe(241)
    })
  )
})

layer(parts)("first-seen series", (it) => {
  const firsts = (server: number) =>
    Effect.gen(function* () {
      const scrapes = yield* Scrapes
      const found = [
        ...((yield* scrapes.firsts("seen_exporter", [server], [{ after: -1, upto: 1e15 }])).get(server) ?? [])
      ]
      const names = yield* scrapes.names(found.flatMap(({ labels }) => labels))
      return found
        .sort((a, b) => a.at - b.at || (names.get(a.labels[0]!)! < names.get(b.labels[0]!)! ? -1 : 1))
        .map(({ at, labels }) => `${labels.map((id) => names.get(id)).join("/")} ${at / SECOND}`)
    })
  const queued = (server: number) =>
    Effect.map(
      Effect.flatMap(
        PgClient.PgClient,
        (sql) => sql<{ readonly bucket: number }>`
          select distinct date_part('epoch', bucket)::int4 as bucket from admiral.rollup_queue
          where server_id = ${server}::int4 and seconds = 300 order by 1`
      ),
      (rows) => rows.map(({ bucket }) => bucket)
    )
  const settle = Effect.flatMap(PgClient.PgClient, (sql) => sql`delete from admiral.rollup_queue`)

  it.effect("are the first rows since their counters began, one for each beginning", () =>
    Effect.gen(function* () {
      const server = yield* register("plain")
      yield* insert([
        seenRow("plain", 15, "a", 10),
        seenRow("plain", 30, "a", 10),
        seenRow("plain", 30, "b", 10),
        // The same name of another user is another series.
        seenRow("plain", 30, "a", 10, "www"),
        seenRow("plain", 45, "a", 10),
        // A restart.
        seenRow("plain", 60, "a", 50),
        seenRow("plain", 75, "a", 50),
        // Nobody knows when these began; and this began after it was seen.
        seenRow("plain", 60, "unknown", null),
        seenRow("plain", 60, "ahead", 61)
      ])
      expect(yield* firsts(server)).toEqual(["a/root 15", "a/www 30", "b/root 30", "a/root 60"])
      // A clock that is set moves the beginning by a little; what was seen since then was seen.
      yield* insert([seenRow("plain", 90, "a", 52), seenRow("plain", 90, "b", 20)])
      expect(yield* firsts(server)).toEqual(["a/root 15", "a/www 30", "b/root 30", "a/root 60"])
      const sql = yield* PgClient.PgClient
      const [entries] =
        yield* sql`select count(*)::int4 as n from admiral.seen_snapshots_first_seen where server_id = ${server}::int4`
      expect(entries).toEqual({ n: 6 })
      const found = yield* (yield* Scrapes).firsts(
        "seen_exporter",
        [server, 999_999],
        [{ after: 15 * SECOND, upto: 30 * SECOND }]
      )
      expect(found.get(server)?.length).toBe(2)
      expect((yield* (yield* Scrapes).firsts("suite_exporter", [server], [{ after: -1, upto: 1e15 }])).size).toBe(0)
    })
  )

  it.effect("are the same in whatever order and pieces rows come, and through however many processes", () =>
    Effect.gen(function* () {
      const rows = (serverId: string) =>
        Array.from({ length: 40 }, (_, n) => n + 1).flatMap((scrape) =>
          Array.from({ length: 6 }, (_, group) => group)
            .filter((group) => (scrape * 7 + group * 5) % 11 > group)
            .map((group) =>
              seenRow(
                serverId,
                scrape * 60,
                `group ${group}`,
                scrape > 25 ? 25 * 60 + 30 : scrape > 10 ? 10 * 60 + 1 : 5
              )
            )
        )
      const expected = new Map<string, number>()
      const [inOrder] = [yield* register("in order")]
      yield* insert(rows("in order"))
      const told = yield* firsts(inOrder)
      for (const row of rows("in order")) {
        const key = `${row.values[0]} ${row.countersSince}`
        if (row.timestamp >= row.countersSince! && !expected.has(key)) expected.set(key, row.timestamp)
      }
      expect(new Set(told)).toEqual(
        new Set([...expected].map(([key, at]) => `${key.slice(0, "group 0".length)}/root ${at / SECOND}`))
      )
      for (const seed of [1, 2, 3]) {
        const server = yield* register(`shuffled ${seed}`)
        const order = shuffled(rows(`shuffled ${seed}`), seed)
        const batches = Array.from({ length: Math.ceil(order.length / 23) }, (_, n) => order.slice(n * 23, n * 23 + 23))
        yield* Effect.forEach(
          batches,
          (batch, n) => {
            const stored: Effect.Effect<
              unknown,
              RowsRefused | DatabaseUnavailable | LeaseLost | ServersWait,
              SnapshotRows | PgClient.PgClient | Registry
            > = n % 2 === 0 ? insert(batch) : insertElsewhere(batch)
            return Effect.retry(stored, { while: (error) => error.retryable, times: 20 })
          },
          { concurrency: 4 }
        )
        expect(yield* firsts(server)).toEqual(told)
      }
    })
  )

  it.effect("that come to light late queue the bucket that they change, however much later it is", () =>
    Effect.gen(function* () {
      const server = yield* register("displaced")
      yield* insert([seenRow("displaced", 3_000, "a", 10), seenRow("displaced", 3_000, "b", 2_900)])
      expect(yield* firsts(server)).toEqual(["a/root 3000", "b/root 3000"])
      yield* settle
      yield* insertElsewhere([seenRow("displaced", 100, "a", 10), seenRow("displaced", 100, "b", 10)])
      expect(yield* firsts(server)).toEqual(["a/root 100", "b/root 100", "b/root 3000"])
      expect(yield* queued(server)).toEqual([0, 300, 3_000])
    })
  )

  it.effect("cost nothing once they are known", () =>
    Effect.gen(function* () {
      yield* register("steady")
      const sql = yield* PgClient.PgClient
      yield* insert([seenRow("steady", 15, "a", 10)])
      const other = yield* sql.reserve
      // Nobody can take the lock of a server now: a row that had to be looked at would wait.
      yield* other.executeUnprepared("begin", [], undefined)
      yield* other.executeUnprepared(
        "lock table admiral.seen_snapshots_first_seen in access exclusive mode",
        [],
        undefined
      )
      expect(yield* insert([seenRow("steady", 30, "a", 10)])).toEqual({ inserted: 1, duplicates: 0 })
      yield* other.executeUnprepared("rollback", [], undefined)
    }).pipe(Effect.scoped)
  )
})

layer(parts)("the queue of changed buckets", (it) => {
  const queued = (serverId: string) =>
    Effect.map(
      Effect.flatMap(
        PgClient.PgClient,
        (sql) => sql<{ readonly bucket: number }>`
          with taken as (delete from admiral.rollup_queue returning *)
          select date_part('epoch', taken.bucket)::int4 as bucket from taken
          join admiral.servers as server on server.id = taken.server_id and server.server_id = ${serverId}
          order by 1`
      ),
      (rows) => rows.map(({ bucket }) => bucket)
    )
  const at = (serverId: string, second: number, name = "nginx") =>
    suiteRow({ serverId, timestamp: second * SECOND, name })

  it.effect("holds the bucket of a scrape and of the one before it, each once a batch", () =>
    Effect.gen(function* () {
      yield* register("q")
      yield* insert([at("q", 1_000)])
      // Nothing is known of what came before: five minutes before it.
      expect(yield* queued("q")).toEqual([900, 1_200])
      yield* insert([at("q", 1_015), at("q", 1_030), at("q", 1_030, "other")])
      expect(yield* queued("q")).toEqual([1_200])
      yield* insert([at("q", 1_210)])
      expect(yield* queued("q")).toEqual([1_200, 1_500])
      // After a hole there is no covered time that reaches back, but what lies in between may be on its way.
      yield* insert([at("q", 2_000)])
      expect(yield* queued("q")).toEqual([1_800, 2_100])
      // Late.
      yield* insert([at("q", 1_600)])
      expect(yield* queued("q")).toEqual([1_500, 1_800])
      // A piece that comes later changes its bucket again; a repetition changes nothing.
      yield* insert([at("q", 2_000, "late piece")])
      expect(yield* queued("q")).toEqual([1_800, 2_100])
      yield* insert([at("q", 2_000, "late piece"), at("q", 1_600), at("q", 1_000)])
      expect(yield* queued("q")).toEqual([])
    })
  )

  it.effect("forgets nothing that was remembered of a transaction that failed", () =>
    Effect.gen(function* () {
      yield* register("failed")
      const sql = yield* PgClient.PgClient
      yield* insert([at("failed", 1_000)])
      yield* queued("failed")
      yield* sql`alter table admiral.suite_snapshots_scrapes add constraint refused check ("timestamp" <> '1970-01-01 00:21:00+00')`
      expect((yield* Effect.flip(insert([at("failed", 1_260)])))._tag).toBe("RowsRefused")
      yield* sql`alter table admiral.suite_snapshots_scrapes drop constraint refused`
      expect(yield* queued("failed")).toEqual([])
      yield* insert([at("failed", 1_290)])
      expect(yield* queued("failed")).toEqual([1_200, 1_500])
    })
  )
})
