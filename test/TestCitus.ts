/**
 * A real Citus for tests that stop its nodes: a coordinator and two workers on loopback, each with a folder of its own, ended and
 * removed with their scope. The one that NODEPULSE_TEST_DATABASE_URL names is everybody's, and is not touched.
 *
 * Where PostgreSQL has no Citus, `describeCitus` skips its suite and says so in one line.
 */
import { existsSync } from "node:fs"
import { basename, dirname, join } from "node:path"
import { describe } from "@effect/vitest"
import { Effect, Redacted, type Scope } from "effect"
import { folderFor, postgresBinaries, run, writeOwned } from "./DebianServers.ts"
import { freePort } from "./Ports.ts"

export interface CitusNode {
  /** As Citus calls it. */
  readonly name: string
  readonly pgdata: string
  /** Ends it as a power cut would. */
  readonly kill: Effect.Effect<void>
  readonly start: Effect.Effect<void>
}

export interface TestCitus {
  /** Of a database on the coordinator whose rows can be distributed. */
  readonly url: Redacted.Redacted<string>
  readonly coordinator: CitusNode
  readonly workers: ReadonlyArray<CitusNode>
}

const hasCitus =
  postgresBinaries !== undefined &&
  existsSync(join("/usr/share/postgresql", basename(dirname(postgresBinaries)), "extension", "citus.control"))

/** `describe`, where there is one. */
export const describeCitus = (name: string, tests: () => void): void => {
  if (hasCitus) return void describe(name, tests)
  process.stderr.write(`left out: "${name}", because this machine's PostgreSQL has no Citus\n`)
  describe.skip(name, tests)
}

const DATABASE = "pulse"
const bin = (name: string) => join(postgresBinaries ?? "", name)

const settings = (port: number, folder: string) => `
shared_preload_libraries = 'citus'
port = ${port}
listen_addresses = '127.0.0.1'
unix_socket_directories = '${folder}'
citus.node_conninfo = 'sslmode=prefer'
max_connections = 100
max_prepared_transactions = 100
max_worker_processes = 16
shared_buffers = '32MB'
fsync = off
`

interface Node extends CitusNode {
  readonly port: number
  readonly sql: (database: string, ...statements: ReadonlyArray<string>) => Effect.Effect<void>
}

const makeNode: Effect.Effect<Node, never, Scope.Scope> = Effect.gen(function* () {
  const folder = yield* folderFor("citus")
  const port = yield* freePort
  const pgdata = join(folder, "data")
  const control = (...args: ReadonlyArray<string>) =>
    Effect.sync(() => void run(bin("pg_ctl"), ["-D", pgdata, "-w", ...args]))
  const start = control("-l", join(folder, "log"), "start")
  const kill = control("-m", "immediate", "stop")
  run(bin("initdb"), ["-D", pgdata, "-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C.UTF-8", "-N"])
  writeOwned(join(pgdata, "postgresql.conf"), settings(port, folder))
  yield* Effect.acquireRelease(start, () => Effect.ignore(Effect.try(() => Effect.runSync(kill))))
  const sql = (database: string, ...statements: ReadonlyArray<string>) =>
    Effect.sync(() => {
      const where = [
        "-h",
        "127.0.0.1",
        "-p",
        `${port}`,
        "-U",
        "postgres",
        "-d",
        database,
        "-qAt",
        "-v",
        "ON_ERROR_STOP=1"
      ]
      run(bin("psql"), [...where, ...statements.flatMap((statement) => ["-c", statement])])
    })
  return { name: `127.0.0.1:${port}`, pgdata, port, kill, start, sql }
})

/** Starts one, with a few shards a node. */
export const makeCitus: Effect.Effect<TestCitus, never, Scope.Scope> = Effect.gen(function* () {
  const nodes = [yield* makeNode, yield* makeNode, yield* makeNode] as const
  for (const { sql } of nodes) {
    yield* sql("postgres", `create database ${DATABASE}`)
    yield* sql(DATABASE, "create extension citus")
  }
  const [coordinator, ...workers] = nodes
  yield* coordinator.sql(
    DATABASE,
    `alter database ${DATABASE} set citus.shard_count = 8`,
    `select citus_set_coordinator_host('127.0.0.1', ${coordinator.port})`,
    ...workers.map(({ port }) => `select citus_add_node('127.0.0.1', ${port})`)
  )
  return { url: Redacted.make(`postgres://postgres@127.0.0.1:${coordinator.port}/${DATABASE}`), coordinator, workers }
})
