/**
 * A read replica (`DATABASE_READ_URL`) on a real standby: behind, paused, frozen, promoted and gone. What it does not have yet is
 * never taken for something that is not there.
 */
import { execFileSync } from "node:child_process"
import { chmodSync, mkdtempSync, readFileSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { assert, it } from "@effect/vitest"
import { Duration, Effect, Fiber, Layer, Logger, Option, Redacted, References } from "effect"
import config from "../plugins.config.ts"
import { Registry } from "../src/plugins/Registry.ts"
import * as Server from "../src/Server.ts"
import { Settings } from "../src/Settings.ts"
import { type DebianPostgres, describeWith, makePostgres } from "./DebianServers.ts"
import { ADMIN, ask, eventually, exporter, ready, register } from "./outages/World.ts"
import { freePort } from "./Ports.ts"

const resource = config.exporters.find(({ name }) => name === exporter)!.resource
const DATABASE = { database: "nodepulse" }

/** A server whose questions are read from a standby, which may be so far behind. */
const startWorld = Effect.fnUntraced(function* (lagMax: Duration.Duration) {
  const primary = yield* makePostgres()
  yield* primary.sql("create database nodepulse encoding 'UTF8' template template0 lc_collate 'C' lc_ctype 'C'")
  const standby = yield* makePostgres({ standbyOf: primary })
  const dataDir = yield* Effect.acquireRelease(
    Effect.sync(() => {
      const folder = mkdtempSync(join(tmpdir(), "nodepulse-replica-"))
      chmodSync(folder, 0o711)
      return folder
    }),
    (folder) => Effect.sync(() => rmSync(folder, { recursive: true, force: true }))
  )
  const port = yield* freePort
  const said: Array<string> = []
  const settings = Layer.succeed(Settings, {
    host: "127.0.0.1",
    port,
    dataDir,
    defaultRules: false,
    adminToken: Option.some(Redacted.make(ADMIN)),
    databaseUrl: Option.some(primary.url(DATABASE)),
    databaseReadUrl: Option.some(standby.url(DATABASE)),
    replicaLagMax: lagMax,
    valkeyUrl: Option.none()
  })
  yield* Effect.forkScoped(
    Server.run({
      roles: new Set(["ingest", "digest", "api"]),
      agent: false,
      listen: true,
      onReady: () => Effect.void
    }).pipe(
      Effect.provide(Layer.mergeAll(settings, Registry.layer(config))),
      Effect.provide(
        Logger.layer([
          Logger.make(({ message }) => {
            said.push(String(message))
          })
        ])
      )
    )
  )
  const url = `http://127.0.0.1:${port}`
  yield* ready(url)
  const saidOfReplica = () => said.filter((line) => line.includes("DATABASE_READ_URL"))
  return { primary, standby, url, saidOfReplica }
})

interface World {
  readonly url: string
  readonly primary: DebianPostgres
  readonly standby: DebianPostgres
  readonly saidOfReplica: () => ReadonlyArray<string>
}

/** Pushes a scrape a second, for ever. */
const pushing = (url: string, token: string) =>
  Effect.forever(
    Effect.andThen(
      Effect.suspend(() => {
        const timestamp = new Date().toISOString()
        const row = { timestamp, name: "web", num_procs: 1, cpu_seconds_total: Date.now() / 2_000, memory_bytes: 4096 }
        return ask("POST", `${url}/metrics/prometheus`, { [exporter]: [row] }, token)
      }),
      Effect.sleep("1 second")
    )
  )

/** Stops the replay, and waits until it stands: what is written from then on is not there. */
const paused = (standby: DebianPostgres) =>
  Effect.andThen(
    standby.sql("select pg_wal_replay_pause()"),
    eventually(
      "the replay stands",
      standby.sql("select pg_get_wal_replay_pause_state() as state"),
      ([row]) => row?.state === "paused"
    )
  )

const top = (url: string, server: string, query = "") =>
  Effect.map(ask("GET", `${url}/api/servers/${server}/${resource}/top?hours=0.004${query}`), (answer) => answer!)
const lagOf = (answer: { readonly body: { readonly window: { readonly replica_lag_seconds?: number } } }) =>
  answer.body.window.replica_lag_seconds
const pipeline = (url: string) => Effect.map(ask("GET", `${url}/api/pipeline`), (answer) => answer!.body)
const isFromReplica = (url: string, server: string) =>
  eventually("it reads from the replica", top(url, server), (answer) => lagOf(answer) !== undefined)
const isFromPrimary = (url: string, server: string) =>
  eventually(
    "it reads from the primary",
    top(url, server),
    (answer) => answer.status === 200 && lagOf(answer) === undefined
  )

const promise = (
  title: string,
  lagMax: Duration.Duration,
  test: (world: World, server: string) => Effect.Effect<void, unknown>
) =>
  it.live(
    title,
    () =>
      Effect.gen(function* () {
        const world = yield* startWorld(lagMax)
        const { server_id, token } = yield* register(world.url, "web")
        yield* Effect.forkScoped(pushing(world.url, token))
        yield* isFromReplica(world.url, server_id)
        yield* test(world, server_id)
      }).pipe(Effect.scoped, Effect.provideService(References.MinimumLogLevel, "Info")),
    200_000
  )

describeWith(["postgresql"], "questions that are read from a standby", () => {
  promise(
    "end where it ends: what it does not have yet is no gap, and no server that is offline",
    Duration.hours(1),
    ({ standby, url }, server) =>
      Effect.gen(function* () {
        // Covered from the beginning of the window on.
        yield* Effect.sleep("16 seconds")
        yield* paused(standby)
        const behind = yield* eventually("it is behind", top(url, server), (answer) => (lagOf(answer) ?? 0) >= 15)
        assert.isFalse(behind.body.stale)
        const asked = yield* standby.sql(
          `select query from pg_stat_activity where application_name = 'nodepulse reads'`
        )
        assert.isTrue(
          asked.some(({ query }) => /scrape/.test(String(query))),
          JSON.stringify(asked)
        )
        assert.isAtLeast(behind.body.coverage, 0.8)
        const end = Date.parse(behind.body.window.to)
        assert.isAtLeast(Date.now() - end, 14_000)
        assert.isAtMost(Date.parse(behind.body.last_seen), end)

        const now = yield* top(url, server, `&at=${encodeURIComponent(new Date().toISOString())}`)
        assert.isUndefined(lagOf(now))
        assert.isAbove(Date.parse(now.body.last_seen), end)
        const before = yield* top(url, server, `&at=${encodeURIComponent(new Date(end - 1_000).toISOString())}`)
        assert.isDefined(lagOf(before))

        const { body } = (yield* ask("GET", `${url}/api/servers`))!
        assert.strictEqual(body.servers[0].state, "live")
        for (const path of ["breakdown", `${resource}/diff`, `${resource}/series`, `${resource}/history?name=web`]) {
          const answer = (yield* ask("GET", `${url}/api/servers/${server}/${path}`))!
          assert.strictEqual(answer.status, 200, path)
          const { window } = answer.body.after ?? answer.body
          assert.isAtLeast(window.replica_lag_seconds, 14, path)
        }
        for (const path of [`${resource}/top`, `groups/${resource}`]) {
          const answer = (yield* ask("GET", `${url}/api/${path}`))!
          if (answer.status === 200) assert.isAtLeast(answer.body.window.replica_lag_seconds, 14, path)
        }
      })
  )

  promise("know what somebody has just saved: a server, a note", Duration.hours(1), ({ standby, url }, server) =>
    Effect.gen(function* () {
      yield* paused(standby)
      const added = yield* register(url, "new")
      const nothing = yield* top(url, added.server_id)
      assert.strictEqual(nothing.status, 200)
      assert.isDefined(lagOf(nothing))
      yield* eventually("it is behind", top(url, server), (answer) => (lagOf(answer) ?? 0) >= 3)
      assert.strictEqual((yield* ask("POST", `${url}/api/notes`, { server_id: server, text: "deployed" }))!.status, 201)
      const marks = (yield* ask("GET", `${url}/api/servers/${server}/marks`))!
      assert.deepInclude(
        marks.body.marks.map(({ text }: { readonly text?: string }) => text),
        "deployed"
      )
    })
  )

  promise(
    "are the primary's while it lags too much, and its own again, both said once",
    Duration.seconds(4),
    ({ saidOfReplica, standby, url }, server) =>
      Effect.gen(function* () {
        yield* paused(standby)
        yield* isFromPrimary(url, server)
        const { replica } = yield* pipeline(url)
        assert.isFalse(replica.isUsed)
        assert.include(replica.reason, "is more than 4s behind")
        assert.isAtLeast(replica.lagSeconds, 4)
        const { body, status } = (yield* ask("GET", `${url}/readyz`))!
        assert.strictEqual(status, 200)
        assert.include(body.checks, "replica")
        assert.match(body.notes[0], /^replica: the database answers instead: the replica is more than 4s behind/)
        const metrics = yield* Effect.promise(async () =>
          (await fetch(`${url}/metrics`, { headers: { authorization: `Bearer ${ADMIN}` } })).text()
        )
        assert.match(metrics, /^nodepulse_replica_used 0$/m)
        assert.isAtLeast(Number(/^nodepulse_replica_lag_seconds (\S+)$/m.exec(metrics)![1]), 4)
        yield* Effect.sleep("3 seconds")
        yield* standby.sql("select pg_wal_replay_resume()")
        yield* isFromReplica(url, server)
        assert.lengthOf(saidOfReplica(), 3, saidOfReplica().join("\n"))
        assert.include(saidOfReplica()[1], "is more than 4s behind")
        assert.include(saidOfReplica()[2], "again")
      })
  )

  promise(
    "are the primary's at once where it is frozen, promoted or gone: each is answered",
    Duration.seconds(60),
    ({ saidOfReplica, standby, url }, server) =>
      Effect.gen(function* () {
        const answers: Array<number> = []
        const asking = yield* Effect.forkScoped(
          Effect.forever(Effect.map(top(url, server), ({ status }) => answers.push(status)))
        )
        const postmaster = Number(readFileSync(join(standby.pgdata, "postmaster.pid"), "utf8").split("\n")[0])
        const all = () => [
          postmaster,
          ...execFileSync("pgrep", ["-P", String(postmaster)], { encoding: "utf8" })
            .split("\n")
            .filter(Boolean)
            .map(Number)
        ]
        const frozen = all()
        for (const pid of frozen) process.kill(pid, "SIGSTOP")
        yield* isFromPrimary(url, server)
        assert.include((yield* pipeline(url)).replica.reason, "does not answer")
        // What was under way on it is answered, too.
        const before = answers.length
        const count = Effect.sync(() => answers.length)
        yield* eventually("whoever asked goes on", count, (now) => now > before + 5)
        for (const pid of frozen) process.kill(pid, "SIGCONT")
        yield* isFromReplica(url, server)

        yield* standby.sql("select pg_promote()")
        yield* isFromPrimary(url, server)
        assert.include((yield* pipeline(url)).replica.reason, "is no standby")

        for (const pid of all()) process.kill(pid, "SIGKILL")
        yield* eventually("gone", pipeline(url), ({ replica }) => replica.reason.includes("does not answer"))
        yield* isFromPrimary(url, server)
        yield* Fiber.interrupt(asking)
        assert.isAbove(answers.length, 20)
        assert.deepStrictEqual([...new Set(answers)], [200])
        assert.lengthOf(saidOfReplica(), 5, saidOfReplica().join("\n"))
      }).pipe(Effect.scoped)
  )
})
