/**
 * What the HTTP side of an ingest request costs: NodePulse's server over a stream that takes everything, beside bare
 * `node:http` that collects the body, parses it with `JSON.parse` and answers. One body: 150 process rows, 28 kB of JSON.
 *
 * "bare and rows" is bare `node:http` that also checks each row and writes it as a message: what is left to NodePulse's
 * number is HTTP, who it is, bounds, the answer and the counting.
 *
 * Each server runs in a process of its own and is asked for the CPU that it used; the load comes from this process over 16
 * connections that stay open. They take turns, so that a drift of the machine hits all; the medians count, and
 * the best round tells what they cost where nobody else works on the machine.
 *
 *     node bench/http.ts [rounds] [requests a round]
 *
 * Aim: at most 1.5 times bare `node:http`.
 */
import { fork } from "node:child_process"
import { once } from "node:events"
import { createServer } from "node:http"
import { type AddressInfo, connect } from "node:net"
import { fileURLToPath } from "node:url"
import { gunzipSync, gzipSync } from "node:zlib"
import { Effect, Layer, Result } from "effect"
import { AGENT_A, startServer } from "../src/http/TestServer.ts"
import { nodeExporter } from "../src/plugins/node-exporter/NodeExporter.ts"
import { decodePayload } from "../src/plugins/Payload.ts"
import { processExporter } from "../src/plugins/process-exporter/ProcessExporter.ts"
import { makeSnapshotCodec } from "../src/plugins/SnapshotCodec.ts"
import { makeWires } from "../src/plugins/Wire.ts"
import { SnapshotStream } from "../src/sinks/stream/SnapshotStream.ts"

const CONNECTIONS = 16
const ROWS = 150

export const payload = (now: Date): string =>
  JSON.stringify({
    process_exporter: Array.from({ length: ROWS }, (_, index) => ({
      timestamp: now.toISOString(),
      counters_since: "2025-10-30T12:00:00.123Z",
      name: `process-group-number-${index}`,
      num_procs: 4 + (index % 7),
      cpu_seconds_total: 1234.5678 + index * 17.25,
      memory_bytes: 102_400_000 + index * 4096
    }))
  })

const wires = makeWires([nodeExporter(), processExporter()])
const codec = makeSnapshotCodec(wires)

/** What NodePulse does with the rows themselves: checks each, and writes it as a message. */
const takeRows = (body: unknown) => {
  const decoded = decodePayload(wires, body, {
    serverId: "alpha",
    nowMicros: Math.round(performance.timeOrigin + performance.now()) * 1_000
  })
  const { accepted } = Result.getOrThrow(decoded)
  return accepted.flatMap(codec.encodeEach)
}

const serveBare = async (rows: boolean): Promise<number> => {
  const server = createServer((request, response) => {
    const chunks: Array<Buffer> = []
    request.on("data", (chunk: Buffer) => chunks.push(chunk))
    request.on("end", () => {
      const sent = Buffer.concat(chunks)
      const text = (request.headers["content-encoding"] === "gzip" ? gunzipSync(sent) : sent).toString("utf8")
      const body = JSON.parse(text) as { process_exporter: ReadonlyArray<unknown> }
      const accepted = rows ? takeRows(body).length : body.process_exporter.length
      const answer = JSON.stringify({ accepted, rejected: [] })
      response.writeHead(202, { "content-type": "application/json", "content-length": answer.length })
      response.end(answer)
    })
  })
  server.listen(0, "127.0.0.1")
  await once(server, "listening")
  return (server.address() as AddressInfo).port
}

const NOTHING = {
  length: 0,
  pending: 0,
  waiting: 0,
  bound: 0,
  bytes: null,
  oldestSeconds: null,
  streams: [],
  silent: []
}

const nullStream = Layer.succeed(SnapshotStream, {
  entry: "snapshot",
  publish: () => Effect.void,
  subscribe: () => Effect.never,
  stats: Effect.succeed(NOTHING),
  statsWith: () => Effect.succeed(NOTHING),
  durability: Effect.succeed("memory" as const)
})

const serveNodePulse = (): Promise<number> =>
  new Promise((resolve, reject) => {
    Effect.runPromise(
      Effect.scoped(
        Effect.gen(function* () {
          const { port } = yield* startServer({
            stream: nullStream,
            limits: { serverRequestsPerSecond: 1e6, addressRequestsPerSecond: 1e6 }
          })
          resolve(port)
          return yield* Effect.never
        })
      )
    ).catch(reject)
  })

/** A server in a process of its own. */
const serve = async (kind: string) => {
  process.send?.({ port: await (kind === "nodepulse" ? serveNodePulse() : serveBare(kind === "rows")) })
  process.on("message", () => process.send?.({ cpu: process.cpuUsage() }))
}

const start = async (kind: string) => {
  const child = fork(fileURLToPath(import.meta.url), ["serve", kind])
  const [{ port }] = (await once(child, "message")) as [{ port: number }]
  const cpu = async () => {
    const answered = once(child, "message") as Promise<[{ cpu: NodeJS.CpuUsage }]>
    child.send("cpu")
    const [{ cpu }] = await answered
    return cpu.user + cpu.system
  }
  return { kind, port, cpu, stop: () => child.kill() }
}

/** Sends `count` requests over open connections, one at a time on each. */
const load = async (port: number, request: Buffer, count: number): Promise<number> => {
  let left = count
  const began = performance.now()
  await Promise.all(
    Array.from({ length: CONNECTIONS }, () => {
      return new Promise<void>((resolve, reject) => {
        const socket = connect(port, "127.0.0.1")
        socket.setNoDelay(true)
        const next = () => {
          if (left-- <= 0) {
            socket.end()
            resolve()
          } else {
            socket.write(request)
          }
        }
        socket.on("connect", next)
        socket.on("error", reject)
        // An answer is small and comes in one piece: its head and its body end with the list of what was rejected.
        let seen = ""
        socket.on("data", (chunk: Buffer) => {
          seen += chunk.toString("latin1")
          if (!seen.endsWith("]}")) return
          if (!seen.startsWith("HTTP/1.1 202")) return reject(new Error(seen))
          seen = ""
          next()
        })
      })
    })
  )
  return (performance.now() - began) / 1000
}

const median = (values: ReadonlyArray<number>): number =>
  [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)]!

const requestOf = (body: Buffer, encoding: string) =>
  Buffer.concat([
    Buffer.from(
      `POST /metrics/prometheus HTTP/1.1\r\nhost: bench\r\nauthorization: Bearer ${AGENT_A}\r\ncontent-type: application/json\r\n${encoding}content-length: ${body.length}\r\n\r\n`
    ),
    body
  ])

const main = async (rounds: number, requests: number) => {
  const servers = [await start("bare"), await start("rows"), await start("nodepulse")]
  try {
    const json = Buffer.from(payload(new Date()))
    const plain = requestOf(json, "")
    const packed = requestOf(gzipSync(json), "content-encoding: gzip\r\n")
    const cases = [
      { name: "bare node:http", server: servers[0]!, request: plain },
      { name: "bare and rows", server: servers[1]!, request: plain },
      { name: "NodePulse", server: servers[2]!, request: plain },
      { name: "bare, gzip", server: servers[0]!, request: packed },
      { name: "bare and rows, gzip", server: servers[1]!, request: packed },
      { name: "NodePulse, gzip", server: servers[2]!, request: packed }
    ]
    const taken = cases.map(() => ({ cpu: [] as Array<number>, rate: [] as Array<number> }))
    for (const { request, server } of cases) await load(server.port, request, requests)
    for (let round = 0; round < rounds; round++) {
      for (const [index, { request, server }] of cases.entries()) {
        const before = await server.cpu()
        const seconds = await load(server.port, request, requests)
        taken[index]!.cpu.push(((await server.cpu()) - before) / requests)
        taken[index]!.rate.push(requests / seconds)
      }
    }
    process.stdout.write(
      `body: ${ROWS} rows, ${json.length} B of JSON, ${gzipSync(json).length} B of gzip; ${rounds} rounds of ${requests}\n`
    )
    for (const [index, { name }] of cases.entries()) {
      const of = (figure: (values: ReadonlyArray<number>) => number) => {
        const cpu = figure(taken[index]!.cpu)
        return `${cpu.toFixed(1).padStart(6)} µs (${(cpu / figure(taken[index - (index % 3)]!.cpu)).toFixed(2)} ×)`
      }
      const rate = Math.round(median(taken[index]!.rate)).toString().padStart(6)
      const line = `${name.padEnd(20)} CPU a request: median ${of(median)}, best ${of((values) => Math.min(...values))}; ${rate} requests/s`
      process.stdout.write(`${line}\n`)
    }
  } finally {
    for (const server of servers) server.stop()
  }
}

const [first, second] = process.argv.slice(2)
if (first === "serve") await serve(second ?? "bare")
else if (import.meta.main) await main(Number(first ?? 15), Number(second ?? 2_000))
