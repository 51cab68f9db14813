/** `npm run fleet` against a whole server: what it says was accepted is what is stored, and what it sends is believable. */
import { spawn } from "node:child_process"
import { writeFile } from "node:fs/promises"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { PgClient } from "@effect/sql-pg"
import { assert, describe, layer } from "@effect/vitest"
import { Effect } from "effect"
import { addLatencies, addLatency, noLatencies, quantile } from "../scripts/fleet/Latencies.ts"
import { home } from "./CommandLine.ts"
import * as TestServer from "./TestServer.ts"

const script = fileURLToPath(new URL("../scripts/fleet.ts", import.meta.url))

interface Ran {
  readonly code: number | null
  readonly out: string
}

const fleet = (args: ReadonlyArray<string>, env: Readonly<Record<string, string>>) =>
  Effect.callback<Ran>((resume) => {
    const child = spawn(process.execPath, [script, ...args], { env: { PATH: process.env.PATH, ...env } })
    let out = ""
    child.stdout.on("data", (text) => (out += text))
    child.stderr.on("data", (text) => (out += text))
    child.on("close", (code) => resume(Effect.succeed({ code, out })))
    return Effect.sync(() => child.kill("SIGKILL"))
  })

layer(TestServer.layer, { excludeTestServices: true })("a simulated fleet", (it) => {
  describe("pushes", () => {
    it.effect("what it says was accepted, and no answer about it has to clamp anything", () =>
      Effect.gen(function* () {
        const server = yield* TestServer.TestServer
        const sql = yield* PgClient.PgClient
        const folder = yield* home
        const env = { NODEPULSE_ADMIN_TOKEN: "an-admin-token-for-tests", NODEPULSE_DATA_DIR: folder }
        const args = ["--url", server.url, "--servers", "5", "--groups", "30", "--interval", "1", "--minutes", "0.1"]
        const { code, out } = yield* fleet(args, env)
        assert.strictEqual(code, 0, out)
        const accepted = Number(/accepted +(\d+) rows/.exec(out)?.[1])
        const pushes = Number(/sent +(\d+) pushes/.exec(out)?.[1])
        assert.strictEqual(pushes, 30, out)
        const [stored] = yield* sql<{ readonly rows: number }>`
          select ((select count(*) from admiral.process_snapshots) + (select count(*) from admiral.node_snapshots))::int as rows`
        assert.isAtLeast(stored!.rows, 30 * 31)
        assert.isAtLeast(accepted, stored!.rows)
        for (const metric of ["cpu", "memory"]) {
          const top = yield* server.request("GET", `/api/servers/fleet-00003/processes/top?metric=${metric}&limit=30`)
          const answer = top.body as { readonly clamped: number; readonly resets: number; readonly scrapes: number }
          assert.deepInclude(answer, { clamped: 0, resets: 0, scrapes: 6 })
        }
        // The same servers come back with the tokens that were kept, without an admin token.
        const again = yield* fleet([...args.slice(0, -1), "0.02"], { NODEPULSE_DATA_DIR: folder })
        assert.strictEqual(again.code, 0, again.out)
        assert.notInclude(again.out, "servers added")
      })
    )

    it.effect("and exits 1 where they are refused, 2 where it cannot begin, with the reason", () =>
      Effect.gen(function* () {
        const server = yield* TestServer.TestServer
        const folder = yield* home
        const tokens = join(folder, "tokens.json")
        const url = ["--url", server.url, "--tokens", tokens]
        const refused = yield* fleet([...url, "--servers", "1"], { NODEPULSE_ADMIN_TOKEN: "wrong" })
        assert.strictEqual(refused.code, 2)
        assert.include(refused.out, "servers cannot be added: 401")
        for (const [args, reason] of [
          [["--servers", "0"], "--servers is 0, but must be a whole number from 1 to 100000"],
          [["--interval", "soon"], "--interval is soon, but must be a number from 1 to 3600"],
          [["--url", "nowhere"], "--url is nowhere, which is no address"],
          [["--server", "1"], "--help"]
        ] as const) {
          const { code, out } = yield* fleet(args, { NODEPULSE_DATA_DIR: folder })
          assert.strictEqual(code, 2, out)
          assert.include(out, reason)
        }
        yield* Effect.promise(() =>
          writeFile(tokens, JSON.stringify({ [server.url]: { "fleet-00001": "np_agent_foreign" } }))
        )
        const foreign = yield* fleet([...url, "--servers", "1", "--interval", "1", "--minutes", "0.02"], {})
        assert.strictEqual(foreign.code, 1, foreign.out)
        assert.include(foreign.out, "401 × 1")
      })
    )
  })

  it("tells quantiles to 2 %, also where several processes counted", () => {
    const [one, other] = [noLatencies(), noLatencies()]
    for (let n = 1; n <= 1_000; n++) addLatency(n % 2 === 0 ? one : other, n)
    addLatencies(one, other)
    for (const part of [0.5, 0.95, 0.99, 1]) {
      assert.approximately(quantile(one, part)!, part * 1_000, part * 1_000 * 0.02)
    }
    assert.isNull(quantile(noLatencies(), 0.5))
  })
})
