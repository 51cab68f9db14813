/**
 * Which database and which stream: the real ones that the environment names, else the embedded defaults.
 *
 * Ports and the code above them are the same in both cases. Starting waits for what is not up yet, and says so.
 */
import { join } from "node:path"
import { Context, Effect, Layer, Option, type Redacted, Result, Schema } from "effect"
import { Registry } from "./plugins/Registry.ts"
import { Settings } from "./Settings.ts"
import { waitingFor } from "./Start.ts"
import * as Database from "./sinks/Database.ts"
import { EmbeddedPostgres, runningUrl } from "./sinks/EmbeddedPostgres.ts"
import * as Migrations from "./sinks/Migrations.ts"
import { layerMemory } from "./sinks/SnapshotStreamMemory.ts"
import * as Valkey from "./sinks/SnapshotStreamValkey.ts"

/** The folder of this version's migrations. */
export const MigrationsFolder = Context.Reference<string>("nodepulse/MigrationsFolder", {
  defaultValue: () => join(import.meta.dirname, "..", "migrations")
})

/** An exporter of `plugins.config.ts` has no table yet. Not retryable: the migration has to be written. */
export class MigrationMissing extends Schema.TaggedError<MigrationMissing>()("MigrationMissing", {
  names: Schema.Array(Schema.String)
}) {
  readonly retryable = false
  override get message(): string {
    return `plugins.config.ts declares more than migrations/ holds: run \`npm run migrations\`, which writes ${this.names.join(", ")}`
  }
}

/** Where the database is, and what has to be watched over for it to be there. */
export class DatabaseAddress extends Context.Service<
  DatabaseAddress,
  {
    readonly url: Redacted.Redacted<string>
    /** Fails when the embedded PostgreSQL ends, and starts it again when it is run again; none for an external one. */
    readonly supervise: Option.Option<Effect.Effect<never, unknown>>
  }
>()("nodepulse/DatabaseAddress") {
  /** DATABASE_URL, else the embedded PostgreSQL, which runs as long as the layer. */
  static readonly layer = Layer.unwrap(
    Effect.map(Settings, ({ databaseUrl, dataDir }) =>
      Option.isSome(databaseUrl)
        ? Layer.succeed(DatabaseAddress, { url: databaseUrl.value, supervise: Option.none() })
        : Layer.effect(
            DatabaseAddress,
            Effect.map(EmbeddedPostgres, ({ supervise, url }) => ({ url, supervise: Option.some(supervise) }))
          ).pipe(Layer.provide(EmbeddedPostgres.layer({ dataDir })))
    )
  )

  /** As `layer`, but an embedded PostgreSQL that a running NodePulse has started is used as it is. */
  static readonly layerShared = Layer.unwrap(
    Effect.gen(function* () {
      const { databaseUrl, dataDir } = yield* Settings
      const running = Option.isSome(databaseUrl) ? Option.none() : yield* runningUrl(dataDir)
      return Option.isSome(running)
        ? Layer.succeed(DatabaseAddress, { url: running.value, supervise: Option.none() })
        : DatabaseAddress.layer
    })
  )
}

/** What `migrate` has to bring about, for the exporters of the registry. */
export const migrations = Effect.gen(function* () {
  const { exporters } = yield* Registry
  const existing = yield* Migrations.readFolder(yield* MigrationsFolder)
  const generated = Migrations.generate(exporters, existing)
  if (Result.isFailure(generated)) return yield* generated.failure
  const { added } = generated.success
  if (added.length > 0) return yield* new MigrationMissing({ names: added.map((migration) => migration.name) })
  return existing.migrations
})

/** A connection to the database, once it answers. */
export const client = Layer.effectDiscard(waitingFor("database")(Database.awaitDatabase)).pipe(
  Layer.provideMerge(Layer.unwrap(Effect.map(DatabaseAddress, ({ url }) => Database.layer({ url }))))
)

/** The same, with every migration applied. A database that goes away meanwhile is waited for. */
export const migratedClient = Layer.effectDiscard(
  waitingFor("migrations")(Database.whileAway(Effect.flatMap(migrations, Migrations.migrate)))
).pipe(Layer.provideMerge(client))

/** VALKEY_URL, once it answers, else in process. */
export const stream = Layer.unwrap(
  Effect.gen(function* () {
    const { stream: { bytesMax, entriesMax } = {}, valkeyUrl } = yield* Settings
    if (Option.isNone(valkeyUrl)) return layerMemory(entriesMax === undefined ? {} : { bound: entriesMax })
    const url = valkeyUrl.value
    // Before the layer is built: its connections would otherwise begin with a pause after having found nobody.
    yield* waitingFor("stream")(Valkey.awaitValkey({ url, within: "30 days" }))
    return Valkey.layer({
      url,
      ...(entriesMax === undefined ? {} : { maxLength: entriesMax }),
      ...(bytesMax === undefined ? {} : { maxBytes: bytesMax })
    })
  })
)
