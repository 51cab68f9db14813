/**
 * `nodepulse-agent doctor`, and the agent's part of `nodepulse doctor`: is this machine ready to be watched, and does the
 * server take what it sends?
 *
 * It changes nothing: exporters are scraped once, the token is tried with an empty payload, the spool is only looked at.
 * Bound: each question to the network has the time-out of the config, and there are as many as exporters, plus three.
 */
import * as Fs from "node:fs/promises"
import { dirname } from "node:path"
import { Clock, Duration, Effect, Option, Redacted, Result } from "effect"
import { Command, Flag } from "effect/cli"
import {
  type AgentConfigShape,
  type AgentExporter,
  type AgentServer,
  DEFAULT_CONFIG_PATH,
  isLoopback,
  loadAgentConfig
} from "../../agent/AgentConfig.ts"
import { redactedUrl } from "../../agent/AgentStatus.ts"
import { type ExchangeFailed, type ExchangeResponse, exchange } from "../../agent/HttpExchange.ts"
import { readScrape } from "../../agent/Scraper.ts"
import { formatOf } from "../plugins/Exposition.ts"
import { makeWire } from "../plugins/Wire.ts"
import { conclude, doubtful, type Finding, fine, sizeText, wrong } from "./Diagnosis.ts"

/** The server refuses rows that are further ahead than this; half a minute already shows in charts. */
const SKEW_REFUSED_MILLIS = 10 * 60_000
const SKEW_NOTICED_MILLIS = 30_000
const ANSWER_BYTES = 1024 * 1024

/** All findings about the agent of this machine. */
export const diagnoseAgent = Effect.fnUntraced(function* (path: string | undefined) {
  const loaded = yield* Effect.result(loadAgentConfig(path === undefined ? {} : { path }))
  if (Result.isFailure(loaded)) {
    const advice = `mend ${path ?? DEFAULT_CONFIG_PATH}, then: systemctl restart nodepulse-agent`
    return [wrong("config", loaded.failure.problems.join("; "), advice)]
  }
  const config = loaded.success
  const findings: Array<Finding> = [
    fine("config", `${path ?? DEFAULT_CONFIG_PATH} is valid`),
    ...config.warnings.map((warning) => doubtful("config", warning, "see docs/deployment.md"))
  ]
  for (const exporter of config.exporters) findings.push(yield* checkExporter(exporter))
  for (const name of config.disabled) {
    findings.push(doubtful(name, "is switched off", `set enabled: true in ${path ?? DEFAULT_CONFIG_PATH}`))
  }
  findings.push(...(yield* checkSpool(config.buffer)))
  if (config.server === undefined) {
    findings.push(
      wrong("server", "none is configured", `name server.url and server.token_file in ${path ?? DEFAULT_CONFIG_PATH}`)
    )
  } else {
    findings.push(...(yield* checkServer(config.server)))
  }
  if (config.metrics !== undefined) findings.push(yield* checkRunning(config.metrics))
  return findings
})

const checkExporter = ({ bodyLimit, collector, endpoint, exporter, timeout }: AgentExporter) =>
  Effect.gen(function* () {
    const { name } = exporter
    const shown = redactedUrl(endpoint)
    if (collector === "always") return fine(name, "is served by the built-in collector")
    const request = { method: "GET", url: endpoint, headers: { accept: "text/plain" }, timeout, bodyLimit } as const
    const answer = yield* Effect.result(exchange(request))
    if (Result.isFailure(answer)) {
      const { detail, failure } = answer.failure
      const builtIn = failure === "refused" && exporter.scrape.collector !== undefined && isLoopback(endpoint)
      if (builtIn && collector === "auto") {
        return doubtful(
          name,
          `nothing listens at ${shown}; the built-in collector stands in`,
          `install the exporter, or set collector: always to make that the intention`
        )
      }
      return wrong(name, `${shown}: ${detail}`, "is it running? systemctl status, and its listen address")
    }
    const { body, headers, respondedAt, status } = answer.success
    if (status !== 200) return wrong(name, `${shown} answers HTTP ${status}`, "is the path right? usually /metrics")
    const scrape = readScrape(
      { endpoint, exporter },
      makeWire(exporter),
      body,
      formatOf(headers["content-type"]),
      respondedAt
    )
    if (Result.isFailure(scrape)) {
      return wrong(name, scrape.failure.message, "another program may listen there, or its version is too old")
    }
    const { rows, skipped, skippedReasons } = scrape.success
    if (skipped > 0) {
      return doubtful(
        name,
        `${rows} rows, but ${skipped} parts of the scrape are left out: ${skippedReasons[0]}`,
        `nodepulse-agent plugins parse ${name} shows all of them`
      )
    }
    if (rows === 0)
      return doubtful(name, `${shown} has nothing to report`, "does its own configuration match anything?")
    return fine(name, `${rows} rows from ${shown}`)
  })

const checkSpool = ({ maxBytes, path }: AgentConfigShape["buffer"]): Effect.Effect<ReadonlyArray<Finding>> =>
  Effect.gen(function* () {
    if (path === undefined) {
      return [doubtful("spool", "is in memory: a restart while the server is away loses what waits", "set buffer.path")]
    }
    const place = yield* Effect.promise(async () => {
      const there = await Fs.stat(path).then(
        (stat) => (stat.isDirectory() ? path : undefined),
        () => dirname(path)
      )
      if (there === undefined) return "is no folder"
      try {
        await Fs.access(there, Fs.constants.W_OK)
        const disk = await Fs.statfs(there)
        return { free: disk.bavail * disk.bsize, used: await sizeOf(path) }
      } catch (error) {
        return `cannot be used (${(error as NodeJS.ErrnoException).code})`
      }
    })
    if (typeof place === "string") {
      return [wrong("spool", `${path} ${place}`, "it must be a folder that the agent's user can write to")]
    }
    const room = maxBytes - place.used
    const saw = `${path} holds ${sizeText(place.used)} of ${sizeText(maxBytes)}, ${sizeText(place.free)} are free on its disk`
    if (place.free < room) {
      return [doubtful("spool", saw, "an outage would fill the disk first: free some space, or lower buffer.max_bytes")]
    }
    return [fine("spool", saw)]
  })

/** Bytes of the files of a folder; 0 where there is none. */
const sizeOf = async (path: string): Promise<number> => {
  const names = await Fs.readdir(path).catch(() => [])
  const sizes = await Promise.all(
    names.map((name) =>
      Fs.stat(`${path}/${name}`).then(
        (stat) => stat.size,
        () => 0
      )
    )
  )
  return sizes.reduce((sum, size) => sum + size, 0)
}

const checkServer = (server: AgentServer): Effect.Effect<ReadonlyArray<Finding>> =>
  Effect.gen(function* () {
    const url = `${server.url}/metrics/prometheus`
    const findings: Array<Finding> = []
    const token = yield* Effect.result(server.token)
    if (Result.isFailure(token)) {
      findings.push(
        wrong("token", token.failure.message, "make one on the server: nodepulse token create --server NAME")
      )
    }
    const answer = yield* Effect.result(
      exchange({
        method: "POST",
        url,
        headers: {
          authorization: `Bearer ${Result.isSuccess(token) ? Redacted.value(token.success) : "none"}`,
          "content-type": "application/json"
        },
        body: Buffer.from("{}"),
        timeout: server.timeout,
        bodyLimit: ANSWER_BYTES,
        ...(server.ca === undefined ? {} : { ca: server.ca })
      })
    )
    if (Result.isFailure(answer)) return [...findings, unreachable(server.url, answer.failure)]
    const { headers, respondedAt, status } = answer.success
    findings.push(...verdict(server.url, answer.success, Result.isSuccess(token)))
    if (status < 500) findings.push(...skewOf(headers.date, respondedAt))
    return findings
  })

const unreachable = (url: string, { detail, failure }: ExchangeFailed): Finding => {
  const advice = {
    refused: "does the server run, and listen on this address? systemctl status nodepulse-server, NODEPULSE_HOST",
    unreachable: "is the name right, and is there a route? a firewall may be between",
    broken: "a proxy between closes the connection: see its log",
    tls: "its certificate is not trusted: name its issuer in server.ca_file",
    timeout: "a firewall that drops silently, or a server under too much load",
    "too-large": "this is no NodePulse server",
    encoding: "this is no NodePulse server",
    protocol: "this is no NodePulse server, or http where https is spoken"
  }[failure]
  return wrong("server", `${url} cannot be reached: ${detail}`, advice)
}

const verdict = (url: string, { status }: ExchangeResponse, tokenKnown: boolean): ReadonlyArray<Finding> => {
  if (status === 202) return [fine("server", `${url} takes snapshots`), fine("token", "the server knows it")]
  const reached = fine("server", `${url} answers`)
  if (status === 401 || status === 403) {
    const renew =
      "make a new one on the server (nodepulse token create --server NAME) and put it into server.token_file"
    return tokenKnown ? [reached, wrong("token", `the server refuses it (HTTP ${status})`, renew)] : [reached]
  }
  if (status === 429 || status >= 500) {
    const later =
      "it is busy, or its database or Valkey is away: nodepulse doctor on the server; what was scraped waits"
    return [doubtful("server", `${url} answers HTTP ${status}`, later)]
  }
  return [wrong("server", `${url} answers HTTP ${status}`, "is server.url the address of a NodePulse server?")]
}

/** How far this machine's clock is from the server's, by the header `Date`, which has whole seconds. */
export const skewOf = (date: string | undefined, respondedAt: number): ReadonlyArray<Finding> => {
  const there = Date.parse(date ?? "")
  if (Number.isNaN(there)) return []
  const skew = respondedAt - there
  const text = `${Duration.format(Duration.seconds(Math.round(Math.abs(skew) / 1000)))} ${skew > 0 ? "ahead of" : "behind"} the server`
  const advice = "set the clock: timedatectl set-ntp true"
  if (skew > SKEW_REFUSED_MILLIS) return [wrong("clock", `${text}: its rows are refused`, advice)]
  if (Math.abs(skew) > SKEW_NOTICED_MILLIS) return [doubtful("clock", text, advice)]
  return [fine("clock", "agrees with the server's")]
}

/** Whether the agent itself runs, by its own metrics. */
const checkRunning = ({ host, port }: NonNullable<AgentConfigShape["metrics"]>): Effect.Effect<Finding> =>
  Effect.gen(function* () {
    const where = `${host.includes(":") ? `[${host}]` : host}:${port}`
    const request = {
      method: "GET",
      url: `http://${where}/metrics`,
      headers: {},
      timeout: Duration.seconds(2)
    } as const
    const answer = yield* Effect.result(exchange({ ...request, bodyLimit: ANSWER_BYTES }))
    const off = "systemctl status nodepulse-agent; journalctl -u nodepulse-agent"
    if (Result.isFailure(answer)) return wrong("agent", `does not run: ${where}: ${answer.failure.detail}`, off)
    const text = Buffer.from(answer.success.body).toString("utf8")
    const valueOf = (name: string) => Number(new RegExp(`^${name} (\\S+)$`, "m").exec(text)?.[1])
    const dropped = valueOf("nodepulse_agent_spool_dropped_total")
    const delivered = valueOf("nodepulse_agent_push_last_success_timestamp_seconds")
    if (!text.includes("nodepulse_agent_"))
      return wrong("agent", `${where} is another program's`, "choose another metrics.listen")
    if (dropped > 0) {
      return doubtful(
        "agent",
        `runs, but has dropped ${dropped} scrapes`,
        "the server was away for longer than the spool lasts"
      )
    }
    if (Number.isNaN(delivered)) {
      return doubtful("agent", "runs, but has delivered nothing yet", "wait for 30 s; else the lines above say why")
    }
    const now = yield* Clock.currentTimeMillis
    const ago = Duration.format(Duration.seconds(Math.max(0, Math.round(now / 1000 - delivered))))
    return fine("agent", `runs, and delivered ${ago} ago`)
  })

export const configFlag = Flag.String("config").pipe(
  Flag.withAlias("c"),
  Flag.withDescription(`The agent's configuration; ${DEFAULT_CONFIG_PATH} where none is named`),
  Flag.optional
)

/** The command of the agent's own package. */
export const agentDoctorCommand = Command.make(
  "doctor",
  { config: configFlag },
  Effect.fnUntraced(function* ({ config }) {
    yield* conclude(yield* diagnoseAgent(Option.getOrUndefined(config)))
  })
).pipe(
  Command.withDescription(
    "Check this machine: exporters, configuration, spool, server, token, clock; say what to do. Exits 1 where something is wrong."
  )
)
