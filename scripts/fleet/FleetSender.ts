/**
 * A process of the simulated fleet: the agents of some servers, each of which pushes a scrape every interval, as its place in
 * the interval says, so that a fleet is spread as a real one is. Started by `scripts/fleet.ts`, which tells it what to do and
 * hears what happened each interval.
 *
 * Several servers may be alike: one body is made for all of them, since making and packing bodies is what costs a generator most
 * (1.5 ms of CPU and 0.7 MiB of memory for 150 groups of processes and the host, 3 ms and 1.4 MiB with units and short-lived commands).
 *
 * A push that is answered 429 or 503 is sent again after `Retry-After`, once its server's next scrape is not due yet; one that
 * was not delivered until then is counted as undelivered, where a real agent would keep it on its disk.
 */
import { Agent, request } from "node:http"
import { request as requestTls, Agent as TlsAgent } from "node:https"
import { setTimeout as wait } from "node:timers/promises"
import { gzipSync } from "node:zlib"
import config from "../../plugins.config.ts"
import { type FleetMachine, makeFleetMachine } from "./FleetMachine.ts"
import { addLatency, type Latencies, noLatencies } from "./Latencies.ts"

/** An agent, and when it pushes: its place in the interval, 0 to 1. */
export interface FleetAgent {
  readonly token: string
  readonly place: number
}

export interface SenderTask {
  readonly url: string
  readonly machines: ReadonlyArray<{ readonly seed: number; readonly agents: ReadonlyArray<FleetAgent> }>
  /** Names of exporters of plugins.config.ts. */
  readonly exporters: ReadonlyArray<string>
  readonly groups: number
  readonly intervalMillis: number
  /** How often each agent pushes. */
  readonly rounds: number
  readonly connections: number
}

/** What a process says when it could begin, and what it is told then: when the first interval begins, epoch milliseconds. */
export const READY = "ready"
export interface Begin {
  readonly startsAt: number
}

/** What happened since the last report. */
export interface SenderReport {
  readonly pushes: number
  readonly rows: number
  readonly bytes: number
  readonly accepted: number
  readonly rejected: number
  readonly undelivered: number
  /** By HTTP status, and by the code of an error where there was no answer. */
  readonly answers: Readonly<Record<string, number>>
  readonly latencies: Latencies
  /** How late the latest push was sent after it was due, milliseconds: a generator that cannot keep up says so. */
  readonly latest: number
}

interface Answer {
  readonly status: string
  readonly text: string
  readonly retryAfterMillis: number
}

const run = async (task: SenderTask, machines: ReadonlyArray<FleetMachine>, startsAt: number): Promise<void> => {
  const secure = task.url.startsWith("https:")
  const pool = { keepAlive: true, maxSockets: task.connections }
  const agent = secure ? new TlsAgent(pool) : new Agent(pool)
  let report = emptyReport()

  const push = (token: string, body: Buffer): Promise<Answer> =>
    new Promise((resolve) => {
      const sent = (secure ? requestTls : request)(
        `${task.url}/metrics/prometheus`,
        {
          method: "POST",
          agent,
          headers: {
            authorization: `Bearer ${token}`,
            "content-type": "application/json",
            "content-encoding": "gzip",
            "content-length": body.length
          },
          timeout: 60_000
        },
        (response) => {
          let text = ""
          response.setEncoding("utf8")
          response.on("data", (chunk: string) => {
            if (text.length < 65_536) text += chunk
          })
          response.on("error", (error) => resolve(failure(error)))
          response.on("end", () =>
            resolve({
              status: String(response.statusCode),
              text,
              retryAfterMillis: 1_000 * Math.max(1, Number(response.headers["retry-after"]) || 1)
            })
          )
        }
      )
      sent.on("timeout", () => sent.destroy(Object.assign(new Error("no answer"), { code: "TIMEOUT" })))
      sent.on("error", (error) => resolve(failure(error)))
      sent.end(body)
    })

  /** Delivers a body before `until`, or counts it. */
  const deliver = async (token: string, body: Buffer, rows: number, until: number): Promise<void> => {
    for (;;) {
      const began = performance.now()
      const answer = await push(token, body)
      addLatency(report.latencies, performance.now() - began)
      report.answers[answer.status] = (report.answers[answer.status] ?? 0) + 1
      if (answer.status === "202") {
        const { accepted, rejected } = JSON.parse(answer.text) as { accepted: number; rejected: ReadonlyArray<unknown> }
        report.accepted += accepted
        report.rejected += rejected.length
        return
      }
      const again = Date.now() + answer.retryAfterMillis
      if ((/^4/.test(answer.status) && answer.status !== "429") || again >= until) break
      await wait(answer.retryAfterMillis)
    }
    report.undelivered += rows
  }

  /** A machine and its agents, which push the same body one shortly after the other, in the order of their places. */
  const live = async (machine: FleetMachine, agents: ReadonlyArray<FleetAgent>): Promise<void> => {
    for (let round = 0; round < task.rounds; round++) {
      const dueOf = ({ place }: FleetAgent) => startsAt + (round + place) * task.intervalMillis
      await wait(Math.max(0, dueOf(agents[0]!) - Date.now()))
      const body = gzipSync(machine.scrape(new Date(), task.intervalMillis / 1_000), { level: 1 })
      await Promise.all(
        agents.map(async (agent) => {
          const due = dueOf(agent)
          await wait(Math.max(0, due - Date.now()))
          report.latest = Math.max(report.latest, Date.now() - due)
          report.pushes += 1
          report.rows += machine.rows
          report.bytes += body.length
          await deliver(agent.token, body, machine.rows, due + task.intervalMillis)
        })
      )
    }
  }

  const tell = () => {
    process.send?.(report)
    report = emptyReport()
  }
  const timer = setInterval(tell, task.intervalMillis)
  await Promise.all(task.machines.map(({ agents }, n) => live(machines[n]!, agents)))
  clearInterval(timer)
  tell()
  agent.destroy()
  process.disconnect()
}

type Mutable<T> = { -readonly [K in keyof T]: T[K] }

const emptyReport = (): Mutable<Omit<SenderReport, "answers">> & { answers: Record<string, number> } => ({
  pushes: 0,
  rows: 0,
  bytes: 0,
  accepted: 0,
  rejected: 0,
  undelivered: 0,
  answers: {},
  latencies: noLatencies(),
  latest: 0
})

const failure = (error: NodeJS.ErrnoException): Answer => ({
  status: error.code ?? "ERROR",
  text: "",
  retryAfterMillis: 1_000
})

if (process.send !== undefined) {
  process.once("message", (task: SenderTask) => {
    const exporters = config.exporters.filter(({ name }) => task.exporters.includes(name))
    const machines = task.machines.map(({ seed }) => makeFleetMachine(exporters, task.groups, seed))
    process.once("message", ({ startsAt }: Begin) => void run(task, machines, startsAt))
    process.send!(READY)
  })
}
