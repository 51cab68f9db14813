/**
 * `nodepulse-agent doctor`, and the agent's part of `nodepulse doctor`: is this machine ready to be watched, and does the
 * server take what it sends?
 *
 * It changes nothing: exporters are scraped once, the token is tried with an empty payload, the spool is only looked at.
 * Bound: each question to the network has the time-out of the config, and there are as many as exporters, plus three.
 */
import * as Fs from "node:fs/promises"
import { userInfo } from "node:os"
import { resolve } from "node:path"
import { Clock, Duration, Effect, Option, Redacted, Result } from "effect"
import { Command, Flag } from "effect/cli"
import {
  type AgentConfigShape,
  type AgentExporter,
  type AgentServer,
  connectionOf,
  DEFAULT_CONFIG_PATH,
  isLocal,
  loadAgentConfig
} from "../../agent/config/AgentConfig.ts"
import { readConfigDocument } from "../../agent/config/ConfigDocument.ts"
import { redactedUrl } from "../../agent/config/ShownUrl.ts"
import { type ExchangeFailed, type ExchangeResponse, exchange } from "../../agent/scrape/HttpExchange.ts"
import { cureOf, cureOfStatus, statusDetail } from "../../agent/scrape/ScrapeError.ts"
import { readScrape } from "../../agent/scrape/Scraper.ts"
import { scrapeRequest } from "../../agent/scrape/ScrapeSource.ts"
import { lockHolder } from "../../agent/spool/SpoolLock.ts"
import { formatOf } from "../plugins/Exposition.ts"
import { Registry } from "../plugins/Registry.ts"
import { makeWire } from "../plugins/Wire.ts"
import { clipped } from "../protocol/PrintableText.ts"
import { conclude, doubtful, type Finding, fine, sizeText, wrong } from "./Diagnosis.ts"
import { checkAccounting } from "./DoctorAccounting.ts"
import { checkNode, checkPlaces, checkUnit, environmentLayer, existing, type Place } from "./DoctorHost.ts"
import { environmentOf, flagOf, readUnit, type Unit } from "./SystemdUnit.ts"
import { userIdOf } from "./UnitUser.ts"

/** The server refuses rows that are further ahead than this; half a minute already shows in charts. */
const SKEW_REFUSED_MILLIS = 10 * 60_000
const SKEW_NOTICED_MILLIS = 30_000
const ANSWER_BYTES = 1024 * 1024

const UNIT = "nodepulse-agent.service"
const LOG = "systemctl status nodepulse-agent; journalctl -u nodepulse-agent"

/**
 * All findings about the agent of this machine: as its unit runs it, where there is a unit and nobody names another
 * configuration.
 */
export const diagnoseAgent = Effect.fnUntraced(function* (named: string | undefined) {
  const installed = yield* readUnit(UNIT)
  const configured = installed === undefined ? undefined : flagOf(installed, "--config", "-c")
  const unit = named === undefined || named === configured ? installed : undefined
  const path = named ?? configured
  return yield* diagnose(unit, path).pipe(Effect.provide(environmentLayer(unit)))
})

const diagnose = Effect.fnUntraced(function* (unit: Unit | undefined, named: string | undefined) {
  const path = named ?? DEFAULT_CONFIG_PATH
  if (unit?.isMasked === true) return yield* checkUnit(unit)
  const host: Array<Finding> = [yield* checkNode(unit), ...(yield* checkUnit(unit))]
  const environment = unit === undefined ? process.env : environmentOf(unit, process.env)
  const who = unit?.user === undefined ? undefined : { user: unit.user, group: unit.group }
  const runsAs = who === undefined ? undefined : ((yield* userIdOf(who)) ?? "any")
  const loaded = yield* Effect.result(
    loadAgentConfig(named === undefined ? { environment, runsAs } : { environment, runsAs, path: named })
  )
  if (Result.isFailure(loaded)) {
    return [...host, ...loaded.failure.problems.map((problem) => unusable(path, problem))]
  }
  const config = loaded.success
  const findings: Array<Finding> = [
    ...host,
    fine("config", `${path} is valid`),
    ...config.warnings.map((warning) => doubtful("config", warning, "see docs/deployment.md")),
    ...(yield* checkPlaces(unit, yield* filesOf(path)))
  ]
  for (const exporter of config.exporters) findings.push(yield* checkExporter(exporter))
  if (config.accounting !== undefined) findings.push(checkAccounting(config.accounting.file))
  for (const name of config.disabled) {
    findings.push(doubtful(name, "is switched off", `set enabled: true in ${path}`))
  }
  findings.push(...(yield* checkSpool(unit, config.buffer)))
  if (config.server === undefined) {
    findings.push(wrong("server", "none is configured", `name server.url and server.token_file in ${path}`))
  } else {
    findings.push(...(yield* checkServer(config.server)))
  }
  findings.push(...(yield* checkRunning(config)))
  return findings
})

/** What keeps the configuration from being used: the file itself, or one that it names. */
const unusable = (path: string, problem: string): Finding => {
  if (problem.includes("(EACCES)")) {
    const check = problem.startsWith("server.token_file") ? "token" : "config"
    return wrong(check, problem, `${userInfo().username} may not read it: ask as root, sudo nodepulse-agent doctor`)
  }
  if (problem.startsWith("server.token_file")) {
    return wrong("token", problem, ENROL)
  }
  if (problem.startsWith("server.ca_file")) {
    return wrong(
      "config",
      problem,
      "put the certificate of the server's issuer there, as PEM (-----BEGIN CERTIFICATE-----)"
    )
  }
  return wrong("config", problem, `mend ${path}, then: systemctl restart nodepulse-agent`)
}

/** The files that the agent reads when it starts. */
const filesOf = (path: string): Effect.Effect<ReadonlyArray<Place>, never, Registry> =>
  Effect.gen(function* () {
    const { exporters } = yield* Registry
    const text = yield* Effect.promise(() => Fs.readFile(path, "utf8").catch(() => undefined))
    if (text === undefined) return []
    const names = exporters.map(({ name }) => name)
    const document = Result.getOrUndefined(readConfigDocument(text, names))
    const place = (check: string, what: string, file: string | undefined): ReadonlyArray<Place> =>
      file === undefined ? [] : [{ check, what, path: resolve(file), wants: "read" }]
    return [
      ...place("config", "the configuration", path),
      ...place("token", "the token", document?.server?.token_file),
      ...place("accounting", "the accounting file", document?.accounting?.file),
      ...[document?.server, ...(document?.exporters ?? [])].flatMap((section) => [
        ...place("config", "the certificate", section?.ca_file),
        ...place("config", "the certificate", section?.cert_file),
        ...place("config", "the certificate's key", section?.key_file)
      ])
    ]
  })

const checkExporter = (settings: AgentExporter) =>
  Effect.gen(function* () {
    const { collector, endpoint, exporter, listed } = settings
    const { name } = exporter
    const shown = redactedUrl(endpoint)
    if (collector === "always") return fine(name, "is served by the built-in collector")
    const answer = yield* Effect.result(exchange(yield* scrapeRequest(settings, "nodepulse-doctor")))
    if (Result.isFailure(answer)) {
      const { detail, failure } = answer.failure
      const builtIn = failure === "refused" && exporter.scrape.collector !== undefined && isLocal(endpoint)
      // Others are better than their stand-in; of what a machine may lack, the built-in collector is as good.
      if (
        failure === "refused" &&
        exporter.scrape.optional &&
        collector === "auto" &&
        endpoint === exporter.scrape.endpoint
      ) {
        return fine(name, "is served by the built-in collector, where this machine has what it tells of")
      }
      if (builtIn && collector === "auto") {
        return doubtful(
          name,
          `nothing listens at ${shown}; the built-in collector stands in`,
          `install the exporter, or set collector: always to make that the intention`
        )
      }
      if (failure === "refused" && !listed && isLocal(endpoint)) {
        return doubtful(
          name,
          `nothing listens at ${shown}`,
          `install the exporter, or, where this machine is not to have it, list it with enabled: false in nodepulse.yml`
        )
      }
      const cure = failure === "too-large" ? cureOf(failure) : "is it running? systemctl status, and its listen address"
      return wrong(name, `${shown}: ${detail}`, cure)
    }
    const { body, headers, respondedAt, status } = answer.success
    if (status !== 200) {
      const saw = `${shown} answers ${statusDetail(status, headers.location)}`
      return wrong(name, saw, cureOfStatus(status))
    }
    const scrape = readScrape(settings, makeWire(exporter), body, formatOf(headers["content-type"]), respondedAt)
    if (Result.isFailure(scrape)) {
      const advice = scrape.failure._tag === "ScrapeDown" ? scrape.failure.cure : OTHER_PROGRAM
      return wrong(name, scrape.failure.message, advice)
    }
    const { rows, skipped, skippedReasons } = scrape.success
    if (skipped > 0) {
      return doubtful(
        name,
        `${rows} rows, but ${skipped} parts of the scrape are left out: ${skippedReasons[0]}`,
        `nodepulse-agent plugins parse ${name} shows all of them`
      )
    }
    const { empty } = exporter.scrape
    if (rows === 0 && empty !== undefined) {
      const standIn = collector === "auto" && exporter.scrape.collector !== undefined && isLocal(endpoint)
      const saw = `${shown} answers, but ${empty.complaint}`
      return wrong(name, standIn ? `${saw}; the built-in collector stands in` : saw, empty.remedy.join("; "))
    }
    if (rows === 0)
      return doubtful(name, `${shown} has nothing to report`, "does its own configuration match anything?")
    return fine(name, `${rows} rows from ${shown}`)
  })

const checkSpool = (
  unit: Unit | undefined,
  { maxBytes, path }: AgentConfigShape["buffer"]
): Effect.Effect<ReadonlyArray<Finding>> =>
  Effect.gen(function* () {
    if (path === undefined) {
      return [doubtful("spool", "is in memory: a restart while the server is away loses what waits", "set buffer.path")]
    }
    const folder = resolve(unit?.workingDirectory ?? ".", path)
    const broken = yield* checkPlaces(unit, [{ check: "spool", what: "the spool", path: folder, wants: "write" }])
    if (broken.length > 0) return broken
    const used = yield* Effect.promise(() => sizeOf(folder))
    const disk = yield* Effect.promise(async () => Fs.statfs(await existing(folder)))
    const free = disk.bavail * disk.bsize
    const saw = `${folder} holds ${sizeText(used)} of ${sizeText(maxBytes)}, ${sizeText(free)} are free on its disk`
    if (free < maxBytes - used) {
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
      findings.push(wrong("token", token.failure.message, ENROL))
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
        ...(yield* connectionOf(server))
      })
    )
    if (Result.isFailure(answer)) return [...findings, unreachable(redactedUrl(server.url), answer.failure)]
    const { headers, respondedAt, status } = answer.success
    findings.push(...verdict(redactedUrl(server.url), answer.success, Result.isSuccess(token)))
    if (status < 500) findings.push(...skewOf(headers.date, respondedAt))
    return findings
  })

const unreachable = (url: string, { detail, failure }: ExchangeFailed): Finding => {
  const advice = {
    refused: "does the server run, and listen on this address? systemctl status nodepulse-server, NODEPULSE_HOST",
    unreachable: "is the name right, and is there a route? a firewall may be between",
    broken: "a proxy between closes the connection: see its log",
    tls: cureOfTls(detail, new URL(url).hostname),
    timeout: "a firewall that drops silently, or a server under too much load",
    "too-large": "this is no NodePulse server",
    encoding: "this is no NodePulse server",
    protocol: "this is no NodePulse server, or http where https is spoken",
    proxy: "correct HTTPS_PROXY or server.proxy, or name the server in NO_PROXY"
  }[failure]
  return wrong("server", `${url} cannot be reached: ${detail}`, advice)
}

/** What helps against a certificate, by what Node says is wrong with it. */
const cureOfTls = (detail: string, host: string): string => {
  if (/does not match certificate|altname/i.test(detail)) {
    return `the certificate is for other names: use one of them in server.url, or give the server one for ${host}`
  }
  if (/has expired/i.test(detail)) return "renew the server's certificate; is this machine's clock right? timedatectl"
  if (/not yet valid/i.test(detail)) return "is this machine's clock right? timedatectl set-ntp true"
  if (/speak TLS|wrong version|packet length/i.test(detail)) {
    return "http is spoken on this port: write http:// in server.url, or name the port of https"
  }
  if (/self.signed|unable to (verify|get)|issuer/i.test(detail)) {
    return "its certificate is not trusted: name its issuer in server.ca_file"
  }
  return `look at what is offered there: openssl s_client -connect ${host}:443 -servername ${host}`
}

/** What the server says of its trouble, in one line that a terminal can show. */
const detailOf = (body: Uint8Array): string => {
  try {
    const { detail } = JSON.parse(Buffer.from(body).toString("utf8")) as { readonly detail?: unknown }
    return typeof detail === "string" ? `: ${clipped(detail, 300)}` : ""
  } catch {
    return ""
  }
}

const verdict = (
  url: string,
  { body, headers, status }: ExchangeResponse,
  tokenKnown: boolean
): ReadonlyArray<Finding> => {
  if (status === 202) return [fine("server", `${url} takes snapshots`), fine("token", "the server knows it")]
  const reached = fine("server", `${url} answers`)
  if (status === 401 || status === 403) {
    return tokenKnown ? [reached, wrong("token", `the server refuses it (HTTP ${status})`, ENROL_AGAIN)] : [reached]
  }
  if (status === 429 || status >= 500) {
    const later =
      "it is busy, or its database or Valkey is away: nodepulse doctor on the server; what was scraped waits"
    return [doubtful("server", `${url} answers HTTP ${status}${detailOf(body)}`, later)]
  }
  if (status === 409) return [reached, wrong("token", `another machine reports with it${detailOf(body)}`, OWN_TOKEN)]
  if (status >= 300 && status < 400) {
    const saw = `${url} answers ${statusDetail(status, headers.location)}`
    return [wrong("server", saw, "name the address that it redirects to in server.url: a push follows no redirect")]
  }
  return [wrong("server", `${url} answers HTTP ${status}`, "is server.url the address of a NodePulse server?")]
}

const OTHER_PROGRAM = "another program may listen there, or its version is too old"

/** As a server of its own. */
const ENROL =
  "on the server: nodepulse token create --kind enrolment; here, with what that prints: nodepulse-agent agent enroll --replace"
const OWN_TOKEN = `give this machine a token of its own: ${ENROL}`
/** As the server that it was. */
const ENROL_AGAIN =
  "on the server: nodepulse token create --kind enrolment --server ID; here, with what that prints: nodepulse-agent agent enroll --replace"

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

/** Whether the agent itself runs: by its own metrics, else by who holds its spool. */
const checkRunning = ({ buffer, metrics }: AgentConfigShape): Effect.Effect<ReadonlyArray<Finding>> =>
  Effect.gen(function* () {
    if (metrics !== undefined) return [yield* checkMetrics(metrics, buffer.path !== undefined)]
    if (buffer.path === undefined) return []
    const holder = yield* lockHolder(resolve(buffer.path))
    return holder === undefined
      ? [doubtful("agent", `does not run: nobody holds ${buffer.path}`, LOG)]
      : [fine("agent", `runs as process ${holder}`)]
  })

const checkMetrics = (
  { host, port }: NonNullable<AgentConfigShape["metrics"]>,
  isOnDisk: boolean
): Effect.Effect<Finding> =>
  Effect.gen(function* () {
    const where = `${host.includes(":") ? `[${host}]` : host}:${port}`
    const request = {
      method: "GET",
      url: `http://${where}/metrics`,
      headers: {},
      timeout: Duration.seconds(2)
    } as const
    const answer = yield* Effect.result(exchange({ ...request, bodyLimit: ANSWER_BYTES }))
    if (Result.isFailure(answer)) return wrong("agent", `does not run: ${where}: ${answer.failure.detail}`, LOG)
    const text = Buffer.from(answer.success.body).toString("utf8")
    if (!text.includes("nodepulse_agent_"))
      return wrong("agent", `${where} is another program's`, "choose another metrics.listen")
    return verdictOfMetrics(text, isOnDisk, yield* Clock.currentTimeMillis)
  })

/** What a running agent's own metrics say of it. Pure. */
const verdictOfMetrics = (text: string, isOnDisk: boolean, now: number): Finding => {
  const valueOf = (sample: string) => {
    const escaped = sample.replace(/[{}]/g, "\\$&")
    return Number(new RegExp(`^${escaped} (\\S+)$`, "m").exec(text)?.[1])
  }
  if (valueOf('nodepulse_agent_push_state{state="delivering"}') !== 1) {
    if (valueOf('nodepulse_agent_push_requests_total{status="409"}') > 0) {
      return wrong("agent", "runs, but another machine reports with its token (HTTP 409)", OWN_TOKEN)
    }
    if (valueOf('nodepulse_agent_push_state{state="misconfigured"}') === 1) {
      return wrong(
        "agent",
        "runs, but the server refuses what it sends",
        "see the lines above; journalctl -u nodepulse-agent"
      )
    }
  }
  if (isOnDisk && valueOf("nodepulse_agent_spool_durable") === 0) {
    const cure = "the line of the spool says why, else journalctl -u nodepulse-agent; it is tried again by itself"
    return wrong("agent", "runs, but cannot write its spool: what waits is lost when it stops", cure)
  }
  const dropped = valueOf("nodepulse_agent_spool_dropped_total")
  if (dropped > 0) {
    const cure = "the server was away for longer than the spool lasts"
    return doubtful("agent", `runs, but has dropped ${dropped} scrapes`, cure)
  }
  const factor = valueOf("nodepulse_agent_interval_factor")
  const over = ["cpu", "memory"].filter((budget) => valueOf(`nodepulse_agent_restrained{budget="${budget}"}`) === 1)
  if (over.length > 0) {
    const less = factor > 1 ? `, and scrapes ${factor} times less often` : ""
    const cure = `${over.map((each) => `budget.${each}`).join(", ")} in nodepulse.yml lets it use more; nodepulse_agent_ metrics say what it uses`
    return doubtful("agent", `runs, and holds back to keep within its budget of ${over.join(" and ")}${less}`, cure)
  }
  const delivered = valueOf("nodepulse_agent_push_last_success_timestamp_seconds")
  if (Number.isNaN(delivered)) {
    return doubtful("agent", "runs, but has delivered nothing yet", "wait for 30 s; else the lines above say why")
  }
  const ago = Duration.format(Duration.seconds(Math.max(0, Math.round(now / 1000 - delivered))))
  return fine("agent", `runs, and delivered ${ago} ago`)
}

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
