/** Signals: the first lets the work under way end within a limit, the second ends at once. */

import { spawn } from "node:child_process"
import { once } from "node:events"
import { createServer } from "node:net"
import { tmpdir } from "node:os"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer, Option, Redacted } from "effect"
import config from "../../plugins.config.ts"
import { Registry } from "../../src/plugins/Registry.ts"
import * as Server from "../../src/Server.ts"
import { Settings } from "../../src/Settings.ts"
import { keyOf } from "../../src/sinks/stream/valkey/StreamNumber.ts"
import { freePort } from "../Ports.ts"
import { describeValkey } from "../TestValkey.ts"
import {
  ADMIN,
  allStored,
  eventually,
  notReady,
  postScrape,
  promise,
  ready,
  register,
  startServer,
  stored,
  type World
} from "./World.ts"

describeValkey("stopping", () =>
  describe.concurrent("a process", () => {
    /** `nodepulse server --role …` in a process of its own. */
    const program = (world: Omit<World, "url">, role: string, port?: number) =>
      Effect.acquireRelease(
        Effect.sync(() => {
          const child = spawn(process.execPath, ["src/main.ts", "server", "--role", role], {
            env: {
              PATH: process.env.PATH,
              DATABASE_URL: Redacted.value(world.postgres.url),
              VALKEY_URL: world.valkey.url,
              NODEPULSE_ADMIN_TOKEN: ADMIN,
              NODEPULSE_DATA_DIR: world.folder,
              ...(port === undefined ? {} : { NODEPULSE_PORT: String(port) })
            },
            stdio: ["ignore", "pipe", "pipe"]
          })
          let output = ""
          for (const stream of [child.stdout, child.stderr]) stream.on("data", (chunk) => (output += chunk))
          const ended = once(child, "exit").then(([code, signal]) => ({ code, signal, output }))
          return { child, ended }
        }),
        ({ child }) => Effect.sync(() => child.kill("SIGKILL"))
      )

    promise(
      "SIGTERM: what was taken is written and acknowledged, what was not stays; a second one ends at once",
      (world) =>
        Effect.gen(function* () {
          const { postgres, valkey } = world
          const { url } = yield* startServer(postgres, valkey, { roles: ["ingest", "api"] })
          yield* ready(url)
          const { server_id, token } = yield* register(url, "web")
          const port = yield* freePort
          const digest = yield* program(world, "digest", port)
          yield* ready(`http://127.0.0.1:${port}`)
          for (let n = 0; n < 200; n++) assert.strictEqual((yield* postScrape(url, token, n))!.status, 202)
          yield* Effect.sync(() => digest.child.kill("SIGTERM"))
          const { code, output } = yield* Effect.promise(() => digest.ended)
          assert.strictEqual(code, 0, output)
          assert.notInclude(output, "not drained")
          const { rows } = yield* stored(postgres, server_id)
          const [left, [, , , holders]] = (yield* Effect.promise(() =>
            Promise.all([valkey.client.call("XLEN", keyOf(0)), valkey.client.call("XPENDING", keyOf(0), "digest")])
          )) as [number, [number, string, string, ReadonlyArray<readonly [consumer: string, count: string]> | null]]
          // Each is a row, or waits in the stream for the next; none is held by the one that has gone.
          assert.isAtLeast(rows + left, 2_000)
          assert.deepStrictEqual(
            (holders ?? []).filter(([consumer]) => consumer !== "(released)"),
            []
          )

          // A digest that cannot write: it gives back what it holds within its limit, or ends at once if it is told twice.
          const second = yield* program(world, "digest", port)
          yield* ready(`http://127.0.0.1:${port}`)
          // Its lease is the second that anybody had of the stream; without one it would hold nothing.
          yield* eventually(
            "it reads",
            Effect.promise(() => valkey.client.get(`${keyOf(0)}:fence`)),
            (fence) => fence === "2"
          )
          yield* Effect.sync(postgres.pause)
          for (let n = 200; n < 220; n++) yield* postScrape(url, token, n)
          yield* eventually(
            "it holds some",
            Effect.promise(() => valkey.client.call("XPENDING", keyOf(0), "digest")),
            (summary) => (summary as ReadonlyArray<number>)[0]! > 0
          )
          yield* Effect.sync(() => second.child.kill("SIGTERM"))
          // Within 0.7 s it would be one press of Ctrl-C.
          yield* Effect.sleep("1 second")
          assert.isNull(second.child.exitCode)
          yield* Effect.sync(() => second.child.kill("SIGTERM"))
          assert.strictEqual((yield* Effect.promise(() => second.ended)).code, 130)
          yield* Effect.sync(postgres.resume)

          const third = yield* program(world, "digest", port)
          yield* allStored(postgres, server_id, 2_200)
          yield* Effect.sync(() => third.child.kill("SIGTERM"))
          assert.strictEqual((yield* Effect.promise(() => third.ended)).code, 0)
        })
    )

    promise(
      "SIGTERM ends a server that still waits for its database, and one whose database hangs, within its limit",
      (world) =>
        Effect.gen(function* () {
          const { postgres } = world
          yield* Effect.sync(postgres.stop)
          const port = yield* freePort
          const waiting = yield* program(world, "ingest", port)
          yield* notReady(`http://127.0.0.1:${port}`, "database")
          yield* Effect.sync(() => waiting.child.kill("SIGTERM"))
          assert.strictEqual((yield* Effect.promise(() => waiting.ended)).code, 0)

          yield* Effect.sync(postgres.restart)
          const hung = yield* program(world, "all", port)
          const url = `http://127.0.0.1:${port}`
          yield* ready(url)
          yield* Effect.sync(postgres.pause)
          // Long enough for a roll-up to have asked for something.
          yield* Effect.sleep("2 seconds")
          const asked = performance.now()
          yield* Effect.sync(() => hung.child.kill("SIGTERM"))
          const { code, output } = yield* Effect.promise(() => hung.ended)
          const seconds = (performance.now() - asked) / 1_000
          yield* Effect.sync(postgres.resume)
          // What hangs in the database's client cannot be waited for: it is said, and the limit is kept.
          assert.isTrue(code === 0 || output.includes("not stopped within 20 s"), output)
          // 20 s, and what a machine with other work takes to end a process.
          assert.isBelow(seconds, 60)
        })
    )
  })
)

describe("an address that is taken", () => {
  it.live("is said at once, also while the database is away", () =>
    Effect.gen(function* () {
      const port = yield* freePort
      const taken = createServer().listen(port, "127.0.0.1")
      yield* Effect.promise(() => once(taken, "listening"))
      const exit = yield* Effect.result(
        Server.run({ roles: new Set(["api"]), agent: false, listen: true }).pipe(
          Effect.provide(
            Layer.mergeAll(
              Layer.succeed(Settings, {
                host: "127.0.0.1",
                port,
                dataDir: tmpdir(),
                adminToken: Option.some(Redacted.make(ADMIN)),
                databaseUrl: Option.some(Redacted.make("postgres://x:x@127.0.0.1:1/x")),
                valkeyUrl: Option.none()
              }),
              Registry.layer(config)
            )
          )
        )
      )
      taken.close()
      assert.strictEqual(exit._tag === "Failure" ? exit.failure._tag : "started", "AddressUnavailable")
    })
  )
})
