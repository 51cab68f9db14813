// A process for rollups-killed.test.ts to kill. It prints "up" when it is loaded, waits for a line on its standard input, and
// from then on rolls up and sweeps the database of DATABASE_URL without pause, as of the moment that the test has set.
// What it lacks a database for, it tries again; anything else ends it with an error.
import { once } from "node:events"
import { Effect, Layer, Redacted, References } from "effect"
import * as Database from "../src/sinks/postgres/Database.ts"
import { Rollups } from "../src/sinks/rollups/Rollups.ts"
import { Retention } from "../src/sinks/storage/Retention.ts"
import { readClock, registry, WORKER } from "./RollupsKilled.ts"
import { makeStandingClock } from "./StandingClock.ts"

const { set, stood } = makeStandingClock()
const database = Database.layer({
  url: Redacted.make(process.env.DATABASE_URL!),
  applicationName: WORKER,
  maxConnections: 4
})

const forever = Effect.gen(function* () {
  const rollups = yield* Rollups
  const retention = yield* Retention
  let round = 0
  const once = Effect.gen(function* () {
    const now = yield* readClock.pipe(Database.answering("clock"))
    set(now)
    yield* rollups.pass
    yield* retention.sweep(now)
    if (++round % 10 === 0) yield* rollups.sweep
  })
  return yield* stood(once).pipe(
    Effect.catchTag("DatabaseUnavailable", () => Effect.sleep("20 millis")),
    Effect.andThen(Effect.sleep("2 millis")),
    Effect.forever
  )
})

process.stdin.on("end", () => process.exit(0))
process.stdout.write("up\n")
await once(process.stdin, "data")
await Effect.runPromise(
  forever.pipe(
    Effect.provide(
      Layer.mergeAll(Rollups.layer, Retention.layer).pipe(Layer.provideMerge(registry), Layer.provideMerge(database))
    ),
    Effect.provideService(References.MinimumLogLevel, "Error")
  )
)
