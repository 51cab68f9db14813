/**
 * The load generator of `bench/pipeline.ts`, a process of its own: posts bodies of 150 process rows, from 1 000 servers in
 * turn, over a few connections, each waiting for its answer; for a number of seconds, then prints what was answered 202.
 *
 * Bodies are made from a template per server in which only timestamp and counters change, so that most of the processor
 * is left for what is measured. Arguments: url, file with one token a line, seconds, connections.
 */
import { readFileSync } from "node:fs"
import { Agent, request } from "node:http"

const [url, tokensFile, seconds, connections] = process.argv.slice(2)
const tokens = readFileSync(tokensFile!, "utf8").trim().split("\n")
const ROWS = 150
const agent = new Agent({ keepAlive: true, maxSockets: Number(connections) })
const target = new URL("/metrics/prometheus", url)

const names = Array.from({ length: ROWS }, (_, n) => `process-${n}`)
const start = Date.now()

/** Row of process n at scrape k: the counter in plain digits, so that the body is a mere concatenation. */
const body = (scrape: number): Buffer => {
  const timestamp = new Date().toISOString()
  let text = '{"process_exporter":['
  for (let n = 0; n < ROWS; n++) {
    if (n > 0) text += ","
    text += `{"timestamp":"${timestamp}","name":"${names[n]}","num_procs":${1 + (n % 7)},"cpu_seconds_total":${scrape * 3 + n}.25,"memory_bytes":${100_000_000 + n * 4096},"counters_since":"2025-10-30T12:00:00Z"}`
  }
  return Buffer.from(`${text}]}`)
}

const post = (server: number, scrape: number): Promise<number> =>
  new Promise((resolve, reject) => {
    const payload = body(scrape)
    const req = request(
      target,
      {
        agent,
        method: "POST",
        headers: {
          authorization: `Bearer ${tokens[server]}`,
          "content-type": "application/json",
          "content-length": payload.length
        }
      },
      (response) => {
        response.resume()
        response.on("end", () => resolve(response.statusCode ?? 0))
      }
    )
    req.on("error", reject)
    req.end(payload)
  })

const statuses = new Map<number, number>()
const deadline = start + Number(seconds) * 1000
let next = 0
const lane = async (): Promise<void> => {
  while (Date.now() < deadline) {
    const turn = next++
    const status = await post(turn % tokens.length, Math.floor(turn / tokens.length))
    statuses.set(status, (statuses.get(status) ?? 0) + 1)
    // Backpressure is an answer: wait a little, as an agent would (much longer).
    if (status === 429 || status === 503) await new Promise((resolve) => setTimeout(resolve, 50))
  }
}
await Promise.all(Array.from({ length: Number(connections) }, lane))
agent.destroy()
process.stdout.write(
  `${JSON.stringify({ accepted: (statuses.get(202) ?? 0) * ROWS, statuses: Object.fromEntries(statuses), started: start })}\n`
)
