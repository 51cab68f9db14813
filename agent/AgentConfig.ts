/**
 * What the agent is to do: `/etc/nodepulse/nodepulse.yml` with its defaults filled in from the plugin registry.
 *
 * ```yaml
 * server:
 *   url: "https://nodepulse.example.org"
 *   token_file: "/etc/nodepulse/token"  # or token: "…"
 *   timeout: "10s"                      # 1s to 2m, for one request
 *   ca_file: "/etc/nodepulse/ca.pem"    # a private authority, instead of the built-in ones
 * buffer:
 *   path: "/var/lib/nodepulse/spool"    # absent: in memory
 *   max_bytes: "256MiB"
 *   max_age: "24h"
 * labels:
 *   server_name: "web-1"                # what the agent calls itself; absent: the host name
 * exporters:
 *   - name: "<exporter>"                # of the registry
 *     enabled: true
 *     endpoint: "http://127.0.0.1:9999/metrics"
 *     interval: "15s"                   # 1s to 1h
 *     timeout: "5s"                     # less than the interval
 *     body_limit: "16MiB"
 *     collector: "auto"                 # built in: auto, always, never
 * ```
 *
 * There are no other labels than the server's name: a row has no place for them, and which server it belongs to is the
 * token's to say.
 *
 * Guarantee: either every value is valid, or the agent does not start and says all that is wrong (`ConfigDocument.ts`).
 * An exporter of the registry that the file does not mention is enabled with its own defaults. Without a file where none
 * was named: all defaults, and a warning. The token is redacted from the moment it is read.
 */
import * as Fs from "node:fs/promises"
import { hostname } from "node:os"
import { Context, Duration, Effect, Layer, Redacted, Result, Schema } from "effect"
import type { Exporter } from "../src/plugins/Exporter.ts"
import { Registry } from "../src/plugins/Registry.ts"
import { type ConfigDocument, readConfigDocument } from "./ConfigDocument.ts"
import { isToken } from "./ConfigValue.ts"

/** The file cannot be used. Not retryable: it has to be mended. */
export class AgentConfigInvalid extends Schema.TaggedError<AgentConfigInvalid>()("AgentConfigInvalid", {
  path: Schema.String,
  problems: Schema.Array(Schema.String)
}) {
  readonly retryable = false
  override get message(): string {
    return this.problems.length === 1
      ? `${this.path}: ${this.problems[0]}`
      : `${this.path}:\n${this.problems.map((problem) => `  - ${problem}`).join("\n")}`
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
}

export interface AgentExporter {
  readonly exporter: Exporter
  readonly endpoint: string
  readonly interval: Duration.Duration
  readonly timeout: Duration.Duration
  /** Bytes of a scrape's body, decompressed. */
  readonly bodyLimit: number
  /** Whether the built-in collector stands in where the endpoint refuses connections, always serves, or never. */
  readonly collector: "auto" | "always" | "never"
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
  /** Those that are enabled, in the registry's order. */
  readonly exporters: ReadonlyArray<AgentExporter>
  /** Names of those that are switched off. */
  readonly disabled: ReadonlyArray<string>
  /** What an operator should know, but that does not keep the agent from working. */
  readonly warnings: ReadonlyArray<string>
}

export const DEFAULT_CONFIG_PATH = "/etc/nodepulse/nodepulse.yml"

export interface AgentConfigOptions {
  /** A file that was named must exist. Absent: `/etc/nodepulse/nodepulse.yml`, which may be missing. */
  readonly path?: string
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
    const file = yield* readText(path)
    if (Result.isFailure(file)) {
      if (file.failure.code !== "ENOENT" || options.path !== undefined) {
        return yield* refuse(`the file cannot be read (${file.failure.code})`)
      }
      return withDefaults({}, exporters, undefined, [`there is no ${path}: all settings have their defaults`])
    }
    const document = readConfigDocument(
      file.success,
      exporters.map(({ name }) => name)
    )
    if (Result.isFailure(document)) return yield* refuse(...document.failure)
    const { server: section } = document.success
    const warnings: Array<string> = []
    let ca: string | undefined
    if (section?.ca_file !== undefined) {
      const read = yield* readText(section.ca_file)
      if (Result.isFailure(read))
        return yield* refuse(`server.ca_file ${section.ca_file} cannot be read (${read.failure.code})`)
      if (!read.success.includes("BEGIN CERTIFICATE")) {
        return yield* refuse(`server.ca_file ${section.ca_file} holds no certificate in PEM form`)
      }
      ca = read.success
    }
    if (section?.token_file !== undefined) {
      const read = yield* Effect.result(readToken(section.token_file))
      if (Result.isFailure(read)) return yield* refuse(read.failure.message)
      warnings.push(...(yield* exposed(section.token_file, "server.token_file")))
    }
    if (section?.token !== undefined) warnings.push(...(yield* exposed(path, "the file, with server.token in it,")))
    const config = withDefaults(document.success, exporters, ca, warnings)
    for (const { exporter, interval, timeout } of config.exporters) {
      if (Duration.isLessThan(timeout, interval)) continue
      const [limit, given] = [Duration.format(interval), Duration.format(timeout)]
      return yield* refuse(
        `exporter "${exporter.name}": its timeout is ${given}, but must be less than its interval (${limit})`
      )
    }
    return config
  })

/** The config of a document. Pure, but for the machine's name. */
export const withDefaults = (
  document: ConfigDocument,
  exporters: ReadonlyArray<Exporter>,
  ca: string | undefined,
  warnings: ReadonlyArray<string>
): AgentConfigShape => {
  const sections = new Map((document.exporters ?? []).map((section) => [section.name, section]))
  const enabled = exporters.filter(({ name }) => sections.get(name)?.enabled !== false)
  const { buffer, labels, metrics, server } = document
  return {
    serverName: labels?.server_name ?? hostname(),
    server:
      server === undefined
        ? undefined
        : {
            url: server.url.replace(/\/+$/, ""),
            token:
              server.token_file === undefined
                ? Effect.succeed(Redacted.make(server.token ?? ""))
                : readToken(server.token_file),
            timeout: Duration.millis(server.timeout ?? PUSH_TIMEOUT_MILLIS),
            ca
          },
    buffer: {
      path: buffer?.path,
      maxBytes: buffer?.max_bytes ?? BUFFER_BYTES,
      maxAge: Duration.millis(buffer?.max_age ?? BUFFER_MILLIS)
    },
    metrics: metrics?.listen,
    exporters: enabled.map((exporter) => agentExporter(exporter, sections.get(exporter.name))),
    disabled: exporters.filter((exporter) => !enabled.includes(exporter)).map(({ name }) => name),
    warnings: server === undefined ? warnings : [...warnings, ...unencrypted(server.url)]
  }
}

const PUSH_TIMEOUT_MILLIS = 10_000
const BUFFER_BYTES = 256 * 1024 * 1024
const BUFFER_MILLIS = 24 * 3600 * 1000
/** Some 100 times what a machine with 1 000 process groups serves. */
const BODY_LIMIT = 16 * 1024 * 1024
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
    endpoint: section?.endpoint ?? exporter.scrape.endpoint,
    interval: Duration.millis(interval),
    timeout: Duration.millis(section?.timeout ?? ownTimeout),
    bodyLimit: section?.body_limit ?? BODY_LIMIT,
    collector: section?.collector ?? "auto"
  }
}

/** Whether the address is this machine's own. */
export const isLoopback = (url: string): boolean =>
  /^(localhost|127(\.\d+){3}|\[::1\]|0\.0\.0\.0|\[::\])$/.test(new URL(url).hostname)

const unencrypted = (url: string): ReadonlyArray<string> =>
  url.startsWith("http:") && !isLoopback(url)
    ? [`server.url is "${url}": the token travels unencrypted, use https where the network is not trusted`]
    : []

const readText = (path: string): Effect.Effect<Result.Result<string, { readonly code: string }>> =>
  Effect.promise(() =>
    Fs.readFile(path, "utf8").then(
      (text) => Result.succeed(text),
      (cause: NodeJS.ErrnoException) => Result.fail({ code: cause.code ?? cause.message })
    )
  )

const readToken = (path: string): Effect.Effect<Redacted.Redacted<string>, TokenUnreadable> =>
  Effect.gen(function* () {
    const file = yield* readText(path)
    const refuse = (reason: string) => new TokenUnreadable({ path, reason })
    if (Result.isFailure(file)) return yield* refuse(`it cannot be read (${file.failure.code})`)
    const token = file.success.trim()
    if (token === "") return yield* refuse("it is empty")
    if (!isToken(token)) return yield* refuse("it must hold one token of printable ASCII characters, and nothing else")
    return Redacted.make(token)
  })

/** Warns of a secret that every user of the machine can read. */
const exposed = (path: string, what: string): Effect.Effect<ReadonlyArray<string>> =>
  Effect.promise(() =>
    Fs.stat(path).then(
      ({ mode }) => ((mode & 0o004) === 0 ? [] : [`${what} ${path} can be read by every user: chmod 640 ${path}`]),
      () => []
    )
  )
