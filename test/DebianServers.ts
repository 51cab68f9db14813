/**
 * Servers from Debian's packages, for tests that need more than one PostgreSQL of one kind: PostgreSQL as it is installed
 * (another version than the embedded one), with an encoding, TLS or rules of its own, a standby of it, and PgBouncer before
 * it. Each is started from its binaries as an unprivileged user, on a free port with a folder of its own, and ended and
 * removed with its scope. No service of the machine is touched.
 *
 * Where a program is missing, `describeWith` skips its suite and says in one line what was left out and how to get it.
 */
import { type ChildProcess, execFileSync, spawn } from "node:child_process"
import { chmodSync, chownSync, existsSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { PgClient } from "@effect/sql-pg"
import { describe } from "@effect/vitest"
import { Effect, Redacted, type Scope } from "effect"
import * as Database from "../src/sinks/postgres/Database.ts"
import { onPath } from "./OnPath.ts"
import { freePort } from "./Ports.ts"

const DEBIAN = "/usr/lib/postgresql"
/** The folder of the newest PostgreSQL that Debian has installed here. */
export const postgresBinaries: string | undefined = existsSync(DEBIAN)
  ? readdirSync(DEBIAN)
      .sort((a, b) => Number(b) - Number(a))
      .map((version) => join(DEBIAN, version, "bin"))
      .find((folder) => existsSync(join(folder, "postgres")))
  : undefined

const programs = { postgresql: postgresBinaries, pgbouncer: onPath("pgbouncer"), openssl: onPath("openssl") }

/** `describe`, where the packages are installed. */
export const describeWith = (packages: ReadonlyArray<keyof typeof programs>, name: string, tests: () => void): void => {
  const missing = packages.filter((one) => programs[one] === undefined)
  if (missing.length === 0) return void describe(name, tests)
  const list = missing.join(" ")
  process.stderr.write(`left out: "${name}", because there is no ${list} (Debian: apt-get install ${list})\n`)
  describe.skip(name, tests)
}

/** PostgreSQL and PgBouncer refuse to run as root: `nobody`, then. */
const identity = process.getuid?.() === 0 ? { uid: 65_534, gid: 65_534 } : {}

/** A folder that their user owns. */
export const folderFor = (name: string) =>
  Effect.acquireRelease(
    Effect.sync(() => {
      const folder = mkdtempSync(join(tmpdir(), `np-${name}-`))
      chmodSync(folder, 0o700)
      if (identity.uid !== undefined) chownSync(folder, identity.uid, identity.gid)
      return folder
    }),
    (folder) => Effect.sync(() => rmSync(folder, { recursive: true, force: true }))
  )

/** Runs a program of theirs as their user. */
export const run = (file: string, args: ReadonlyArray<string>, cwd = "/") =>
  execFileSync(file, args, {
    ...identity,
    cwd,
    env: { PATH: "/usr/bin:/bin", LC_ALL: "C" },
    stdio: ["ignore", "pipe", "pipe"]
  })

/** A process that lives as long as the scope; its last lines are the error where it does not come up. */
const daemon = (file: string, args: ReadonlyArray<string>, ready: Effect.Effect<boolean>) =>
  Effect.gen(function* () {
    let output = ""
    const child: ChildProcess = yield* Effect.acquireRelease(
      Effect.sync(() => {
        const started = spawn(file, args, {
          ...identity,
          cwd: "/",
          env: { PATH: "/usr/bin:/bin", LC_ALL: "C" },
          stdio: ["ignore", "pipe", "pipe"]
        })
        for (const stream of [started.stdout, started.stderr]) {
          stream.on("data", (chunk) => {
            output = (output + chunk).slice(-2_000)
          })
        }
        return started
      }),
      (started) =>
        Effect.callback<void>((resume) => {
          if (started.exitCode !== null || started.signalCode !== null) return resume(Effect.void)
          started.once("exit", () => resume(Effect.void))
          started.kill("SIGQUIT")
        })
    )
    yield* Effect.suspend(() =>
      child.exitCode === null ? ready : Effect.die(new Error(`${file} ended with ${child.exitCode}: ${output}`))
    ).pipe(
      Effect.tap((is) => (is ? Effect.void : Effect.sleep("50 millis"))),
      Effect.repeat({ until: (is) => is }),
      Effect.timeoutOrElse({
        duration: "60 seconds",
        orElse: () => Effect.die(new Error(`${file} did not come up: ${output}`))
      })
    )
    return child
  })

export interface DebianPostgres {
  readonly port: number
  /** Of its Unix socket. */
  readonly folder: string
  readonly pgdata: string
  /** As the superuser `postgres`; another database, user or parameters where they are named. */
  readonly url: (more?: {
    readonly database?: string
    readonly user?: string
    readonly parameters?: Readonly<Record<string, string>>
  }) => Redacted.Redacted<string>
  /** Runs a statement as the superuser. */
  readonly sql: (statement: string, database?: string) => Effect.Effect<ReadonlyArray<Record<string, unknown>>>
}

/** Of every user of these servers. */
export const PASSWORD = "secret-of-the-tests"

export interface PostgresOptions {
  readonly settings?: Readonly<Record<string, string>>
  /** Instead of a password for everybody, from everywhere. */
  readonly hba?: ReadonlyArray<string>
  /** Files that it needs, such as `server.key`: readable by its user only. */
  readonly files?: Readonly<Record<string, string>>
  /** Follows this one. */
  readonly standbyOf?: DebianPostgres
}

const SETTINGS = {
  listen_addresses: "127.0.0.1",
  fsync: "off",
  shared_buffers: "32MB",
  max_connections: "60",
  log_line_prefix: ""
}

/** Starts a PostgreSQL. */
export const makePostgres = (options: PostgresOptions = {}): Effect.Effect<DebianPostgres, never, Scope.Scope> =>
  Effect.gen(function* () {
    const folder = yield* folderFor("postgres")
    const port = yield* freePort
    const bin = (name: string) => join(postgresBinaries ?? "", name)
    const pgdata = join(folder, "data")
    yield* Effect.sync(() => {
      const primary = options.standbyOf
      if (primary !== undefined) {
        run(bin("pg_basebackup"), ["-D", pgdata, "-R", "-c", "fast", "-d", Redacted.value(primary.url())])
      } else {
        const secret = join(folder, "password")
        writeOwned(secret, PASSWORD)
        run(bin("initdb"), [
          "-D",
          pgdata,
          "-U",
          "postgres",
          "-E",
          "UTF8",
          "--locale=C",
          "-A",
          "scram-sha-256",
          `--pwfile=${secret}`,
          "-N"
        ])
      }
      if (options.hba !== undefined) writeOwned(join(pgdata, "pg_hba.conf"), `${options.hba.join("\n")}\n`)
      for (const [name, text] of Object.entries(options.files ?? {})) writeOwned(join(pgdata, name), text)
    })
    const settings = { ...SETTINGS, port: `${port}`, unix_socket_directories: folder, ...options.settings }
    yield* daemon(
      bin("postgres"),
      ["-D", pgdata, ...Object.entries(settings).flatMap(([name, value]) => ["-c", `${name}=${value}`])],
      Effect.sync(() => succeeds(bin("pg_isready"), ["-h", folder, "-p", `${port}`]))
    )
    const url: DebianPostgres["url"] = ({ database = "postgres", parameters = {}, user = "postgres" } = {}) =>
      Redacted.make(`postgres://${user}:${PASSWORD}@127.0.0.1:${port}/${database}?${new URLSearchParams(parameters)}`)
    const sql: DebianPostgres["sql"] = (statement, database) =>
      Effect.flatMap(PgClient.PgClient, (client) => client.unsafe<Record<string, unknown>>(statement).unprepared).pipe(
        Effect.provide(Database.layer({ url: url(database === undefined ? {} : { database }), maxConnections: 1 }), {
          local: true
        }),
        Effect.orDie
      )
    return { port, folder, pgdata, url, sql }
  })

const succeeds = (file: string, args: ReadonlyArray<string>): boolean => {
  try {
    run(file, args)
    return true
  } catch {
    return false
  }
}

export const writeOwned = (path: string, text: string): void => {
  writeFileSync(path, text, { mode: 0o600 })
  if (identity.uid !== undefined) chownSync(path, identity.uid, identity.gid)
}

export interface PgBouncer {
  readonly url: (database?: string, user?: string, password?: string) => Redacted.Redacted<string>
}

/** Starts a PgBouncer before a PostgreSQL. */
export const makePgBouncer = (
  postgres: DebianPostgres,
  settings: Readonly<Record<string, string>> = {}
): Effect.Effect<PgBouncer, never, Scope.Scope> =>
  Effect.gen(function* () {
    const folder = yield* folderFor("pgbouncer")
    const port = yield* freePort
    const all = {
      listen_addr: "127.0.0.1",
      listen_port: `${port}`,
      unix_socket_dir: folder,
      pool_mode: "transaction",
      auth_type: "scram-sha-256",
      auth_file: join(folder, "users.txt"),
      default_pool_size: "5",
      ...settings
    }
    yield* Effect.sync(() => {
      writeOwned(
        join(folder, "users.txt"),
        ["postgres", "nodepulse"].map((user) => `"${user}" "${PASSWORD}"\n`).join("")
      )
      writeOwned(
        join(folder, "pgbouncer.ini"),
        [
          "[databases]",
          `* = host=127.0.0.1 port=${postgres.port}`,
          "[pgbouncer]",
          ...Object.entries(all).map(([name, value]) => `${name} = ${value}`),
          ""
        ].join("\n")
      )
    })
    const bin = join(postgresBinaries ?? "", "pg_isready")
    yield* daemon(
      programs.pgbouncer ?? "pgbouncer",
      [join(folder, "pgbouncer.ini")],
      Effect.sync(() => succeeds(bin, ["-h", folder, "-p", `${port}`]))
    )
    return {
      url: (database = "postgres", user = "postgres", password = PASSWORD) =>
        Redacted.make(`postgres://${user}:${password}@127.0.0.1:${port}/${database}`)
    }
  })

export interface Authority {
  readonly caFile: string
  /** The same, as text. */
  readonly ca: string
  /** A certificate for these names: `DNS:db.example`, `IP:127.0.0.1`. */
  readonly issue: (
    name: string,
    altNames?: string,
    days?: number
  ) => { readonly cert: string; readonly key: string; readonly certFile: string; readonly keyFile: string }
}

/** An authority of one's own, as companies have them. */
export const makeAuthority: Effect.Effect<Authority, never, Scope.Scope> = Effect.gen(function* () {
  const folder = yield* Effect.acquireRelease(
    Effect.sync(() => mkdtempSync(join(tmpdir(), "np-ca-"))),
    (made) => Effect.sync(() => rmSync(made, { recursive: true, force: true }))
  )
  const openssl = (...args: ReadonlyArray<string>) =>
    execFileSync(programs.openssl ?? "openssl", args, {
      cwd: folder,
      stdio: ["ignore", "pipe", "pipe"],
      encoding: "utf8"
    })
  const newKey = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
  openssl(
    "req",
    "-x509",
    ...newKey,
    "-subj",
    "/CN=an authority of the tests",
    "-days",
    "30",
    "-keyout",
    "ca.key",
    "-out",
    "ca.crt"
  )
  const read = (name: string) => execFileSync("cat", [join(folder, name)], { encoding: "utf8" })
  return {
    caFile: join(folder, "ca.crt"),
    ca: read("ca.crt"),
    issue: (name, altNames = "DNS:localhost", days = 10) => {
      openssl("req", ...newKey, "-subj", `/CN=${name}`, "-keyout", `${name}.key`, "-out", `${name}.csr`)
      writeFileSync(join(folder, `${name}.ext`), `subjectAltName=${altNames}\n`)
      openssl(
        "x509",
        "-req",
        "-in",
        `${name}.csr`,
        "-CA",
        "ca.crt",
        "-CAkey",
        "ca.key",
        "-CAcreateserial",
        "-days",
        `${days}`,
        "-extfile",
        `${name}.ext`,
        "-out",
        `${name}.crt`
      )
      return {
        cert: read(`${name}.crt`),
        key: read(`${name}.key`),
        certFile: join(folder, `${name}.crt`),
        keyFile: join(folder, `${name}.key`)
      }
    }
  }
})
