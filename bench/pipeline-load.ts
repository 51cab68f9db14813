/**
 * The load generator of `bench/pipeline.ts`, a process of its own: posts bodies of 150 process rows, from 1 000 servers in
 * turn, over a few connections, each waiting for its answer; for a number of seconds, then prints what was answered 202.
 *
 * It has to cost next to nothing beside what is measured. So a body is made once a round, packed with gzip as agents do, and sent for
 * every server, with a head that is ready; and no HTTP client stands between it and the socket: of an answer it reads the
 * status and where it ends. Arguments: url, file with one token a line, seconds, connections.
 */
import { readFileSync } from "node:fs"
import { connect } from "node:net"
import { gzipSync } from "node:zlib"

const [url, tokensFile, seconds, connections] = process.argv.slice(2)
const ROWS = 150
const { hostname, port } = new URL(url!)
const start = Date.now()

/** All of a request but its body and the body's length. */
const heads = readFileSync(tokensFile!, "utf8")
  .trim()
  .split("\n")
  .map(
    (token) =>
      `POST /metrics/prometheus HTTP/1.1\r\nhost: ${hostname}:${port}\r\nauthorization: Bearer ${token}\r\ncontent-type: application/json\r\ncontent-encoding: gzip\r\ncontent-length: `
  )

/** The scrape of a round: some processes work, some idle, as on a host. */
const makeBody = (round: number): Buffer => {
  const timestamp = new Date().toISOString()
  const rows = Array.from({ length: ROWS }, (_, n) => ({
    timestamp,
    name: `process-${n}`,
    num_procs: 1 + (n % 7),
    cpu_seconds_total: Math.round((n * 1000.37 + (n % 3 === 0 ? round * (n + 1) * 0.13 : 0)) * 100) / 100,
    memory_bytes: 100_000_000 + n * 4096 * (n % 5 === 0 ? 1 + round : 1),
    counters_since: "2025-10-30T12:00:00Z"
  }))
  return gzipSync(JSON.stringify({ process_exporter: rows }))
}

let round = -1
let body: Buffer = Buffer.alloc(0)
let turn = 0

/** The next request, of the next server. */
const nextRequest = (): Buffer => {
  const server = turn++ % heads.length
  if (server === 0) body = makeBody(++round)
  return Buffer.concat([Buffer.from(`${heads[server]}${body.length}\r\n\r\n`, "latin1"), body])
}

/** The status of an answer that is whole; undefined while it is not. */
const statusOf = (answer: string): number | undefined => {
  const end = answer.indexOf("\r\n\r\n")
  if (end < 0) return undefined
  const length = /\r\ncontent-length: (\d+)/i.exec(answer.slice(0, end + 2))
  const isWhole =
    length === null ? answer.endsWith("\r\n0\r\n\r\n") : Buffer.byteLength(answer) >= end + 4 + Number(length[1])
  return isWhole ? Number(answer.slice(9, 12)) : undefined
}

const statuses = new Map<number, number>()
const deadline = start + Number(seconds) * 1000

const lane = (): Promise<void> =>
  new Promise((resolve, reject) => {
    const socket = connect({ host: hostname, port: Number(port), noDelay: true })
    let answer = ""
    const send = () => {
      if (Date.now() >= deadline) socket.end()
      else socket.write(nextRequest())
    }
    socket.setEncoding("utf8")
    socket.on("connect", send)
    socket.on("data", (chunk: string) => {
      answer += chunk
      const status = statusOf(answer)
      if (status === undefined) return
      answer = ""
      statuses.set(status, (statuses.get(status) ?? 0) + 1)
      // Backpressure is an answer: wait a little, as an agent would (much longer).
      if (status === 429 || status === 503) setTimeout(send, 50)
      else send()
    })
    socket.on("error", reject)
    socket.on("close", () => resolve())
  })

await Promise.all(Array.from({ length: Number(connections) }, lane))
process.stdout.write(
  `${JSON.stringify({ accepted: (statuses.get(202) ?? 0) * ROWS, statuses: Object.fromEntries(statuses), started: start })}\n`
)
