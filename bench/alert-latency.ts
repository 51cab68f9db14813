/**
 * How long it takes from a row's timestamp until a receiver is told of the alert that it made fire
 * (`node bench/alert-latency.ts [servers, default 100] [minutes, default 4]`).
 *
 * Everything is real: the server in a process of its own with PostgreSQL and, where there is one, Valkey; rows that are pushed with
 * tokens; a hook over HTTP without `group_wait`. Each server sends a row every 15 s at a time of its own, and once, at random, one that
 * makes the rule fire. Printed: from that row's timestamp to the moment of the alert, and to the request at the hook, in seconds.
 */
import { mkdirSync, writeFileSync } from "node:fs"
import { createServer } from "node:http"
import { join } from "node:path"
import { NodeRuntime } from "@effect/platform-node"
import { Duration, Effect } from "effect"
import { makeServer, print } from "./outage-server.ts"

const SERVERS = Number(process.argv[2] ?? 100)
const MINUTES = Number(process.argv[3] ?? 4)
const INTERVAL = 15_000
const MIB = 1_048_576
const RULES = `rules:
  - {name: "too much memory", resource: processes, metric: memory, above: 1000, over: "30s"}
`

/** Rows go out for so many minutes; starting and ending is the rest. */
const GIVE_UP = Duration.minutes(MINUTES + 5)

interface Told {
  readonly incidents: ReadonlyArray<{
    readonly alerts: ReadonlyArray<{ readonly server_id: string; readonly fired_at: string }>
  }>
}

/** A hook that notes when it was told of a server first, epoch milliseconds. */
const makeHook = Effect.gen(function* () {
  const told = new Map<string, { readonly at: number; readonly firedAt: number }>()
  const server = createServer((request, response) => {
    const chunks: Array<Buffer> = []
    request.on("data", (chunk: Buffer) => chunks.push(chunk))
    request.on("end", () => {
      const at = Date.now()
      const { incidents } = JSON.parse(Buffer.concat(chunks).toString()) as Told
      for (const { fired_at, server_id } of incidents.flatMap(({ alerts }) => alerts)) {
        if (!told.has(server_id)) told.set(server_id, { at, firedAt: Date.parse(fired_at) })
      }
      response.end()
    })
  })
  yield* Effect.acquireRelease(
    Effect.callback<void>((resume) => void server.listen(0, "127.0.0.1", () => resume(Effect.void))),
    () =>
      Effect.sync(() => {
        server.close()
        server.closeAllConnections()
      })
  )
  const address = server.address()
  return { told, url: `http://127.0.0.1:${typeof address === "object" && address !== null ? address.port : 0}/` }
})

/** Pushes a row every interval; from a moment on, ones that make the rule fire. Gives the first of those, epoch milliseconds. */
const sends = (url: string, token: string, offset: number, breach: number) =>
  Effect.gen(function* () {
    let first: number | undefined
    yield* Effect.sleep(offset)
    for (let n = 0; n * INTERVAL < MINUTES * 60_000; n++) {
      const at = Date.now()
      const isBad = n >= breach
      if (isBad) first ??= at
      const row = {
        timestamp: new Date(at).toISOString(),
        name: "worker",
        num_procs: 1,
        cpu_seconds_total: n,
        memory_bytes: (isBad ? 100_000 : 10) * MIB
      }
      yield* Effect.tryPromise(async () => {
        const response = await fetch(`${url}/metrics/prometheus`, {
          method: "POST",
          headers: { authorization: `Bearer ${token}`, "content-type": "application/json" },
          body: JSON.stringify({ process_exporter: [row] })
        })
        if (response.status !== 202) throw new Error(`${response.status}: ${await response.text()}`)
      })
      yield* Effect.sleep(Math.max(0, at + INTERVAL - Date.now()))
    }
    return first!
  })

const quantile = (sorted: ReadonlyArray<number>, q: number) =>
  sorted[Math.min(sorted.length - 1, Math.floor(q * sorted.length))]!

const said = (what: string, millis: ReadonlyArray<number>) => {
  const sorted = millis.toSorted((a, b) => a - b)
  const text = [0.5, 0.99, 1].map((q) => (quantile(sorted, q) / 1_000).toFixed(1))
  print(what, `median ${text[0]} s, p99 ${text[1]} s, most ${text[2]} s (${sorted.length})`)
}

const bench = Effect.gen(function* () {
  const hook = yield* makeHook
  const server = yield* makeServer({ NODEPULSE_DEFAULT_RULES: "off" })
  mkdirSync(join(server.folder, "rules.d"), { recursive: true })
  writeFileSync(join(server.folder, "rules.d", "bench.yml"), RULES)
  writeFileSync(
    join(server.folder, "notify.yml"),
    `receivers: [{name: "bench", webhook: {url: "${hook.url}"}}]
allow: ["127.0.0.1"]
default: {receivers: ["bench"], group_wait: "0s", rate: 1000}
`
  )
  yield* server.start
  yield* server.ready
  const registered = yield* Effect.forEach(
    Array.from({ length: SERVERS }, (_, n) => `server-${n}`),
    server.register
  )
  const rounds = (MINUTES * 60_000) / INTERVAL
  const firsts = yield* Effect.forEach(
    registered,
    ({ server_id, token }, n) =>
      Effect.map(
        // The first minute fills the rule's window; the last one is for what is still to be told.
        sends(server.url, token, (n * INTERVAL) / SERVERS, 4 + Math.floor(Math.random() * (rounds - 8))),
        (first) => [server_id, first] as const
      ),
    { concurrency: "unbounded" }
  )
  yield* Effect.sleep("5 seconds")
  const found = firsts.flatMap(([id, first]) => {
    const told = hook.told.get(id)
    return told === undefined ? [] : [{ fired: told.firedAt - first, told: told.at - first }]
  })
  print("servers, told of", `${SERVERS}, ${found.length}`)
  said(
    "from a row to the alert",
    found.map(({ fired }) => fired)
  )
  said(
    "from a row to the message",
    found.map(({ told }) => told)
  )
  if (found.length < SERVERS) process.exitCode = 1
})

// Everything ends with it, also where it is interrupted or takes too long.
NodeRuntime.runMain(bench.pipe(Effect.timeout(GIVE_UP), Effect.scoped))
