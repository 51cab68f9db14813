/**
 * Which database and which stream: the real ones that the environment names, else the embedded defaults.
 *
 * Ports and the code above them are the same in both cases. Starting waits for what is not up yet, and says so.
 */
import { join } from "node:path"
import { PgClient } from "@effect/sql-pg"
import { Context, Effect, Layer, Option, type Redacted, Result, Schema } from "effect"
import { Registry } from "./plugins/Registry.ts"
import { Settings } from "./Settings.ts"
import { waitingFor } from "./Start.ts"
import * as Database from "./sinks/postgres/Database.ts"
import { awaitFit, DatabaseUnfit } from "./sinks/postgres/Examination.ts"
import { EmbeddedPostgres, runningRoles } from "./sinks/postgres/embedded/EmbeddedPostgres.ts"
import { alteringClient, OwnerClient } from "./sinks/postgres/OwnerClient.ts"
import { rebuilds } from "./sinks/storage/DeclaredExporters.ts"
import { grantTo } from "./sinks/storage/Grants.ts"
import * as Migrations from "./sinks/storage/Migrations.ts"
import { makeLeaseHolder } from "./sinks/stream/leases/LeaseHolder.ts"
import { openStreams, ownedStreams } from "./sinks/stream/leases/LeaseTable.ts"
import { StreamOwners } from "./sinks/stream/leases/StreamOwners.ts"
import { sealed } from "./sinks/stream/SealedStream.ts"
import { SnapshotStream } from "./sinks/stream/SnapshotStream.ts"
import { layerMemory } from "./sinks/stream/SnapshotStreamMemory.ts"
import { keysOfDatabase, keysOfFile, StreamKeys } from "./sinks/stream/StreamKeys.ts"
import * as Valkey from "./sinks/stream/valkey/SnapshotStreamValkey.ts"
import { awaitValkey } from "./sinks/stream/valkey/ValkeyStart.ts"

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

/** Several streams are asked for, and the one in process is one. Not retryable. */
export class StreamsNeedValkey extends Schema.TaggedError<StreamsNeedValkey>()("StreamsNeedValkey", {
  streams: Schema.Number
}) {
  readonly retryable = false
  override get message(): string {
    return `NODEPULSE_STREAMS=${this.streams} needs a VALKEY_URL: the stream in process is one. Set VALKEY_URL, or leave NODEPULSE_STREAMS out`
  }
}

/** Where the database is, and what has to be watched over for it to be there. */
export class DatabaseAddress extends Context.Service<
  DatabaseAddress,
  {
    readonly url: Redacted.Redacted<string>
    /** The same database as the owner of the schema; none where the one role does both. */
    readonly owner: Option.Option<Redacted.Redacted<string>>
    /** Fails when the embedded PostgreSQL ends, and starts it again when it is run again; none for an external one. */
    readonly supervise: Option.Option<Effect.Effect<never, unknown>>
  }
>()("nodepulse/DatabaseAddress") {
  /** DATABASE_URL, else the embedded PostgreSQL, which runs as long as the layer. */
  static readonly layer = Layer.unwrap(
    Effect.map(Settings, ({ databaseOwnerUrl = Option.none(), databaseUrl, dataDir }) =>
      Option.isSome(databaseUrl)
        ? Layer.succeed(DatabaseAddress, { url: databaseUrl.value, owner: databaseOwnerUrl, supervise: Option.none() })
        : Layer.effect(
            DatabaseAddress,
            Effect.map(EmbeddedPostgres, ({ roles, supervise }) => ({
              url: roles.runtime,
              owner: Option.some(roles.owner),
              supervise: Option.some(supervise)
            }))
          ).pipe(Layer.provide(EmbeddedPostgres.layer({ dataDir })))
    )
  )

  /** As `layer`, but an embedded PostgreSQL that a running NodePulse has started is used as it is. */
  static readonly layerShared = Layer.unwrap(
    Effect.gen(function* () {
      const { databaseUrl, dataDir } = yield* Settings
      const running = Option.isSome(databaseUrl) ? Option.none() : yield* runningRoles(dataDir)
      return Option.isSome(running)
        ? Layer.succeed(DatabaseAddress, {
            url: running.value.runtime,
            owner: Option.some(running.value.owner),
            supervise: Option.none()
          })
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

/** Enough for a sweep of partitions, a day that is packed, and a partition that is needed at once. */
const OWNER_CONNECTIONS = 6

/** The owner's connections, where the owner is another role. Opened when they are needed. */
const ownerClient = Layer.effect(
  OwnerClient,
  Effect.gen(function* () {
    const { owner } = yield* DatabaseAddress
    if (Option.isNone(owner)) return undefined
    const options = { url: owner.value, maxConnections: OWNER_CONNECTIONS, applicationName: "nodepulse owner" }
    return Context.get(yield* Layer.build(Database.layer(options)), PgClient.PgClient)
  })
)

/** A connection to the database, once it answers. Fails where somebody has to mend something first. */
export const client = Layer.effectDiscard(
  waitingFor("database")(
    Effect.flatMap(DatabaseAddress, ({ owner, url }) =>
      Option.isNone(owner)
        ? awaitFit(url, "alone")
        : Effect.andThen(awaitFit(owner.value, "owner"), awaitFit(url, "runtime"))
    )
  )
).pipe(
  Layer.provideMerge(ownerClient),
  Layer.provideMerge(Layer.unwrap(Effect.map(DatabaseAddress, ({ url }) => Database.layer({ url }))))
)

/** Applies the migrations, as the owner, and lets the role at run time use what they made. */
export const migrate = Effect.gen(function* () {
  const owner = yield* OwnerClient
  const run = Migrations.migrate(yield* migrations)
  if (owner === undefined) return yield* run
  const migrated = yield* Effect.provideService(run, PgClient.PgClient, owner)
  const sql = yield* PgClient.PgClient
  const [row] = yield* Database.answering("ask who we are")(
    sql<{ readonly role: string }>`select current_user::text as role`
  )
  const grants = grantTo(row!.role, { anew: migrated.applied.length + migrated.distributed.length > 0 })
  yield* Effect.provideService(grants, PgClient.PgClient, owner)
  return migrated
})

/** Fails where nobody here may make and drop partitions: who stores rows has to. */
export const requireOwner = Effect.gen(function* () {
  const sql = yield* alteringClient
  const [row] = yield* sql<{ readonly role: string; readonly may: boolean }>`
    select current_user::text as role, has_schema_privilege('admiral', 'CREATE') as may`.pipe(
    Database.answering("look at rights"),
    Database.whileAway
  )
  if (row!.may) return
  return yield* new DatabaseUnfit({
    reason: `the role digest makes and drops partitions, and ${row!.role} may not`,
    remedy: "set DATABASE_OWNER_URL to the same database as the owner of the schema admiral"
  })
})

/**
 * The same, with every migration applied, and what is stored meaning what is declared (`Rollups` looks for what has to be
 * rebuilt). A database that goes away meanwhile is waited for.
 */
export const migratedClient = Layer.effectDiscard(
  waitingFor("migrations")(
    Database.whileAway(
      Effect.gen(function* () {
        yield* migrate
        yield* rebuilds((yield* Registry).exporters)
      })
    )
  )
).pipe(Layer.provideMerge(client))

/** VALKEY_URL, once it answers, else in process. */
export const stream = Layer.unwrap(
  Effect.gen(function* () {
    const { stream: { bytesMax, entriesMax, entry = "snapshot", replicas, streams = 1 } = {}, valkeyUrl } =
      yield* Settings
    if (Option.isNone(valkeyUrl)) {
      if (streams > 1) return yield* new StreamsNeedValkey({ streams })
      return layerMemory({ entry, ...(entriesMax === undefined ? {} : { bound: entriesMax }) })
    }
    const url = valkeyUrl.value
    const wanted = replicas === undefined ? {} : { replicas }
    // Before the layer is built: its connections would otherwise begin with a pause after having found nobody.
    yield* waitingFor("stream")(awaitValkey({ url, within: "30 days", ...wanted }))
    const inValkey = Valkey.layer({
      url,
      entry,
      streams,
      ...wanted,
      ...(entriesMax === undefined ? {} : { maxLength: entriesMax }),
      ...(bytesMax === undefined ? {} : { maxBytes: bytesMax })
    })
    return Layer.effect(
      SnapshotStream,
      Effect.gen(function* () {
        return sealed(yield* SnapshotStream, yield* StreamKeys)
      })
    ).pipe(Layer.provide(inValkey))
  })
).pipe(Layer.provideMerge(StreamKeys.layer))

/**
 * What a digest has of the streams in Valkey; none where the stream is in process. It has a connection of its own: behind writers
 * and questions that take all of the pool for longer than a lease, it would lose its streams for nothing.
 */
export const leaseHolder = Effect.fnUntraced(function* (name: string) {
  const { valkeyUrl } = yield* Settings
  if (Option.isNone(valkeyUrl)) return undefined
  const { url } = yield* DatabaseAddress
  const own = yield* Layer.build(Database.layer({ url, maxConnections: 1, applicationName: "nodepulse leases" }))
  return yield* Effect.provideContext(makeLeaseHolder({ name }), own)
})

/** Who reads which stream in Valkey. */
export const streamOwners = Layer.effect(
  StreamOwners,
  Effect.gen(function* () {
    const { valkeyUrl } = yield* Settings
    return Option.isNone(valkeyUrl) ? Effect.succeed(null) : ownedStreams(yield* PgClient.PgClient)
  })
)

const OPEN_EVERY = "1 minute"

/** Says, first now and then for ever, which streams are published to; none where the stream is in process. */
export const opening = Effect.gen(function* () {
  const { stream: { streams = 1 } = {}, valkeyUrl } = yield* Settings
  if (Option.isNone(valkeyUrl)) return undefined
  const open = openStreams(yield* PgClient.PgClient, streams)
  yield* Database.whileAway(open)
  return Effect.forever(Effect.andThen(Effect.sleep(OPEN_EVERY), Database.whileAway(open)))
})

/** Says where the stream's keys come from, and reads them for the first time: a file that cannot be used ends the start. */
export const streamKeys = Effect.gen(function* () {
  const { streamKeyFile, valkeyUrl } = yield* Settings
  if (Option.isNone(valkeyUrl)) return
  const keys = yield* StreamKeys
  if (streamKeyFile === undefined) {
    keys.readFrom(keysOfDatabase(yield* PgClient.PgClient))
    yield* Database.whileAway(keys.fresh)
    return
  }
  yield* keysOfFile(streamKeyFile)
  keys.readFrom(keysOfFile(streamKeyFile))
})
