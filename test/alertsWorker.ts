// A process for alerts-killed.test.ts to kill and to pause. It prints "up" when it is loaded, waits for a line on its standard input, and
// from then on asks the rules of the database of DATABASE_URL without pause, as of the moment that the test has set, and tells the hook at
// HOOK_URL.
// What it lacks a database for, it tries again; anything else ends it with an error.
import { once } from "node:events"
import { Effect, Layer, Redacted, References } from "effect"
import { Alerts } from "../src/alerts/Alerts.ts"
import * as AlertsPostgres from "../src/alerts/AlertsPostgres.ts"
import { Notifications } from "../src/alerts/delivery/Notifications.ts"
import * as Database from "../src/sinks/postgres/Database.ts"
import { bookOf, notifierOf, WORKER } from "./AlertsKilled.ts"
import { readClock, registry } from "./RollupsKilled.ts"
import { makeStandingClock } from "./StandingClock.ts"

const { set, stood } = makeStandingClock()
const database = Database.layer({
  url: Redacted.make(process.env.DATABASE_URL!),
  applicationName: WORKER,
  maxConnections: 3
})

const forever = <A, E, R>(self: Effect.Effect<A, E, R>) =>
  stood(self).pipe(
    Effect.catchTag("DatabaseUnavailable" as never, () => Effect.sleep("20 millis")),
    Effect.andThen(Effect.sleep("5 millis")),
    Effect.forever
  )

const work = Effect.gen(function* () {
  const { pass } = yield* Alerts
  const { plan, send } = yield* Notifications
  const now = readClock.pipe(Database.answering("clock"), Effect.map(set))
  return yield* Effect.all([forever(Effect.andThen(now, pass)), forever(plan), forever(send), forever(send)], {
    concurrency: "unbounded"
  })
})

process.stdin.on("end", () => process.exit(0))
process.stdout.write("up\n")
await once(process.stdin, "data")
await Effect.runPromise(
  work.pipe(
    Effect.provide(
      Layer.merge(AlertsPostgres.layer.pipe(Layer.provide(bookOf)), notifierOf(process.env.HOOK_URL!)).pipe(
        Layer.provideMerge(registry),
        Layer.provideMerge(database)
      )
    ),
    Effect.provideService(References.MinimumLogLevel, "Error")
  )
)
