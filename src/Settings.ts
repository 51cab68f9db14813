/**
 * What the environment says, with its defaults. Secrets are redacted from the moment they are read.
 *
 * | variable | default | |
 * |---|---|---|
 * | `NODEPULSE_HOST` | `127.0.0.1` | address to listen on |
 * | `NODEPULSE_PORT` | `8080` | port to listen on; 0 takes a free one |
 * | `NODEPULSE_TLS_CERT_FILE`, `NODEPULSE_TLS_KEY_FILE` | plain HTTP | certificate and key, PEM; read anew when they change |
 * | `NODEPULSE_TLS_CLIENT_CA_FILE` | none | the authority whose certificates agents have to show |
 * | `NODEPULSE_BASE_PATH` | none | path below which a reverse proxy serves NodePulse, such as `/pulse` |
 * | `NODEPULSE_PUBLIC_URL` | none | address that people reach it by, such as `https://pulse.example.com`: pages answer to no other name |
 * | `NODEPULSE_DATA_DIR` | `./.nodepulse` | embedded database, generated admin token, the local agent's spool |
 * | `NODEPULSE_ADMIN_TOKEN` | generated into the data folder; none of a role apart | administrator's token |
 * | `DATABASE_URL` | embedded PostgreSQL | any PostgreSQL >= 15, as libpq writes it |
 * | `DATABASE_OWNER_URL` | the same role does both | the same database, as the role that owns the schema and may alter it |
 * | `DATABASE_READ_URL` | none | a standby of the same database, which the role api reads questions about rows from |
 * | `NODEPULSE_REPLICA_LAG_MAX` | `60 seconds` | how far that may be behind; beyond, the database itself is asked; 1 second to 1 hour |
 * | `VALKEY_URL` | in process | any Valkey >= 7.2 or Redis >= 7, or a cluster of them |
 * | `NODEPULSE_STREAM_ENTRY` | `snapshot` | what an entry of the stream holds: a `snapshot`, or a `scrape` |
 * | `NODEPULSE_STREAM_KEY_FILE` | keys in the database | what entries in Valkey are sealed with: a key a line, the first seals |
 * | `NODEPULSE_STREAMS` | 1 | streams in Valkey, by server, that digests share; at most 256 |
 * | `NODEPULSE_STREAM_ENTRIES_MAX` | 2 000 000, in process 50 000 | snapshots that may wait for the database; beyond: 429 |
 * | `NODEPULSE_STREAM_BYTES_MAX` | 512 MiB | of Valkey's memory that they may use; beyond: 429 |
 * | `NODEPULSE_STREAM_REPLICAS` | 1 in a cluster, else 0 | of Valkey's replicas that have what was answered with 2xx |
 * | `NODEPULSE_RULES_DIR` | `rules.d` in the data folder | files of rules for alerts (`docs/rules.md`) |
 * | `NODEPULSE_NOTIFY` | `notify.yml` in the data folder | who is told of alerts (`docs/notify.md`) |
 * | `NODEPULSE_DEFAULT_RULES` | `on` | `off`: without the rules that are shipped |
 * | `NODEPULSE_ALERTMANAGER_URL` | none | Alertmanagers that alerts are sent to, separated by commas |
 * | `NODEPULSE_PACK_AFTER` | `25 hours` | how long a day is over when its rows are packed; at least an hour, `Infinity` for never |
 *
 * `NODEPULSE_TRUSTED_PROXIES` is in `src/http/server/ClientAddress.ts`, the bounds on clients are in `docs/limits.md`.
 */
import { randomBytes, randomUUID } from "node:crypto"
import { link, mkdir, rm, writeFile } from "node:fs/promises"
import { join, resolve } from "node:path"
import { Config, Context, Duration, Effect, Layer, Option, Redacted, Result, Schema } from "effect"
import { BasePathText, basePathOf } from "./http/server/Address.ts"
import { PublicUrlText, publicUrlOf } from "./http/server/Origin.ts"
import type { TlsFiles } from "./http/server/Tls.ts"
import { readSecretFile } from "./SecretFile.ts"
import { PACK_AFTER_LEAST } from "./sinks/storage/Packing.ts"
import { EntryKind } from "./sinks/stream/StreamEntry.ts"
import { STREAMS_MAX } from "./sinks/stream/valkey/StreamNumber.ts"

export interface SettingsShape {
  readonly host: string
  readonly port: number
  /** The path below which NodePulse is reached, such as `/pulse`; the root where it is absent. */
  readonly basePath?: string
  /** The address that people reach NodePulse by, such as `https://pulse.example.com`; absent where it is not told. */
  readonly publicUrl?: string
  /** Files of certificate and key; absent: plain HTTP. */
  readonly tls?: TlsFiles | undefined
  /** Absolute. */
  readonly dataDir: string
  readonly adminToken: Option.Option<Redacted.Redacted<string>>
  readonly databaseUrl: Option.Option<Redacted.Redacted<string>>
  /** The same database, as the role that may alter the schema. Only for who migrates, and for the role digest. */
  readonly databaseOwnerUrl?: Option.Option<Redacted.Redacted<string>>
  /** A standby of the database. Only for the role api. */
  readonly databaseReadUrl?: Option.Option<Redacted.Redacted<string>>
  /** How far it may be behind; its own default where it is absent. */
  readonly replicaLagMax?: Duration.Duration
  readonly valkeyUrl: Option.Option<Redacted.Redacted<string>>
  /** The file with the keys that entries in Valkey are sealed with; absent: the database keeps them. */
  readonly streamKeyFile?: string | undefined
  /** Bounds of the stream, and what its entries hold; the stream's own defaults where they are absent. */
  readonly stream?: {
    readonly entry?: EntryKind
    readonly streams?: number
    readonly entriesMax?: number
    readonly bytesMax?: number
    readonly replicas?: number
  }
  /** Files of rules; `rules.d` in the data folder where it is absent. */
  readonly rulesDir?: string | undefined
  /** Who is told of alerts; `notify.yml` in the data folder, which need not be there, where it is absent. */
  readonly notifyFile?: string | undefined
  /** Whether the rules that are shipped are asked; they are where it is absent. */
  readonly defaultRules?: boolean
  /** Addresses of Alertmanagers, without a slash at the end. */
  readonly alertmanagers?: ReadonlyArray<string>
  /** How long a day is over when it is packed; packing's own default where it is absent. */
  readonly packAfter?: Duration.Duration
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
  entry: Config.withDefault(Config.schema(Schema.Literals(EntryKind), "NODEPULSE_STREAM_ENTRY"), "snapshot"),
  streams: Config.withDefault(
    Config.schema(
      Schema.NumberFromString.check(Schema.isInt(), Schema.isBetween({ minimum: 1, maximum: STREAMS_MAX })),
      "NODEPULSE_STREAMS"
    ),
    1
  ),
  entriesMax: bound("NODEPULSE_STREAM_ENTRIES_MAX", 1_000),
  bytesMax: bound("NODEPULSE_STREAM_BYTES_MAX", 1024 * 1024),
  replicas: Config.option(
    Config.schema(
      Schema.NumberFromString.check(Schema.isInt(), Schema.isBetween({ minimum: 0, maximum: 9 })),
      "NODEPULSE_STREAM_REPLICAS"
    )
  ).pipe(Config.map(Option.getOrUndefined))
}).pipe(
  Config.map(({ bytesMax, entriesMax, entry, replicas, streams }) => ({
    entry,
    streams,
    ...(entriesMax === undefined ? {} : { entriesMax }),
    ...(bytesMax === undefined ? {} : { bytesMax }),
    ...(replicas === undefined ? {} : { replicas })
  }))
)

const packAfter = Config.option(
  Config.schema(
    Schema.DurationFromString.check(
      Schema.makeFilter((after) => Duration.isGreaterThanOrEqualTo(after, PACK_AFTER_LEAST), {
        expected: `a duration of at least ${Duration.format(PACK_AFTER_LEAST)}, such as "25 hours"`
      })
    ),
    "NODEPULSE_PACK_AFTER"
  )
).pipe(Config.map(Option.match({ onNone: () => ({}), onSome: (packAfter) => ({ packAfter }) })))

const replicaLagMax = Config.option(
  Config.schema(
    Schema.DurationFromString.check(
      Schema.makeFilter((lag) => Duration.between(lag, { minimum: Duration.seconds(1), maximum: Duration.hours(1) }), {
        expected: 'a duration from "1 second" to "1 hour"'
      })
    ),
    "NODEPULSE_REPLICA_LAG_MAX"
  )
).pipe(Config.map(Option.match({ onNone: () => ({}), onSome: (replicaLagMax) => ({ replicaLagMax }) })))

const file = (name: string) => Config.map(Config.option(Config.NonEmptyString(name)), Option.getOrUndefined)

const tls = Config.all({
  certFile: file("NODEPULSE_TLS_CERT_FILE"),
  keyFile: file("NODEPULSE_TLS_KEY_FILE"),
  clientCaFile: file("NODEPULSE_TLS_CLIENT_CA_FILE")
})

const urlsIn = (text: string): ReadonlyArray<string> =>
  text
    .split(",")
    .map((url) => url.trim().replace(/\/$/, ""))
    .filter((url) => url !== "")

const UrlsText = Schema.String.check(
  Schema.makeFilter(
    (text: string) => urlsIn(text).every((url) => URL.canParse(url) && /^https?:$/.test(new URL(url).protocol)),
    { expected: 'addresses such as "http://127.0.0.1:9093", separated by commas' }
  )
)

const settings = Config.all({
  tls,
  stream,
  packing: packAfter,
  replica: replicaLagMax,
  host: Config.withDefault(Config.NonEmptyString("NODEPULSE_HOST"), "127.0.0.1"),
  port: Config.withDefault(
    Config.schema(
      Schema.NumberFromString.check(Schema.isBetween({ minimum: 0, maximum: 65_535 }), Schema.isInt()),
      "NODEPULSE_PORT"
    ),
    8080
  ),
  basePath: Config.map(
    Config.withDefault(Config.schema(BasePathText, "NODEPULSE_BASE_PATH"), ""),
    (text) => basePathOf(text) ?? ""
  ),
  publicUrl: Config.map(
    Config.withDefault(Config.schema(PublicUrlText, "NODEPULSE_PUBLIC_URL"), ""),
    (text) => publicUrlOf(text) ?? ""
  ),
  dataDir: Config.map(Config.withDefault(Config.NonEmptyString("NODEPULSE_DATA_DIR"), ".nodepulse"), (path) =>
    resolve(path)
  ),
  adminToken: secret("NODEPULSE_ADMIN_TOKEN"),
  databaseUrl: secret("DATABASE_URL"),
  databaseOwnerUrl: secret("DATABASE_OWNER_URL"),
  databaseReadUrl: secret("DATABASE_READ_URL"),
  valkeyUrl: secret("VALKEY_URL"),
  rulesDir: Config.map(Config.option(Config.NonEmptyString("NODEPULSE_RULES_DIR")), Option.getOrUndefined),
  notifyFile: file("NODEPULSE_NOTIFY"),
  defaultRules: Config.withDefault(Config.schema(Schema.Literals(["on", "off"]), "NODEPULSE_DEFAULT_RULES"), "on").pipe(
    Config.map((text) => text === "on")
  ),
  alertmanagers: Config.withDefault(Config.schema(UrlsText, "NODEPULSE_ALERTMANAGER_URL"), "").pipe(Config.map(urlsIn)),
  streamKeyFile: Config.map(Config.option(Config.NonEmptyString("NODEPULSE_STREAM_KEY_FILE")), Option.getOrUndefined)
})

export class Settings extends Context.Service<Settings, SettingsShape>()("nodepulse/Settings") {
  static readonly layer: Layer.Layer<Settings, Config.ConfigError> = Layer.effect(
    Settings,
    Effect.gen(function* () {
      const { packing, replica, ...others } = yield* settings
      return { ...others, ...packing, ...replica }
    })
  )
}

/**
 * The secret in `<data folder>/<name>`, made by `make` where there is none yet; readable by the owner only. Of several
 * processes that start together one makes it, and all have the same. One that somebody else may have put there is refused
 * (`SecretFile.ts`).
 */
export const keptSecret = <E, R>(
  dataDir: string,
  name: string,
  make: Effect.Effect<string, E, R>
): Effect.Effect<Redacted.Redacted<string>, DataFolderUnusable | E, R> =>
  Effect.gen(function* () {
    const path = join(dataDir, name)
    const read = Effect.suspend(() => {
      const found = readSecretFile(path, { own: true })
      if (Result.isSuccess(found)) return Effect.succeed(found.success.trim())
      const { code, reason } = found.failure
      return code === "ENOENT" ? Effect.succeed("") : Effect.fail(new DataFolderUnusable({ path, reason }))
    })
    if ((yield* read) === "") {
      const made = yield* make
      yield* attempt(path, async () => {
        // Others may pass through: the user that runs the embedded PostgreSQL has its own folder in it.
        await mkdir(dataDir, { recursive: true, mode: 0o711 })
        // Whole or not at all: another process that starts at the same time may read it at any moment.
        const whole = `${path}.${randomUUID()}`
        try {
          await writeFile(whole, `${made}\n`, { flag: "wx", mode: 0o600 })
          await link(whole, path).catch(ignoring("EEXIST", undefined))
        } finally {
          await rm(whole, { force: true })
        }
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
