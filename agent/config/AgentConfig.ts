/**
 * What the agent is to do: `/etc/nodepulse/nodepulse.yml` with its defaults filled in from the plugin registry.
 *
 * ```yaml
 * server:
 *   url: "https://nodepulse.example.org"
 *   token_file: "/etc/nodepulse/token"  # or token: "…"
 *   timeout: "10s"                      # 1s to 2m, for one request
 *   ca_file: "/etc/nodepulse/ca.pem"    # a private authority, instead of the built-in ones
 *   cert_file: "/etc/nodepulse/agent.pem"  # what the agent shows of itself, with key_file
 *   key_file: "/etc/nodepulse/agent.key"
 *   proxy: "http://proxy:3128"          # or none; absent: HTTPS_PROXY, HTTP_PROXY, NO_PROXY
 * buffer:
 *   path: "/var/lib/nodepulse/spool"    # absent: in memory
 *   max_bytes: "256MiB"
 *   max_age: "24h"
 * labels:
 *   server_name: "web-1"                # what the agent calls itself; absent: the host name
 * budget:                               # docs/deployment.md: what the agent does without where it needs more
 *   cpu: "5%"                           # of one core, 0.1 % to 100 %, or none
 *   memory: "192MiB"                    # 64 MiB to 16 GiB, or none
 * accounting:
 *   file: "/var/log/account/pacct"      # names short-lived processes; absent: not (docs/short-lived.md)
 * recorder:
 *   enabled: true                       # docs/flight-recorder.md
 * exporters:
 *   - name: "<exporter>"                # of the registry
 *     enabled: true
 *     endpoint: "http://127.0.0.1:9999/metrics"  # or https://…, or unix:///run/exporter.sock:/metrics
 *     ca_file: "/etc/nodepulse/ca.pem"  # and cert_file, key_file: as for the server
 *     interval: "15s"                   # 1s to 1h
 *     timeout: "5s"                     # less than the interval
 *     body_limit: "4MiB"                # these four: agent/scrape/ScrapeLimits.ts
 *     series_limit: 50000
 *     line_limit: "16KiB"
 *     label_limit: "4KiB"
 *     collector: "auto"                 # built in: auto, always, never
 * process_names:                        # how the built-in collector groups processes; absent: by what they run
 *   - name: "{{.Comm}}"                 # agent/collector/names/ConfiguredNames.ts
 *     cmdline: [".+"]
 * process_names_file: "/etc/process-exporter/config.yml"  # or a file that has them
 * ```
 *
 * There are no other labels than the server's name: a row has no place for them, and which server it belongs to is the
 * token's to say.
 *
 * Guarantee: either every value is valid, or the agent does not start and says all that is wrong (`ConfigDocument.ts`).
 * An exporter of the registry that the file does not mention is enabled with its own defaults, one with `optIn` where what it needs
 * is configured. Without a file where none
 * was named: all defaults, and a warning. The token is redacted from the moment it is read.
 */
import * as Fs from "node:fs/promises"
import { hostname } from "node:os"
import { Context, Duration, Effect, Layer, Redacted, Result, Schema } from "effect"
import type { Exporter } from "../../src/plugins/Exporter.ts"
import { Registry } from "../../src/plugins/Registry.ts"
import { type FileOwner, readSecretFile } from "../../src/SecretFile.ts"
import { problemsIn } from "../../src/YamlDocument.ts"
import type { Budget } from "../budget/Budget.ts"
import type { ProcessNames } from "../collector/names/ProcessNames.ts"
import { userNames } from "../collector/names/UserNames.ts"
import type { Connection } from "../scrape/Dial.ts"
import { SCRAPE_LIMITS, type ScrapeLimits } from "../scrape/ScrapeLimits.ts"
import { type ConfigDocument, readConfigDocument, TEXT_BYTES_MAX } from "./ConfigDocument.ts"
import { readConfigText } from "./ConfigText.ts"
import { isToken } from "./ConfigValue.ts"
import { configuredNames } from "./ProcessNamesSetting.ts"
import { type ProxyEnvironment, proxyFor } from "./ProxySettings.ts"
import { redactedUrl } from "./ShownUrl.ts"
import { isSocketAddress } from "./SocketAddress.ts"
import { loadTls, type TlsFiles } from "./TlsFiles.ts"

/** The file cannot be used. Not retryable: it has to be mended. */
export class AgentConfigInvalid extends Schema.TaggedError<AgentConfigInvalid>()("AgentConfigInvalid", {
  path: Schema.String,
  problems: Schema.Array(Schema.String)
}) {
  readonly retryable = false
  override get message(): string {
    return problemsIn(this.path, this.problems)
  }
}

/** There is no usable token where the config says. Retryable: it may be put there while the agent runs. */
export class TokenUnreadable extends Schema.TaggedError<TokenUnreadable>()("TokenUnreadable", {
  path: Schema.String,
  reason: Schema.String
}) {
  readonly retryable = true
  override get message(): string {
    return `server.token_file ${this.path}: ${this.reason}`
  }
}

export interface AgentServer {
  /** Without a slash at its end. */
  readonly url: string
  /** Read anew each time, so that a renewed token file is picked up. */
  readonly token: Effect.Effect<Redacted.Redacted<string>, TokenUnreadable>
  readonly timeout: Duration.Duration
  /** Certificates to trust instead of the built-in ones, PEM: a private authority. */
  readonly ca: string | undefined
  /** Certificates and proxy, read anew each time; absent: nothing but `ca`. */
  readonly connection?: Effect.Effect<Connection>
}

/** What a connection to the server needs beside its address. */
export const connectionOf = ({ ca, connection }: AgentServer): Effect.Effect<Connection> =>
  connection ?? Effect.succeed(ca === undefined ? {} : { ca })

export interface AgentExporter {
  readonly exporter: Exporter
  /** Whether the configuration lists it: then somebody expects it to run on this machine. Absent: it does not. */
  readonly listed?: boolean
  readonly endpoint: string
  readonly interval: Duration.Duration
  readonly timeout: Duration.Duration
  /** Bytes of a scrape's body, decompressed. */
  readonly bodyLimit: number
  /** The others; absent: their defaults. */
  readonly limits?: Omit<ScrapeLimits, "body">
  /** Whether the built-in collector stands in where the endpoint refuses connections, always serves, or never. */
  readonly collector: "auto" | "always" | "never"
  /** Certificates, read anew each time; absent: none. */
  readonly connection?: Effect.Effect<Connection>
}

export interface AgentConfigShape {
  /** What this machine is called in logs and in the user agent; it also spreads scrapes of a fleet. The server's id comes with its token. */
  readonly serverName: string
  /** Undefined: there is nowhere to push to. */
  readonly server: AgentServer | undefined
  readonly buffer: {
    /** Undefined: in memory. */
    readonly path: string | undefined
    readonly maxBytes: number
    readonly maxAge: Duration.Duration
  }
  /** Where the agent serves its own metrics; undefined: nowhere. */
  readonly metrics?: { readonly host: string; readonly port: number } | undefined
  /** What the agent's process may use; absent: nobody watches. */
  readonly budget?: Budget | undefined
  /** The file of the kernel's process accounting; undefined: it is not read. */
  readonly accounting?: { readonly file: string } | undefined
  /** The flight recorder; absent: it is enabled. */
  readonly recorder?: { readonly enabled: boolean } | undefined
  /** Those that are enabled, in the registry's order. */
  readonly exporters: ReadonlyArray<AgentExporter>
  /** What the process that the agent runs in is called among the others; absent: `nodepulse-agent`. */
  readonly selfName?: string
  /** How the built-in collector names processes; undefined: by what they run. */
  readonly processNames?: ProcessNames | undefined
  /** Names of those that are switched off. One that nobody asked for is not among them. */
  readonly disabled: ReadonlyArray<string>
  /** What an operator should know, but that does not keep the agent from working. */
  readonly warnings: ReadonlyArray<string>
}

export const DEFAULT_CONFIG_PATH = "/etc/nodepulse/nodepulse.yml"

export interface AgentConfigOptions {
  /** A file that was named must exist. Absent: `/etc/nodepulse/nodepulse.yml`, which may be missing. */
  readonly path?: string
  /** Where `HTTPS_PROXY` and its like are looked up; the process's own by default. */
  readonly environment?: ProxyEnvironment
  /**
   * For the agent inside a server, which has its own address, token and spool: what the file says of those is not used, and
   * its files are not read. All else holds as for any agent. A default file that this user may not read is as good as none.
   */
  readonly embedded?: boolean
  /** The user that the agent runs as, where that is not the one who asks: its secrets may belong to it. */
  readonly runsAs?: FileOwner | undefined
}

export class AgentConfig extends Context.Service<AgentConfig, AgentConfigShape>()("nodepulse/agent/AgentConfig") {
  static readonly layer = (options: AgentConfigOptions = {}): Layer.Layer<AgentConfig, AgentConfigInvalid, Registry> =>
    Layer.effect(AgentConfig, loadAgentConfig(options))
}

/** Reads the file and what it refers to. */
export const loadAgentConfig = (
  options: AgentConfigOptions
): Effect.Effect<AgentConfigShape, AgentConfigInvalid, Registry> =>
  Effect.gen(function* () {
    const { exporters } = yield* Registry
    const path = options.path ?? DEFAULT_CONFIG_PATH
    const refuse = (...problems: ReadonlyArray<string>) => new AgentConfigInvalid({ path, problems })
    const empty = options.embedded === true ? embedded({}) : {}
    const file = yield* readConfigText(path, TEXT_BYTES_MAX)
    if (Result.isFailure(file)) {
      if (options.embedded === true && options.path === undefined && file.failure.code === "EACCES") {
        const warning = `${path} may not be read by this user: all settings have their defaults`
        return withDefaults(empty, exporters, undefined, [warning])
      }
      if (file.failure.code !== "ENOENT" || options.path !== undefined) {
        return yield* refuse(`the file cannot be read (${file.failure.code})`)
      }
      const missing = options.embedded === true ? [] : [`there is no ${path}: all settings have their defaults`]
      return withDefaults(empty, exporters, undefined, missing)
    }
    const document = readConfigDocument(
      file.success,
      exporters.map(({ name }) => name)
    )
    if (Result.isFailure(document)) return yield* refuse(...document.failure)
    const used = options.embedded === true ? embedded(document.success) : document.success
    const warnings: Array<string> = options.embedded === true ? unused(path, document.success) : []
    const section = used.server
    const connections = yield* connectionsOf(used, options)
    if (Result.isFailure(connections)) return yield* refuse(...connections.failure)
    warnings.push(...connections.success.warnings)
    if (section?.token_file !== undefined) {
      const read = yield* Effect.result(readToken(section.token_file, options.runsAs))
      if (Result.isFailure(read)) return yield* refuse(read.failure.message)
      warnings.push(...(yield* exposed(section.token_file, "server.token_file")))
    }
    if (section?.token !== undefined) warnings.push(...(yield* exposed(path, "the file, with server.token in it,")))
    const names = yield* configuredNames(used, userNames("/etc/passwd"))
    if (Result.isFailure(names)) return yield* refuse(...names.failure)
    warnings.push(...(names.success?.warnings ?? []))
    const config = {
      ...connected(withDefaults(used, exporters, undefined, warnings, options.runsAs), connections.success),
      processNames: names.success?.names
    }
    for (const { exporter, interval, timeout } of config.exporters) {
      if (Duration.isLessThan(timeout, interval)) continue
      const [limit, given] = [Duration.format(interval), Duration.format(timeout)]
      return yield* refuse(
        `exporter "${exporter.name}": its timeout is ${given}, but must be less than its interval (${limit})`
      )
    }
    return config
  })

/** What holds for the agent inside a server. */
const embedded = ({ buffer, server: _, ...rest }: ConfigDocument): ConfigDocument => {
  const { path: __, ...bounds } = buffer ?? {}
  // What the process uses is the server's.
  return { ...rest, buffer: bounds, budget: { cpu: null, memory: null } }
}

const unused = (path: string, { budget, buffer, server }: ConfigDocument): Array<string> => {
  const keys = [
    ...(server === undefined ? [] : ["server"]),
    ...(buffer?.path === undefined ? [] : ["buffer.path"]),
    ...(budget === undefined ? [] : ["budget"])
  ]
  return keys.length === 0
    ? []
    : [
        `${keys.join(" and ")} in ${path} ${keys.length === 1 ? "is" : "are"} for an agent of its own: this one delivers to the server that it runs in, and keeps its spool in the data folder`
      ]
}

/** The config of a document. Pure, but for the machine's name. */
export const withDefaults = (
  document: ConfigDocument,
  exporters: ReadonlyArray<Exporter>,
  ca: string | undefined,
  warnings: ReadonlyArray<string>,
  tokenOwner?: FileOwner
): AgentConfigShape => {
  const sections = new Map((document.exporters ?? []).map((section) => [section.name, section]))
  const wanted = exporters.filter(
    ({ name, scrape }) =>
      !scrape.optIn || sections.has(name) || (scrape.collector === "accounting" && document.accounting !== undefined)
  )
  const enabled = wanted.filter(({ name }) => sections.get(name)?.enabled !== false)
  const { buffer, labels, metrics, recorder, server } = document
  return {
    serverName: labels?.server_name ?? hostname(),
    server:
      server === undefined
        ? undefined
        : {
            url: withoutSlashes(server.url),
            token:
              server.token_file === undefined
                ? Effect.succeed(Redacted.make(server.token ?? ""))
                : readToken(server.token_file, tokenOwner),
            timeout: Duration.millis(server.timeout ?? PUSH_TIMEOUT_MILLIS),
            ca
          },
    buffer: {
      path: buffer?.path,
      maxBytes: buffer?.max_bytes ?? BUFFER_BYTES,
      maxAge: Duration.millis(buffer?.max_age ?? BUFFER_MILLIS)
    },
    metrics: metrics?.listen,
    budget: {
      cpuPercent: orNone(document.budget?.cpu, BUDGET_CPU_PERCENT),
      memoryBytes: orNone(document.budget?.memory, BUDGET_MEMORY_BYTES)
    },
    accounting: document.accounting,
    recorder: { enabled: recorder?.enabled ?? true },
    exporters: enabled.map((exporter) => agentExporter(exporter, sections.get(exporter.name))),
    disabled: wanted.filter((exporter) => !enabled.includes(exporter)).map(({ name }) => name),
    warnings: server === undefined ? warnings : [...warnings, ...unencrypted(server.url)]
  }
}

/** What is not set has its default, what is set to none is undefined. */
const orNone = (value: number | null | undefined, usual: number): number | undefined =>
  value === undefined ? usual : (value ?? undefined)

interface Connections {
  readonly server: Effect.Effect<Connection>
  readonly exporters: ReadonlyMap<string, Effect.Effect<Connection>>
  readonly warnings: ReadonlyArray<string>
}

/** The certificates that the document names, and the proxy that leads to its server; or all that is wrong with them. */
const connectionsOf = (
  document: ConfigDocument,
  { environment = process.env, runsAs }: AgentConfigOptions
): Effect.Effect<Result.Result<Connections, ReadonlyArray<string>>> =>
  Effect.gen(function* () {
    const problems: Array<string> = []
    const warnings: Array<string> = []
    const load = Effect.fnUntraced(function* (section: string, files: TlsFiles, url: string | undefined) {
      const tls = yield* loadTls(section, files, runsAs)
      if (Result.isFailure(tls)) problems.push(tls.failure)
      if (files.key_file !== undefined) warnings.push(...(yield* exposed(files.key_file, `${section}.key_file`)))
      const unused = TLS_KEYS.filter((key) => files[key] !== undefined).map((key) => `${section}.${key}`)
      if (unused.length > 0 && url !== undefined && !url.startsWith("https:")) {
        warnings.push(`${unused.join(", ")} of no use: the address does not begin with "https://"`)
      }
      return Result.getOrElse(tls, () => Effect.succeed({}))
    })
    const { server } = document
    const files = yield* load("server", server ?? {}, server?.url)
    const proxy = server === undefined ? Result.succeed(undefined) : proxyFor(server.url, environment, server.proxy)
    if (Result.isFailure(proxy)) problems.push(proxy.failure)
    const way = Result.getOrElse(proxy, () => undefined)
    const exporters = new Map<string, Effect.Effect<Connection>>()
    for (const [index, section] of (document.exporters ?? []).entries()) {
      exporters.set(section.name, yield* load(`exporters[${index}]`, section, section.endpoint))
    }
    return problems.length > 0
      ? Result.fail(problems)
      : Result.succeed({
          server: way === undefined ? files : Effect.map(files, (tls) => ({ ...tls, proxy: way })),
          exporters,
          warnings
        })
  })

const TLS_KEYS = ["ca_file", "cert_file", "key_file"] as const

const connected = (config: AgentConfigShape, { exporters, server }: Connections): AgentConfigShape => ({
  ...config,
  server: config.server === undefined ? undefined : { ...config.server, connection: server },
  exporters: config.exporters.map((each) => {
    const connection = exporters.get(each.exporter.name)
    return connection === undefined ? each : { ...each, connection }
  })
})

/** Twice what it uses with 500 processes in 80 units on a machine that is overloaded, nearly three times on a quiet one (bench/agent-whole.ts). */
const BUDGET_CPU_PERCENT = 5
const BUDGET_MEMORY_BYTES = 192 * 1024 * 1024
const PUSH_TIMEOUT_MILLIS = 10_000
const BUFFER_BYTES = 256 * 1024 * 1024
const BUFFER_MILLIS = 24 * 3600 * 1000
/** Where an interval is so short that the exporter's own timeout does not fit into it. */
const TIMEOUT_PART_OF_INTERVAL = 0.8

const agentExporter = (
  exporter: Exporter,
  section: NonNullable<ConfigDocument["exporters"]>[number] | undefined
): AgentExporter => {
  const interval = section?.interval ?? Duration.toMillis(exporter.scrape.interval)
  const declared = Duration.toMillis(exporter.scrape.timeout)
  const ownTimeout = declared < interval ? declared : Math.floor(interval * TIMEOUT_PART_OF_INTERVAL)
  return {
    exporter,
    listed: section !== undefined,
    endpoint: section?.endpoint ?? exporter.scrape.endpoint,
    interval: Duration.millis(interval),
    timeout: Duration.millis(section?.timeout ?? ownTimeout),
    bodyLimit: section?.body_limit ?? SCRAPE_LIMITS.body,
    limits: {
      series: section?.series_limit ?? SCRAPE_LIMITS.series,
      line: section?.line_limit ?? SCRAPE_LIMITS.line,
      label: section?.label_limit ?? SCRAPE_LIMITS.label
    },
    collector:
      section?.collector ?? (exporter.scrape.optIn && exporter.scrape.collector !== undefined ? "always" : "auto")
  }
}

/** Whether the address is this machine's own. */
export const isLoopback = (url: string): boolean =>
  /^(localhost|127(\.\d+){3}|\[::1\]|0\.0\.0\.0|\[::\])$/.test(new URL(url).hostname)

/** Whether what answers there runs on this machine: a loopback address, or a socket. */
export const isLocal = (endpoint: string): boolean => isSocketAddress(endpoint) || isLoopback(endpoint)

const unencrypted = (url: string): ReadonlyArray<string> =>
  url.startsWith("http:") && !isLoopback(url)
    ? [`server.url is "${redactedUrl(url)}": the token travels unencrypted, use https where the network is not trusted`]
    : []

const withoutSlashes = (url: string): string => {
  let end = url.length
  while (url[end - 1] === "/") end--
  return url.slice(0, end)
}

const readToken = (path: string, owner?: FileOwner): Effect.Effect<Redacted.Redacted<string>, TokenUnreadable> =>
  Effect.suspend(() => {
    const file = readSecretFile(path, { owner })
    const refuse = (reason: string) => Effect.fail(new TokenUnreadable({ path, reason }))
    if (Result.isFailure(file)) return refuse(file.failure.reason)
    const token = file.success.trim()
    if (token === "") return refuse("it is empty")
    if (!isToken(token)) return refuse("it must hold one token of printable ASCII characters, and nothing else")
    return Effect.succeed(Redacted.make(token))
  })

/** Warns of a secret that every user of the machine can read. */
const exposed = (path: string, what: string): Effect.Effect<ReadonlyArray<string>> =>
  Effect.promise(() =>
    Fs.stat(path).then(
      ({ mode }) => ((mode & 0o004) === 0 ? [] : [`${what} ${path} can be read by every user: chmod 640 ${path}`]),
      () => []
    )
  )
