/**
 * A whole HTTP server for tests: the real layers of `src/http` on a free port, over ports that a test can look into and
 * break. Requests go over real sockets.
 */
import { request as nodeRequest } from "node:http"
import { Effect, Layer, Option, Redacted } from "effect"
import { HttpServer } from "effect/http"
import { nodeExporter } from "../plugins/node-exporter/NodeExporter.ts"
import { processExporter } from "../plugins/process-exporter/ProcessExporter.ts"
import { defineConfig, Registry } from "../plugins/Registry.ts"
import { type DeadLetter, DeadLetters, UnknownDeadLetter } from "../sinks/DeadLetters.ts"
import { Overview } from "../sinks/Overview.ts"
import { Rankings, type TopAnswer } from "../sinks/Rankings.ts"
import {
  type Principal,
  type Server,
  Servers,
  type TokenInfo,
  Tokens,
  UnknownServer,
  UnknownToken
} from "../sinks/Servers.ts"
import { RowsUnavailable } from "../sinks/SnapshotRows.ts"
import { SnapshotStream, type StreamEntry, type StreamFull, type StreamUnavailable } from "../sinks/SnapshotStream.ts"
import { AdminToken } from "./AdminToken.ts"
import { MetricsArePublic } from "./Authorization.ts"
import { layer as httpLayer, Listen } from "./HttpServer.ts"
import { DEFAULT_LIMITS, Limits, type LimitsShape } from "./Limits.ts"
import { PipelineView } from "./PipelineView.ts"
import { HoursMax, hoursMaxOf } from "./RankingsHandlers.ts"
import { Readiness } from "./Readiness.ts"
import { SelfMetrics } from "./SelfMetrics.ts"
import { Session } from "./Session.ts"
import { Static } from "./Static.ts"

export const ADMIN = "admin-token-of-the-tests"
export const AGENT_A = "agent-token-of-alpha"
export const AGENT_B = "agent-token-of-beta"
export const READ = "read-token"

const EXPORTERS = [nodeExporter(), processExporter()]

/** What a test may look into, and break. */
export interface World {
  readonly published: Array<StreamEntry>
  /** Whether what was published last was of the past. */
  publishedPast: boolean
  /** What the stream does instead of taking entries. */
  publishing: Effect.Effect<void, StreamFull | StreamUnavailable>
  readonly servers: Map<string, Server>
  readonly tokens: Map<string, { readonly info: TokenInfo; readonly principal: Principal }>
  databaseDown: boolean
  lastSeen: Map<string, number>
  readonly deadLetters: Array<DeadLetter>
  readonly asked: Array<unknown>
}

const makeWorld = (): World => {
  const world: World = {
    published: [],
    publishedPast: false,
    publishing: Effect.void,
    servers: new Map(
      ["alpha", "beta"].map((id) => [id, { serverId: id, name: id.toUpperCase(), createdAt: 1_700_000_000_000 }])
    ),
    tokens: new Map(),
    databaseDown: false,
    lastSeen: new Map(),
    deadLetters: [],
    asked: []
  }
  const add = (token: string, principal: Principal) =>
    world.tokens.set(token, { principal, info: infoOf(principal, "") })
  add(AGENT_A, { kind: "agent", tokenId: "t1", serverId: "alpha" })
  add(AGENT_B, { kind: "agent", tokenId: "t2", serverId: "beta" })
  add(READ, { kind: "read", tokenId: "t3" })
  return world
}

const infoOf = (principal: Principal, note: string): TokenInfo => ({
  tokenId: principal.tokenId,
  kind: principal.kind,
  serverId: principal.kind === "agent" ? principal.serverId : null,
  note,
  createdAt: 1_700_000_000_000,
  revokedAt: null
})

const ports = (world: World) => {
  const reachable = <A, E>(operation: string, effect: Effect.Effect<A, E>) =>
    Effect.suspend(
      (): Effect.Effect<A, E | RowsUnavailable> =>
        world.databaseDown
          ? Effect.fail(new RowsUnavailable({ operation, cause: new Error("secret address 10.1.2.3") }))
          : effect
    )
  const find = (serverId: string) => {
    const server = world.servers.get(serverId)
    return server === undefined ? Effect.fail(new UnknownServer({ serverId })) : Effect.succeed(server)
  }
  let made = 0
  return Layer.mergeAll(
    Layer.succeed(Servers, {
      register: (name) =>
        reachable(
          "register",
          Effect.sync(() => {
            const server: Server = { serverId: name.toLowerCase().replaceAll(/[^a-z0-9]/g, "-"), name, createdAt: 1 }
            world.servers.set(server.serverId, server)
            const token = `made-${++made}`
            const principal: Principal = { kind: "agent", tokenId: token, serverId: server.serverId }
            world.tokens.set(token, { principal, info: infoOf(principal, "") })
            return { server, token: Redacted.make(token) }
          })
        ),
      list: reachable(
        "list",
        Effect.sync(() => [...world.servers.values()])
      ),
      get: (serverId) => reachable("get", find(serverId))
    }),
    Layer.succeed(Tokens, {
      create: (options) =>
        reachable(
          "create",
          Effect.gen(function* () {
            if (options.kind === "agent") yield* find(options.serverId)
            const tokenId = `made-${++made}`
            const principal: Principal =
              options.kind === "agent"
                ? { kind: "agent", tokenId, serverId: options.serverId }
                : { kind: options.kind, tokenId }
            const info = infoOf(principal, options.note ?? "")
            world.tokens.set(tokenId, { principal, info })
            return { info, token: Redacted.make(tokenId) }
          })
        ),
      list: reachable(
        "list",
        Effect.sync(() => [...world.tokens.values()].map(({ info }) => info))
      ),
      revoke: (tokenId) =>
        reachable(
          "revoke",
          Effect.suspend(() => {
            for (const [token, { info }] of world.tokens) {
              if (info.tokenId === tokenId) {
                world.tokens.delete(token)
                return Effect.void
              }
            }
            return Effect.fail(new UnknownToken({ tokenId }))
          })
        ),
      verify: (token) =>
        reachable(
          "verify",
          Effect.sync(() => Option.fromUndefinedOr(world.tokens.get(Redacted.value(token))?.principal))
        )
    }),
    Layer.succeed(Rankings, {
      top: (request) =>
        reachable(
          "top",
          Effect.andThen(
            find(request.serverId),
            Effect.sync(() => {
              world.asked.push(request)
              return topAnswer(request.window)
            })
          )
        ),
      history: (request) =>
        reachable(
          "history",
          Effect.andThen(
            find(request.serverId),
            Effect.sync(() => {
              world.asked.push(request)
              return {
                window: request.window,
                stepSeconds: 15,
                coverage: 0.5,
                timestamps: [request.window.to - 15_000_000, request.window.to],
                series: { cpu_percent: [null, 12.5], memory_mb: [488.28125, 488.28125] }
              }
            })
          )
        ),
      lastSeen: reachable(
        "lastSeen",
        Effect.sync(() => world.lastSeen)
      )
    }),
    Layer.succeed(Overview, {
      fleet: reachable(
        "fleet",
        Effect.sync(() => ({
          trendUntil: 1_700_000_000_000_000,
          trendStepSeconds: 180,
          busiestOf: null,
          servers: [...world.servers.values()].map(({ name, serverId }) => ({
            serverId,
            name,
            lastSeen: world.lastSeen.get(serverId) ?? null,
            cpuCores: null,
            cpuPercent: null,
            memoryTotalBytes: null,
            memoryUsedBytes: null,
            load: null,
            uptimeSeconds: null,
            trend: [],
            busiest: null
          }))
        }))
      ),
      series: (request) =>
        reachable(
          "series",
          Effect.andThen(
            find(request.serverId),
            Effect.sync(() => {
              world.asked.push(request)
              return {
                window: request.window,
                stepSeconds: 30,
                first: 1_700_000_000_000_000,
                steps: 2,
                series: request.names.map((name) => ({ name, lastSeen: null, resets: 0, values: [null, 12.34567] })),
                other: null,
                host: null
              }
            })
          )
        ),
      across: () => reachable("across", Effect.succeed([]))
    }),
    Layer.succeed(DeadLetters, {
      put: () => Effect.void,
      list: ({ before, limit }) =>
        reachable(
          "list",
          Effect.sync(() => {
            const from = before === undefined ? 0 : world.deadLetters.findIndex(({ id }) => id === before) + 1
            return { letters: world.deadLetters.slice(from, from + limit), total: world.deadLetters.length }
          })
        ),
      get: (id) => Effect.fail(new UnknownDeadLetter({ id })),
      drop: () => Effect.succeed(0)
    }),
    Layer.succeed(PipelineView, { snapshot: Effect.succeed({ name: "digest", children: [{ name: "batcher" }] }) })
  )
}

const streamPort = (world: World) =>
  Layer.succeed(SnapshotStream, {
    publish: (entries, { past = false } = {}) =>
      Effect.andThen(
        Effect.suspend(() => world.publishing),
        Effect.sync(() => {
          world.published.push(...entries)
          world.publishedPast = past
        })
      ),
    subscribe: () => Effect.die("nobody reads here"),
    stats: Effect.succeed({ length: 3, pending: 1, bound: 100, bytes: null, oldestSeconds: 2 }),
    durability: Effect.succeed("memory" as const)
  })

const topAnswer = (window: TopAnswer["window"]): TopAnswer => ({
  rows: [
    {
      name: "postgres",
      num_procs: 8,
      cpu_percent: 45.2,
      memory_mb: 488.28125,
      avg_cpu_percent: 42.1,
      peak_memory_mb: 512
    }
  ],
  window,
  coveredSeconds: 3585,
  coverage: 0.995,
  scrapes: 240,
  lastSeen: window.to - 5_000_000,
  stale: false,
  resets: 0,
  clamped: 0,
  host: { cpuCores: 4, memoryTotalBytes: 8 * 2 ** 30 },
  other: { groups: 3, cpu_seconds: 12, avg_cpu_percent: 0.3, memory_mb: 100 },
  unaccounted: { cpuSeconds: 30, avgCpuPercent: 0.8 },
  memoryOvercounted: false
})

export interface Answer {
  readonly status: number
  readonly headers: Readonly<Record<string, string | ReadonlyArray<string> | undefined>>
  readonly text: string
  // biome-ignore lint/suspicious/noExplicitAny: an answer is whatever the server said.
  readonly json: any
}

export interface Ask {
  readonly method?: string
  readonly token?: string
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: string | Uint8Array
}

export interface TestServer {
  readonly world: World
  readonly port: number
  readonly session: Session["Service"]
  readonly metrics: SelfMetrics["Service"]
  readonly ask: (path: string, ask?: Ask) => Effect.Effect<Answer>
  /** Posts a payload as an agent. */
  readonly push: (body: unknown, ask?: Ask) => Effect.Effect<Answer>
}

/** Starts a server that lives as long as the scope. */
export const startServer = (
  options: {
    readonly limits?: Partial<LimitsShape>
    readonly metricsArePublic?: boolean
    readonly page?: string
    readonly hoursMax?: number
    readonly port?: number
    readonly checks?: Parameters<typeof Readiness.layer>[0]
    /** Instead of the one that a test can look into. */
    readonly stream?: Layer.Layer<SnapshotStream>
  } = {}
) =>
  Effect.gen(function* () {
    const world = makeWorld()
    const base = Layer.mergeAll(
      ports(world),
      options.stream ?? streamPort(world),
      Registry.layer(defineConfig({ exporters: EXPORTERS }))
    )
    const around = Layer.mergeAll(
      Layer.succeed(Listen, { host: "127.0.0.1", port: options.port ?? 0 }),
      Layer.succeed(MetricsArePublic, options.metricsArePublic ?? false),
      Layer.succeed(HoursMax, options.hoursMax ?? hoursMaxOf(EXPORTERS)),
      Layer.succeed(Limits, { ...DEFAULT_LIMITS, ...options.limits }),
      AdminToken.layer(Option.some(Redacted.make(ADMIN))),
      Session.layer,
      SelfMetrics.layer,
      Readiness.layer(options.checks),
      Static.layerFolder(options.page ?? "/nonexistent")
    )
    const context = yield* Layer.build(httpLayer.pipe(Layer.provideMerge(around), Layer.provide(base)))
    return yield* Effect.provideContext(
      Effect.gen(function* () {
        const { address } = yield* HttpServer.HttpServer
        const port = "port" in address ? address.port : 0
        const ask = (path: string, ask: Ask = {}) => send(port, path, ask)
        const server: TestServer = {
          world,
          port,
          ask,
          session: yield* Session,
          metrics: yield* SelfMetrics,
          push: (body, more = {}) =>
            ask("/metrics/prometheus", {
              method: "POST",
              token: AGENT_A,
              body: typeof body === "string" || body instanceof Uint8Array ? body : JSON.stringify(body),
              ...more,
              headers: { "content-type": "application/json", ...more.headers }
            })
        }
        return server
      }),
      context
    )
  })

/** One request over a connection of its own; the path goes out exactly as it is. */
export const send = (port: number, path: string, { body, headers, method, token }: Ask): Effect.Effect<Answer> =>
  Effect.callback((resume) => {
    const request = nodeRequest(
      {
        host: "127.0.0.1",
        port,
        path,
        method: method ?? "GET",
        agent: false,
        headers: {
          ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
          ...(body === undefined ? {} : { "content-length": String(Buffer.byteLength(body)) }),
          ...headers
        }
      },
      (response) => {
        const chunks: Array<Buffer> = []
        response.on("data", (chunk: Buffer) => chunks.push(chunk))
        response.on("end", () => {
          const text = Buffer.concat(chunks).toString("utf8")
          let json: unknown
          try {
            json = JSON.parse(text)
          } catch {
            json = undefined
          }
          resume(Effect.succeed({ status: response.statusCode ?? 0, headers: response.headers, text, json }))
        })
      }
    )
    request.on("error", (error) => resume(Effect.die(error)))
    request.end(body)
  })

export const row = (name: string, more: Readonly<Record<string, unknown>> = {}) => ({
  timestamp: new Date().toISOString(),
  name,
  num_procs: 4,
  cpu_seconds_total: 1234.56,
  memory_bytes: 102_400_000,
  ...more
})
