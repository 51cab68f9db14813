// A process for EmbeddedPostgres.test.ts to kill: starts PostgreSQL on the folder it is given, prints a line of JSON when it
// is up, and stays until it is asked to end (SIGTERM) or killed.
import { Effect, Redacted, References } from "effect"
import { make } from "../src/sinks/postgres/embedded/EmbeddedPostgres.ts"

const [dataDir, unreachableBase] = process.argv.slice(2)
const terminated = Effect.callback<void>((resume) => {
  process.once("SIGTERM", () => resume(Effect.void))
})
await Effect.runPromise(
  make({ dataDir: dataDir!, unreachableBase: unreachableBase! }).pipe(
    Effect.tap(({ pgdata, url }) =>
      Effect.sync(() => process.stdout.write(`${JSON.stringify({ url: Redacted.value(url), pgdata })}\n`))
    ),
    Effect.andThen(terminated),
    Effect.scoped,
    Effect.provideService(References.MinimumLogLevel, "Error")
  )
)
