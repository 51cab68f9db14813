/**
 * What the environment says, with its defaults. Secrets are redacted from the moment they are read.
 *
 * | variable | default | |
 * |---|---|---|
 * | `NODEPULSE_HOST` | `127.0.0.1` | address to listen on |
 * | `NODEPULSE_PORT` | `8080` | port to listen on; 0 takes a free one |
 * | `NODEPULSE_DATA_DIR` | `./.nodepulse` | embedded database, generated admin token, the local agent's spool |
 * | `NODEPULSE_ADMIN_TOKEN` | generated into the data folder | administrator's token |
 * | `DATABASE_URL` | embedded PostgreSQL | any PostgreSQL >= 15 |
 * | `VALKEY_URL` | in process | any Valkey >= 7.2 or Redis >= 7 |
 * | `NODEPULSE_STREAM_ENTRIES_MAX` | 2 000 000, in process 50 000 | snapshots that may wait for the database; beyond: 429 |
 * | `NODEPULSE_STREAM_BYTES_MAX` | 512 MiB | of Valkey's memory that they may use; beyond: 429 |
 *
 * The bounds of ingest are in `src/http/Limits.ts`.
 */
import { randomBytes } from "node:crypto"
import { mkdir, readFile, rm, writeFile } from "node:fs/promises"
import { join, resolve } from "node:path"
import { Config, Context, Effect, Layer, Option, Redacted, Schema } from "effect"

export interface SettingsShape {
  readonly host: string
  readonly port: number
  /** Absolute. */
  readonly dataDir: string
  readonly adminToken: Option.Option<Redacted.Redacted<string>>
  readonly databaseUrl: Option.Option<Redacted.Redacted<string>>
  readonly valkeyUrl: Option.Option<Redacted.Redacted<string>>
  /** Bounds of the stream; the stream's own defaults where they are absent. */
  readonly stream?: { readonly entriesMax?: number; readonly bytesMax?: number }
}

/** A folder or file that NodePulse keeps its own things in cannot be used. Not retryable: somebody has to look. */
export class DataFolderUnusable extends Schema.TaggedError<DataFolderUnusable>()("DataFolderUnusable", {
  path: Schema.String,
  reason: Schema.String
}) {
  readonly retryable = false
  override get message(): string {
    return `${this.path}: ${this.reason} (NODEPULSE_DATA_DIR names the data folder)`
  }
}

/** An empty variable counts as one that is not set: that is what compose files and unit files make of a missing value. */
const secret = (name: string) =>
  Config.option(Config.Redacted(name)).pipe(Config.map(Option.filter((value) => Redacted.value(value).trim() !== "")))

/** A whole number of at least `minimum`; absent where the variable is. */
export const bound = (name: string, minimum: number): Config.Config<number | undefined> =>
  Config.option(
    Config.schema(
      Schema.NumberFromString.check(Schema.isInt(), Schema.isBetween({ minimum, maximum: Number.MAX_SAFE_INTEGER })),
      name
    )
  ).pipe(Config.map(Option.getOrUndefined))

const stream = Config.all({
  entriesMax: bound("NODEPULSE_STREAM_ENTRIES_MAX", 1_000),
  bytesMax: bound("NODEPULSE_STREAM_BYTES_MAX", 1024 * 1024)
}).pipe(
  Config.map(({ bytesMax, entriesMax }) => ({
    ...(entriesMax === undefined ? {} : { entriesMax }),
    ...(bytesMax === undefined ? {} : { bytesMax })
  }))
)

const settings = Config.all({
  stream,
  host: Config.withDefault(Config.NonEmptyString("NODEPULSE_HOST"), "127.0.0.1"),
  port: Config.withDefault(
    Config.schema(
      Schema.NumberFromString.check(Schema.isBetween({ minimum: 0, maximum: 65_535 }), Schema.isInt()),
      "NODEPULSE_PORT"
    ),
    8080
  ),
  dataDir: Config.map(Config.withDefault(Config.NonEmptyString("NODEPULSE_DATA_DIR"), ".nodepulse"), (path) =>
    resolve(path)
  ),
  adminToken: secret("NODEPULSE_ADMIN_TOKEN"),
  databaseUrl: secret("DATABASE_URL"),
  valkeyUrl: secret("VALKEY_URL")
})

export class Settings extends Context.Service<Settings, SettingsShape>()("nodepulse/Settings") {
  static readonly layer: Layer.Layer<Settings, Config.ConfigError> = Layer.effect(
    Settings,
    Effect.gen(function* () {
      return yield* settings
    })
  )
}

/**
 * The secret in `<data folder>/<name>`, made by `make` where there is none yet; readable by the owner only. Of several
 * processes that start together one makes it, and all have the same.
 */
export const keptSecret = <E, R>(
  dataDir: string,
  name: string,
  make: Effect.Effect<string, E, R>
): Effect.Effect<Redacted.Redacted<string>, DataFolderUnusable | E, R> =>
  Effect.gen(function* () {
    const path = join(dataDir, name)
    const read = attempt(path, () => readFile(path, "utf8").then((text) => text.trim(), ignoring("ENOENT", "")))
    if ((yield* read) === "") {
      const made = yield* make
      yield* attempt(path, async () => {
        // Others may pass through: the user that runs the embedded PostgreSQL has its own folder in it.
        await mkdir(dataDir, { recursive: true, mode: 0o711 })
        await writeFile(path, `${made}\n`, { flag: "wx", mode: 0o600 }).catch(ignoring("EEXIST", undefined))
      })
    }
    const secret = yield* read
    if (secret === "")
      return yield* new DataFolderUnusable({ path, reason: "it is empty: delete it to have a new one made" })
    return Redacted.make(secret)
  })

/** Forgets a secret, so that `keptSecret` makes a new one. */
export const forgetSecret = (dataDir: string, name: string): Effect.Effect<void, DataFolderUnusable> =>
  attempt(join(dataDir, name), () => rm(join(dataDir, name), { force: true }))

/** 256 random bits. */
export const randomSecret: Effect.Effect<string> = Effect.sync(() => randomBytes(32).toString("base64url"))

const attempt = <A>(path: string, run: () => Promise<A>): Effect.Effect<A, DataFolderUnusable> =>
  Effect.tryPromise({
    try: run,
    catch: (error) => new DataFolderUnusable({ path, reason: (error as Error).message })
  })

const ignoring =
  <A>(code: string, instead: A) =>
  (error: NodeJS.ErrnoException): A => {
    if (error.code === code) return instead
    throw error
  }
