/**
 * The two moments at which a crash costs most: the rows are committed and not yet acknowledged, and the snapshots are
 * published and the answer is not yet heard. A thousand times each, on a real PostgreSQL and a real Valkey.
 */
import { PgClient } from "@effect/sql-pg"
import { assert, it } from "@effect/vitest"
import { Deferred, Effect, Fiber, Layer, References, Schedule } from "effect"
import config from "../plugins.config.ts"
import { Servers } from "../src/access/Servers.ts"
import * as ServersPostgres from "../src/access/ServersPostgres.ts"
import { Registry } from "../src/plugins/Registry.ts"
import type { Snapshot } from "../src/plugins/Snapshot.ts"
import { makeSnapshotCodec } from "../src/plugins/SnapshotCodec.ts"
import { together } from "../src/plugins/Snapshots.ts"
import { makeWires } from "../src/plugins/Wire.ts"
import * as Digest from "../src/sinks/Digest.ts"
import * as DeadLettersPostgres from "../src/sinks/storage/DeadLettersPostgres.ts"
import * as SnapshotRowsPostgres from "../src/sinks/storage/SnapshotRowsPostgres.ts"
import { SnapshotStream, StreamUnavailable } from "../src/sinks/stream/SnapshotStream.ts"
import { contentsOf, EntryKind } from "../src/sinks/stream/StreamEntry.ts"
import * as Valkey from "../src/sinks/stream/valkey/SnapshotStreamValkey.ts"
import { keyOf } from "../src/sinks/stream/valkey/StreamNumber.ts"
import { makeBooks } from "./conservation/Books.ts"
import { makeChance } from "./conservation/Chance.ts"
import { makeDoor } from "./conservation/Door.ts"
import { processValues } from "./ProcessRows.ts"
import * as TestDatabase from "./TestDatabase.ts"
import * as TestServer from "./TestServer.ts"
import { describeValkey, makeTestValkey, type TestValkey } from "./TestValkey.ts"

const CRASHES = Number(process.env.NODEPULSE_CRASHES ?? 1_000)
const SEED = Number(process.env.NODEPULSE_SEED ?? 7)

const exporter = config.exporters.find(({ top }) => top?.per !== undefined)!.name
const codec = makeSnapshotCodec(makeWires(config.exporters))
const registry = Registry.layer(config)

/** A row whose CPU time no other has. */
const row = (serverId: string, unique: number, at: number): Snapshot => ({
  exporter,
  serverId,
  timestamp: at * 1_000,
  countersSince: null,
  values: processValues(`group-${unique}`, { num_procs: 1, cpu_seconds_total: unique, memory_bytes: 4096 })
})

/** As entries of a kind. */
const contents = (rows: ReadonlyArray<Snapshot>, kind: EntryKind) =>
  together(rows).flatMap((snapshots) => contentsOf(snapshots, kind, codec))

const ports = Layer.mergeAll(SnapshotRowsPostgres.layer, DeadLettersPostgres.layer, ServersPostgres.layer).pipe(
  Layer.provideMerge(registry),
  Layer.provideMerge(TestDatabase.layer)
)

/** What is stored of a server: how many rows, and how many different values. */
const stored = Effect.fnUntraced(function* (server: string) {
  const sql = yield* PgClient.PgClient
  const [row] = yield* sql<{ readonly rows: number; readonly values: number; readonly sum: number }>`
    select count(*)::int4 as rows, count(distinct cpu_seconds_total)::int4 as values,
      coalesce(sum(cpu_seconds_total), 0)::float8 as sum
    from admiral.process_snapshots where server_id = ${server}`
  return row!
})

// Another lane may cut this one's connection meanwhile.
const untilEmpty = Effect.flatMap(SnapshotStream, (stream) => Effect.retry(stream.stats, Schedule.spaced(20))).pipe(
  Effect.repeat({ until: ({ length, pending }) => length === 0 && pending === 0, schedule: Schedule.spaced(50) }),
  Effect.timeout("100 seconds")
)

/**
 * A stream whose consumer dies at its first acknowledgement: before it is heard, after it was heard, or together with its
 * connections. From then on it hears and says nothing.
 */
const dying = (
  stream: SnapshotStream["Service"],
  how: "before" | "after" | "cut",
  valkey: TestValkey,
  died: Deferred.Deferred<void>
): SnapshotStream["Service"] => ({
  ...stream,
  subscribe: (name) =>
    Effect.map(stream.subscribe(name), (subscription) => {
      let dead = false
      const silent = new StreamUnavailable({ operation: "any", cause: "dead" })
      return {
        read: (max) => (dead ? Effect.never : subscription.read(max)),
        release: () => (dead ? Effect.fail(silent) : Effect.void),
        postpone: () => (dead ? Effect.fail(silent) : Effect.void),
        acknowledge: (ids) =>
          Effect.gen(function* () {
            if (!dead) {
              dead = true
              // Another lane may have cut this one's connection just now: then it was not heard after all.
              if (how === "after") yield* Effect.ignore(subscription.acknowledge(ids))
              if (how === "cut") yield* valkey.cutConnections
              yield* Deferred.succeed(died, undefined)
            }
            return yield* Effect.never
          })
      }
    })
})

describeValkey("a crash at the worst moment", () => {
  it.live(
    `between commit and acknowledgement, ${CRASHES} times: no row twice, none missing (seed ${SEED})`,
    () =>
      Effect.gen(function* () {
        const valkey = yield* makeTestValkey()
        const servers = yield* Servers
        const lanes = 12
        const crashesOf = (lane: number) =>
          Math.floor((CRASHES * (lane + 1)) / lanes) - Math.floor((CRASHES * lane) / lanes)
        let redelivered = 0
        const lane = Effect.fnUntraced(function* (lane: number) {
          const chance = makeChance(SEED + lane)
          const { server } = yield* servers.register(`lane-${lane}`)
          yield* Effect.gen(function* () {
            const stream = yield* SnapshotStream
            let published = 0
            for (let crash = 0; crash < crashesOf(lane); crash++) {
              const count = chance.between(1, 5)
              const now = Date.now()
              yield* Effect.retry(
                stream.publish(
                  contents(
                    Array.from({ length: count }, (_, n) => row(server.serverId, published + n + 1, now)),
                    chance.oneOf(EntryKind)
                  )
                ),
                Schedule.spaced(20)
              )
              published += count
              const died = yield* Deferred.make<void>()
              // Cutting hits all lanes, so it is rare.
              const how = chance.next() < 0.02 ? "cut" : chance.oneOf(["before", "after"] as const)
              // The dead do not drain.
              const consumer = `c-${lane}-${chance.between(0, 3)}`
              const digest = yield* Digest.make({ consumer, drainWithin: "1 millis" }).pipe(
                Effect.provideService(SnapshotStream, dying(stream, how, valkey, died))
              )
              const fiber = yield* Effect.forkChild(Effect.retry(digest.run, Schedule.spaced(20)))
              yield* Deferred.await(died)
              yield* Fiber.interrupt(fiber)
              redelivered += digest.view().books.received - count
            }
            const last = yield* Digest.make({ consumer: "last" })
            const fiber = yield* Effect.forkChild(Effect.retry(last.run, Schedule.spaced(20)))
            yield* untilEmpty
            yield* Fiber.interrupt(fiber)
            assert.deepStrictEqual(yield* stored(server.serverId), {
              rows: published,
              values: published,
              sum: (published * (published + 1)) / 2
            })
          }).pipe(
            Effect.provide(
              Valkey.layer({ url: valkey.url, prefix: `lane-${lane}`, claimAfter: "200 millis", block: 100 }),
              {
                local: true
              }
            )
          )
        })
        yield* Effect.forEach(
          Array.from({ length: lanes }, (_, n) => n),
          lane,
          { concurrency: lanes, discard: true }
        )
        // Otherwise nothing was tested.
        assert.isAbove(redelivered, CRASHES / 4)
        const sql = yield* PgClient.PgClient
        assert.deepStrictEqual(yield* sql`select * from admiral.dead_letters`, [])
      }).pipe(Effect.scoped, Effect.provide(ports), Effect.provideService(References.MinimumLogLevel, "Fatal")),
    180_000
  )

  it.live(
    `between publishing and the answer, ${CRASHES} times: sent again, each row is there once`,
    () =>
      Effect.gen(function* () {
        const valkey = yield* makeTestValkey()
        yield* Effect.gen(function* () {
          const server = yield* TestServer.TestServer
          const { server_id, token } = yield* server.register("unheard")
          const books = makeBooks((_, row) => Number(row.cpu_seconds_total))
          const door = yield* makeDoor({
            books,
            ingestPorts: [Number(new URL(server.url).port)],
            serverOf: (sent) => (sent === token ? server_id : undefined)
          })
          const began = Date.now() - CRASHES
          const send = (n: number) =>
            Effect.promise(() =>
              fetch(`${door.url}/metrics/prometheus`, {
                method: "POST",
                headers: { authorization: `Bearer ${token}`, "content-type": "application/json" },
                body: JSON.stringify({
                  [exporter]: [0, 1, 2].map((group) => ({
                    timestamp: new Date(began + n).toISOString(),
                    name: `group-${group}`,
                    num_procs: 1,
                    cpu_seconds_total: n * 3 + group + 1,
                    memory_bytes: 4096
                  }))
                })
              }).then(
                ({ status }) => status,
                () => "unheard" as const
              )
            )
          for (let n = 0; n < CRASHES; n++) {
            door.loseAnswers(1)
            assert.strictEqual(yield* send(n), "unheard")
            assert.strictEqual(yield* send(n), 202)
          }
          assert.deepStrictEqual(door.statuses(), { unheard: CRASHES, "202": CRASHES })
          const all = { rows: CRASHES * 3, values: CRASHES * 3, sum: (CRASHES * 3 * (CRASHES * 3 + 1)) / 2 }
          yield* stored(server_id).pipe(
            Effect.repeat({ until: ({ rows }) => rows === all.rows, schedule: Schedule.spaced(50) }),
            Effect.timeout("100 seconds"),
            Effect.ignore
          )
          assert.deepStrictEqual(yield* stored(server_id), all)
        }).pipe(Effect.provide(TestServer.layerWith({ valkeyUrl: valkey.url })))
      }).pipe(Effect.scoped, Effect.provideService(References.MinimumLogLevel, "Error")),
    180_000
  )
})

describeValkey("one poison message among 10 000", () => {
  const COUNT = 10_000
  const poisons: ReadonlyArray<{
    readonly what: string
    /** Puts it into the stream, or gives the row that is to be published with a healthy one. */
    readonly make: (
      valkey: TestValkey,
      server: string,
      now: number
    ) => Effect.Effect<Snapshot | undefined, unknown, PgClient.PgClient>
    readonly reason: RegExp
  }> = [
    {
      what: "that somebody else put into the stream",
      make: (valkey) =>
        Effect.promise(async () => {
          await valkey.client.call("XADD", keyOf(0), "*", "who", "knows", "\u0000{", "[1e999")
          return undefined
        }),
      reason: /unknown exporter ""/
    },
    {
      what: "that is valid and of a server that is no more",
      make: (_valkey, _server, now) => Effect.succeed(row("gone", 1, now)),
      reason: /there is no such server/
    },
    {
      what: "that PostgreSQL refuses for a reason of its own",
      make: (_, server, now) =>
        Effect.gen(function* () {
          const sql = yield* PgClient.PgClient
          yield* sql`alter table admiral.process_snapshots_scrapes add constraint superstition check (not 13.5 = any(cpu_seconds_total))`
          return row(server, 13.5, now)
        }),
      reason: /superstition/
    }
  ]
  const cases = poisons.flatMap((poison) => EntryKind.map((kind) => ({ ...poison, kind })))
  for (const { kind, make, reason, what } of cases) {
    it.live(`${what}, an entry a ${kind}: 9 999 rows and one dead letter`, () =>
      Effect.gen(function* () {
        const valkey = yield* makeTestValkey()
        const { server } = yield* (yield* Servers).register("healthy")
        yield* Effect.gen(function* () {
          const stream = yield* SnapshotStream
          const now = Date.now()
          const half = (from: number) =>
            Array.from({ length: (COUNT - 2) / 2 }, (_, n) => row(server.serverId, from + n + 1, now))
          yield* stream.publish(contents(half(0), kind))
          const poison = yield* make(valkey, server.serverId, now)
          const last = row(server.serverId, 3 * COUNT, now)
          yield* stream.publish(contents(poison === undefined ? [last] : [poison, last], kind))
          yield* stream.publish(contents(half(COUNT), kind))
          const digest = yield* Digest.make({ consumer: "only" })
          const fiber = yield* Effect.forkChild(digest.run)
          yield* untilEmpty
          yield* Fiber.interrupt(fiber)
          const { rows, values } = yield* stored(server.serverId)
          assert.deepStrictEqual({ rows, values }, { rows: COUNT - 1, values: COUNT - 1 })
          const sql = yield* PgClient.PgClient
          const letters = yield* sql<{ readonly reason: string }>`select reason from admiral.dead_letters`
          assert.strictEqual(letters.length, 1)
          assert.match(letters[0]!.reason, reason)
          const { accepted, inFlight, kept, received, rejected } = digest.view().books
          assert.deepStrictEqual(
            { received, accepted, rejected, kept, inFlight },
            { received: COUNT, accepted: COUNT - 1, rejected: 1, kept: 0, inFlight: 0 }
          )
        }).pipe(Effect.provide(Valkey.layer({ url: valkey.url })))
      }).pipe(
        Effect.scoped,
        Effect.provide(ports, { local: true }),
        Effect.provideService(References.MinimumLogLevel, "Error")
      )
    )
  }
})
