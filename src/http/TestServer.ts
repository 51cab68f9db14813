/**
 * A whole HTTP server for tests: the real layers of `src/http` on a free port, over ports that a test can look into and
 * break. Requests go over real sockets.
 */
import { request as nodeRequest } from "node:http"
import { Effect, Layer, Option, Redacted, Schedule } from "effect"
import { HttpServer } from "effect/http"
import { Agents } from "../access/Agents.ts"
import { Audit } from "../access/Audit.ts"
import { type Note, NoteOfSomebodyElse, Notes, UnknownNote } from "../access/Notes.ts"
import {
  EnrolmentRefused,
  type MadeToken,
  type NewToken,
  type Principal,
  type Server,
  Servers,
  type TokenInfo,
  Tokens,
  UnknownServer,
  UnknownToken
} from "../access/Servers.ts"
import { Sessions, signInPath } from "../access/Sessions.ts"
import { type Alert, Alerts, UnknownAlert } from "../alerts/Alerts.ts"
import { Backtest } from "../alerts/Backtest.ts"
import { type Notification, Notifications, UnknownReceiver } from "../alerts/delivery/Notifications.ts"
import { type LayeredRule, RuleLayers } from "../alerts/RuleLayers.ts"
import { UnknownRule } from "../alerts/StoredRules.ts"
import type { Silence } from "../alerts/silences/Silence.ts"
import { Silences, UnknownSilence } from "../alerts/silences/Silences.ts"
import { AlertStories, type AlertStory } from "../alerts/story/Story.ts"
import { nodeExporter } from "../plugins/node-exporter/NodeExporter.ts"
import { processExporter } from "../plugins/process-exporter/ProcessExporter.ts"
import { defineConfig, Registry } from "../plugins/Registry.ts"
import { eachOfScrape } from "../plugins/SnapshotCodec.ts"
import { Breakdowns } from "../query/Breakdown.ts"
import { Changes, type ChangesAnswer, type ChangesRequest } from "../query/Changes.ts"
import { Comparisons } from "../query/Comparison.ts"
import { FleetGroups, type Frame } from "../query/FleetGroups.ts"
import { Groupings, UnknownGrouping } from "../query/grouping/Groupings.ts"
import { Marks } from "../query/Marks.ts"
import { Overview } from "../query/Overview.ts"
import { Rankings, type TopAnswer } from "../query/Rankings.ts"
import { type Sighting, Sightings } from "../query/Sightings.ts"
import { Verdicts } from "../query/Verdict.ts"
import { DatabaseUnavailable } from "../sinks/storage/DatabaseUnavailable.ts"
import { type DeadLetter, DeadLetters, UnknownDeadLetter } from "../sinks/storage/DeadLetters.ts"
import { SnapshotStream, type StreamFull, type StreamUnavailable } from "../sinks/stream/SnapshotStream.ts"
import type { EntryKind, StreamContent } from "../sinks/stream/StreamEntry.ts"
import { HoursMax, hoursMaxOf } from "./handlers/RankingsHandlers.ts"
import { Intake } from "./ingest/Intake.ts"
import type { Turns } from "./ingest/Turns.ts"
import { PipelineView } from "./live/PipelineView.ts"
import { BasePath } from "./server/Address.ts"
import { layer as httpLayer, Listen } from "./server/HttpServer.ts"
import { DEFAULT_LIMITS, Limits, type LimitsShape } from "./server/Limits.ts"
import { PublicUrl } from "./server/Origin.ts"
import { Readiness } from "./server/Readiness.ts"
import { SelfMetrics } from "./server/SelfMetrics.ts"
import { Static } from "./server/Static.ts"
import { AdminToken } from "./session/AdminToken.ts"
import { MetricsArePublic } from "./session/Authorization.ts"
import { type ActingWorld, actingPort } from "./TestActing.ts"
import { type RecordingsWorld, recordingsPort } from "./TestRecordings.ts"
import { brokenDown, judged } from "./TestUnits.ts"

export const ADMIN = "admin-token-of-the-tests"
export const AGENT_A = "agent-token-of-alpha"
export const AGENT_B = "agent-token-of-beta"
export const READ = "read-token"
/** An operator's. */
export const OPERATOR = "operator-token"

const EXPORTERS = [nodeExporter(), processExporter()]

/** What a test may look into, and break. */
export interface World extends RecordingsWorld, ActingWorld {
  /** A snapshot each, whatever entry it came in. */
  readonly published: Array<{ readonly serverId: string; readonly exporterName: string; readonly snapshot: string }>
  /** What the entries hold. */
  readonly contents: Array<StreamContent>
  /** What they shall hold. */
  entry: EntryKind
  /** Whether what was published last was of the past. */
  publishedPast: boolean
  /** What the stream does instead of taking entries. */
  publishing: Effect.Effect<void, StreamFull | StreamUnavailable>
  readonly servers: Map<string, Server>
  readonly tokens: Map<string, { readonly info: TokenInfo; readonly principal: Principal }>
  databaseDown: boolean
  /** What the database does before it answers anything but who a token speaks for. */
  reading: Effect.Effect<void, DatabaseUnavailable>
  lastSeen: Map<string, number>
  /** How far apart a server's scrapes are, microseconds; as declared where it is not here. */
  readonly intervals: Map<string, number>
  readonly deadLetters: Array<DeadLetter>
  readonly notifications: Array<Notification>
  readonly notes: Array<Note>
  readonly alerts: Array<Alert>
  readonly rules: Array<LayeredRule>
  readonly silences: Array<Silence>
  readonly asked: Array<unknown>
}

const makeWorld = (): World => {
  const world: World = {
    published: [],
    contents: [],
    entry: "snapshot",
    publishedPast: false,
    publishing: Effect.void,
    servers: new Map(
      ["alpha", "beta"].map((id) => [id, { serverId: id, name: id.toUpperCase(), createdAt: 1_700_000_000_000 }])
    ),
    tokens: new Map(),
    databaseDown: false,
    reading: Effect.void,
    lastSeen: new Map(),
    intervals: new Map(),
    deadLetters: [],
    notifications: [],
    notes: [],
    alerts: [],
    rules: [],
    silences: [],
    recordings: [],
    wanted: new Map(),
    hands: new Map(),
    polls: [],
    toHand: new Map(),
    stories: [],
    acts: [],
    asked: []
  }
  const add = (token: string, principal: Principal) =>
    world.tokens.set(token, { principal, info: infoOf(principal, "") })
  add(AGENT_A, { kind: "agent", tokenId: "t1", serverId: "alpha" })
  add(AGENT_B, { kind: "agent", tokenId: "t2", serverId: "beta" })
  add(READ, { kind: "read", tokenId: "t3" })
  add(OPERATOR, { kind: "operator", tokenId: "t4" })
  return world
}

const infoOf = (principal: Principal, note: string): TokenInfo => ({
  tokenId: principal.tokenId,
  kind: principal.kind,
  prefix: principal.tokenId,
  serverId: principal.kind === "agent" ? principal.serverId : null,
  note,
  createdBy: "admin",
  createdAt: 1_700_000_000_000,
  expiresAt: null,
  usedAt: null,
  revokedAt: null,
  usesLeft: null,
  networks: []
})

const ports = (world: World) => {
  const reachable = <A, E>(operation: string, effect: Effect.Effect<A, E>) =>
    Effect.suspend(
      (): Effect.Effect<A, E | DatabaseUnavailable> =>
        world.databaseDown
          ? Effect.fail(
              new DatabaseUnavailable({ operation, because: "away", cause: new Error("secret address 10.1.2.3") })
            )
          : operation === "verify"
            ? effect
            : Effect.andThen(world.reading, effect)
    )
  const unknownGrouping = (reference: string) => reachable("groupings", Effect.fail(new UnknownGrouping({ reference })))
  const find = (serverId: string) => {
    const server = world.servers.get(serverId)
    return server === undefined ? Effect.fail(new UnknownServer({ serverId })) : Effect.succeed(server)
  }
  let made = 0
  return Layer.mergeAll(
    Agents.layerMemory,
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
    tokensPort(world, reachable, find),
    recordingsPort(world, reachable, find),
    actingPort(world, reachable, find),
    Layer.succeed(Audit, {
      list: () => reachable("audit", Effect.succeed({ entries: [], next: null })),
      note: () => Effect.void
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
      tops: ({ serverIds, ...request }) =>
        reachable(
          "top",
          Effect.map(
            Effect.forEach(serverIds, (serverId) =>
              Effect.map(find(serverId), () => {
                world.asked.push({ ...request, serverId })
                return [serverId, topAnswer(request.window)] as const
              })
            ),
            (answers) => new Map(answers)
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
        )
    }),
    Layer.succeed(Changes, {
      between: (request) =>
        reachable(
          "compare",
          Effect.map(Effect.all([find(request.before.serverId), find(request.after.serverId)]), () => {
            world.asked.push(request)
            return changesAnswer(request)
          })
        )
    }),
    Layer.succeed(Comparisons, {
      totals: ({ interval, ...request }) =>
        reachable(
          "totals",
          Effect.map(Effect.forEach(request.serverIds, find), (found) => {
            world.asked.push({ ...request, interval })
            const groups = [null, 12.345_67]
            return {
              stepSeconds: 30,
              first: request.window.to - 30_000_000,
              steps: 2,
              servers: new Map(found.map(({ serverId }) => [serverId, { groups, host: [null, 20] }]))
            }
          })
        ),
      spread: (request) =>
        reachable(
          "spread",
          Effect.map(Effect.forEach(request.serverIds, find), (found) => {
            world.asked.push(request)
            return new Map(
              found.map(({ serverId }, n) => [
                serverId,
                { coverage: 1, value: 10 * (n + 1), ran: true, facts: { cores: 4, memory: null } }
              ])
            )
          })
        )
    }),
    Layer.succeed(Alerts, {
      pass: Effect.succeed({ moments: 0, fired: 0, resolved: 0 }),
      run: Effect.never,
      stats: reachable(
        "alerts",
        Effect.sync(() => ({ firing: world.alerts.length, behindSeconds: 12.5, pass: null }))
      ),
      list: ({ limit, ...filter }) =>
        reachable(
          "alerts",
          Effect.sync(() => {
            world.asked.push(filter)
            return world.alerts.filter(({ id }) => filter.id === undefined || filter.id === id).slice(0, limit)
          })
        ),
      acknowledge: (alertId, note) =>
        reachable(
          "alerts",
          Effect.map(findAlert(world, alertId), (alert) => ({
            ...alert,
            acknowledged: { at: 1, by: "somebody", note }
          }))
        ),
      firing: reachable("alerts", Effect.succeed(new Map([["busy", 2]])))
    }),
    Layer.succeed(AlertStories, {
      of: (id) =>
        reachable(
          "alerts",
          Effect.sync(() => {
            const alert = world.alerts.find((alert) => alert.id === id)
            return alert === undefined ? Option.none() : Option.some(storyOf(alert))
          })
        ),
      keep: Effect.succeed(0),
      run: Effect.never
    }),
    rulesPort(world, reachable),
    silencesPort(world, reachable),
    Layer.succeed(Backtest, {
      run: (rule, window, isOver) =>
        reachable(
          "backtest",
          Effect.gen(function* () {
            world.asked.push({ rule: rule.name, window })
            const from = window.from / 1_000
            if (rule.name === "endless") {
              yield* Effect.repeat(
                Effect.sync(() => isOver!()),
                { until: (over) => over, schedule: Schedule.spaced("20 millis") }
              )
              return { incidents: [], more: 0, servers: 2, tried: 1 }
            }
            return {
              incidents: [{ serverId: "alpha", group: "g", from, to: null, value: 91.5 }],
              more: 0,
              servers: 2,
              tried: 2
            }
          })
        )
    }),
    Layer.succeed(Groupings, {
      list: reachable("groupings", Effect.succeed([])),
      get: (reference) => unknownGrouping(reference),
      versions: (reference) => unknownGrouping(reference),
      save: ({ name }) => unknownGrouping(name),
      retire: (reference) => unknownGrouping(reference),
      regrouping: ({ name }) => unknownGrouping(name)
    }),
    Layer.succeed(Breakdowns, {
      of: ({ limit, serverId, window }) =>
        reachable(
          "breakdown",
          Effect.map(find(serverId), () => {
            world.asked.push({ serverId, window, limit })
            return brokenDown(window, limit)
          })
        )
    }),
    Layer.succeed(Verdicts, {
      of: ({ serverId, window }) =>
        reachable(
          "verdict",
          Effect.map(find(serverId), () => {
            world.asked.push({ serverId, window })
            return judged(window)
          })
        )
    }),
    Layer.succeed(Marks, {
      of: (serverId, window) =>
        reachable(
          "marks",
          Effect.map(find(serverId), () => {
            world.asked.push({ serverId, window })
            const exporter = "process_exporter"
            return [
              { kind: "outage" as const, at: window.from, exporter, until: null },
              { kind: "restart" as const, at: window.to - 2, exporter },
              { kind: "clock" as const, at: window.to, exporter, bySeconds: -3.5 }
            ]
          })
        )
    }),
    Layer.succeed(Notes, {
      add: (note) =>
        reachable(
          "note",
          Effect.map(note.serverId === null ? Effect.void : find(note.serverId), () => {
            const added = { ...note, noteId: String(world.notes.length + 1), author: "somebody" }
            world.notes.push(added)
            return added
          })
        ),
      remove: (noteId, whose) =>
        reachable(
          "note",
          Effect.suspend((): Effect.Effect<void, UnknownNote | NoteOfSomebodyElse> => {
            const place = world.notes.findIndex((note) => note.noteId === noteId)
            if (place < 0) return Effect.fail(new UnknownNote({ noteId }))
            const { author } = world.notes[place]!
            if (whose === "own") return Effect.fail(new NoteOfSomebodyElse({ author }))
            world.notes.splice(place, 1)
            return Effect.void
          })
        ),
      between: () =>
        reachable(
          "notes",
          Effect.sync(() => world.notes)
        )
    }),
    Layer.succeed(Sightings, {
      all: reachable(
        "all",
        Effect.sync(
          () => new Map([...world.lastSeen.keys()].map((serverId) => [serverId, sightingsOf(world, serverId)]))
        )
      ),
      of: (serverId) =>
        reachable(
          "of",
          Effect.sync(() => sightingsOf(world, serverId))
        ),
      pace: ({ serverId }) =>
        reachable(
          "pace",
          Effect.sync(() => {
            const interval = world.intervals.get(serverId) ?? 15_000_000
            return { latest: interval, longest: interval }
          })
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
      across: () => reachable("across", Effect.succeed([])),
      running: () => reachable("running", Effect.succeed(new Map()))
    }),
    fleetGroupsPort(world, reachable),
    Layer.succeed(Notifications, {
      plan: Effect.succeed(0),
      send: Effect.succeed(false),
      run: Effect.never,
      list: ({ before, limit }) =>
        reachable(
          "list",
          Effect.sync(() =>
            world.notifications.filter(({ id }) => before === undefined || Number(id) < Number(before)).slice(0, limit)
          )
        ),
      stats: reachable("notifications", Effect.succeed({ waiting: 2, oldestSeconds: 61.5, dead: 1 })),
      configured: Effect.succeed({ receivers: [{ name: "ops", kind: "slack" }], problems: ["notify.yml: line 3"] }),
      test: (receiver) =>
        receiver === "ops"
          ? Effect.succeed(undefined)
          : receiver === "away"
            ? Effect.succeed("it answers 500")
            : Effect.fail(new UnknownReceiver({ receiver, known: ["ops", "away"] }))
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
    Layer.succeed(PipelineView, { snapshot: Effect.succeed({ name: "digest", children: [] }) })
  )
}

const storyOf = (alert: Alert): AlertStory => ({
  alert,
  window: { from: alert.firedAt - 600_000, to: alert.firedAt },
  split: alert.firedAt - 300_000,
  ranked: { resource: "processes", metric: "cpu", unit: "percent" },
  partial: false,
  tops: [
    {
      group: "g",
      before: 12,
      after: 91,
      difference: 79,
      appeared: false,
      gone: false,
      restarted: false,
      isSubject: true
    }
  ],
  other: { groups: 2, before: 5, after: 6, difference: 1 },
  unaccounted: null,
  total: { of: "groups", before: 17, after: 97, difference: 80 },
  restarts: [],
  pressure: [],
  events: [{ kind: "outage", at: alert.firedAt - 60_000, exporter: "process_exporter", until: null, bySeconds: null }],
  notes: [{ at: alert.firedAt - 90_000, text: "deploy", author: "ann" }],
  link: "/servers/alpha?window=a~b"
})

const findAlert = (world: World, alertId: string): Effect.Effect<Alert, UnknownAlert> => {
  const alert = world.alerts.find(({ id }) => id === alertId)
  return alert === undefined ? Effect.fail(new UnknownAlert({ alertId })) : Effect.succeed(alert)
}

/** What is saved is there, and was never there before. */
const rulesPort = (world: World, reachable: Reachable) =>
  Layer.succeed(RuleLayers, {
    read: reachable(
      "rules",
      Effect.sync(() => ({ rules: world.rules, problems: [] }))
    ),
    save: (entry, base) =>
      reachable(
        "rules",
        Effect.sync(() => {
          const origin = { kind: "stored" as const, version: base + 1, by: "somebody", at: 1_700_000_000_000 }
          const saved = { ...entry, rule: entry.rule!, origin, replaces: [] }
          world.rules.push(saved)
          return saved
        })
      ),
    remove: (name) => reachable("rules", Effect.fail(new UnknownRule({ name })))
  })

const silencesPort = (world: World, reachable: Reachable) =>
  Layer.succeed(Silences, {
    active: () =>
      reachable(
        "silences",
        Effect.sync(() => world.silences)
      ),
    list: reachable(
      "silences",
      Effect.sync(() => world.silences)
    ),
    add: (silence) =>
      reachable(
        "silences",
        Effect.sync(() => {
          const added = { ...silence, id: String(world.silences.length + 1), by: "somebody" }
          world.silences.push(added)
          return added
        })
      ),
    end: (silenceId) => reachable("silences", Effect.fail(new UnknownSilence({ silenceId })))
  })

/** One group, on one server. */
const fleetGroupsPort = (world: World, reachable: Reachable) => {
  const values = { total: 12, peak: 99.5 }
  const growth = { perHour: 3 * 1_048_576 }
  const frameOf = (window: Frame["window"]): Frame => ({
    window,
    first: window.to,
    stepSeconds: 300,
    steps: 1,
    units: { cpu: { total: "core_hours", peak: "percent" }, memory: { total: "gib_hours", peak: "mb" } }
  })
  return Layer.succeed(FleetGroups, {
    ranked: (request) =>
      reachable(
        "groups",
        Effect.sync(() => {
          world.asked.push(request)
          const worst = { worst: { serverId: "alpha", total: 7 }, highest: "beta" }
          return {
            ...frameOf(request.window),
            servers: { all: 2, seen: 2, coverage: 0.5 },
            totals: { cpu: 20, memory: 30 },
            groups: [
              {
                name: "node",
                servers: 2,
                lastSeen: request.window.to - 1.4,
                values: { cpu: { ...values, ...worst }, memory: { ...values, ...worst } },
                trend: [null, 12.34567],
                growth: { ...growth, servers: 1, fastest: "beta" }
              }
            ],
            matching: 1,
            all: 3,
            beyond: 0,
            gone: [{ name: "cron", lastSeen: 1_700_000_000_000_000 }]
          }
        })
      ),
    servers: (request) =>
      reachable(
        "groups",
        Effect.sync(() => {
          world.asked.push(request)
          return {
            ...frameOf(request.window),
            growthStepSeconds: 3_600,
            servers: [
              {
                serverId: "alpha",
                serverName: "ALPHA",
                lastSeen: null,
                values: { cpu: values, memory: values },
                trend: [12.34567],
                growth: { ...growth, began: 1_700_000_000_000_000, exhaustsIn: 7_200 }
              }
            ],
            all: 1
          }
        })
      )
  })
}

type Reachable = <A, E>(operation: string, effect: Effect.Effect<A, E>) => Effect.Effect<A, E | DatabaseUnavailable>

const tokensPort = (
  world: World,
  reachable: Reachable,
  find: (serverId: string) => Effect.Effect<Server, UnknownServer>
) => {
  let made = 0
  const get = (tokenId: string) =>
    Effect.suspend(() => {
      const found = [...world.tokens.values()].find(({ info }) => info.tokenId === tokenId)
      return found === undefined ? Effect.fail(new UnknownToken({ tokenId })) : Effect.succeed(found.info)
    })
  const create = Effect.fnUntraced(function* (options: NewToken) {
    if (options.kind === "agent") yield* find(options.serverId)
    const tokenId = `minted-${++made}`
    const principal: Principal =
      options.kind === "agent"
        ? { kind: "agent", tokenId, serverId: options.serverId }
        : { kind: options.kind, tokenId }
    const info = infoOf(principal, options.note ?? "")
    world.tokens.set(tokenId, { principal, info })
    return { info, token: Redacted.make(tokenId) } satisfies MadeToken
  })
  const revoke = Effect.fnUntraced(function* (tokenId: string) {
    yield* get(tokenId)
    for (const [token, { info }] of world.tokens) if (info.tokenId === tokenId) world.tokens.delete(token)
  })
  return Layer.succeed(Tokens, {
    create: (options) => reachable("create", create(options)),
    get: (tokenId) => reachable("get", get(tokenId)),
    rotate: (tokenId) => reachable("rotate", Effect.fail(new UnknownToken({ tokenId }))),
    exchange: () => reachable("exchange", Effect.fail(new EnrolmentRefused({ reason: "nobody is enrolled here" }))),
    list: reachable(
      "list",
      Effect.sync(() => [...world.tokens.values()].map(({ info }) => info))
    ),
    revoke: (tokenId) => reachable("revoke", revoke(tokenId)),
    isKnown: (token) => world.tokens.has(Redacted.value(token)),
    verify: (token) =>
      reachable(
        "verify",
        Effect.sync(() => Option.fromUndefinedOr(world.tokens.get(Redacted.value(token))?.principal))
      )
  })
}

const sightingsOf = (world: World, serverId: string): ReadonlyArray<Sighting> => {
  const lastSeen = world.lastSeen.get(serverId)
  const interval = world.intervals.get(serverId) ?? 15_000_000
  return lastSeen === undefined ? [] : EXPORTERS.map(({ name }) => ({ exporter: name, lastSeen, interval }))
}

const STREAM_STATS = {
  ...{ length: 3, pending: 1, waiting: 0, bound: 100, bytes: null, oldestSeconds: 2 },
  streams: [{ stream: 0, length: 3, pending: 1, waiting: 0, bound: 100, bytes: null, oldestSeconds: 2 }],
  silent: []
}

const streamPort = (world: World) =>
  Layer.succeed(SnapshotStream, {
    get entry() {
      return world.entry
    },
    publish: (contents, { past = false } = {}) =>
      Effect.andThen(
        Effect.suspend(() => world.publishing),
        Effect.sync(() => {
          world.contents.push(...contents)
          for (const content of contents) {
            const { exporterName, serverId } = content
            const each = "scrape" in content ? eachOfScrape(content.scrape, content.rows)! : content.snapshots
            world.published.push(...each.map((snapshot) => ({ serverId, exporterName, snapshot })))
          }
          world.publishedPast = past
        })
      ),
    subscribe: () => Effect.die("nobody reads here"),
    stats: Effect.succeed(STREAM_STATS),
    statsWith: () => Effect.succeed(STREAM_STATS),
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
  resets: 0,
  clamped: 0,
  unknown: 0,
  host: { cpuCores: 4, memoryTotalBytes: 8 * 2 ** 30 },
  other: { groups: 3, cpu_seconds: 12, avg_cpu_percent: 0.3, memory_mb: 100 },
  unaccounted: { cpuSeconds: 30, avgCpuPercent: 0.8 },
  memoryOvercounted: false
})

const changesAnswer = ({ after, before }: ChangesRequest): ChangesAnswer => {
  const seen = { coveredSeconds: 3_585, coverage: 0.995, scrapes: 240 }
  const line = { before: 10, after: 40, change: 30, share: 1 }
  return {
    unit: "percent",
    before: { ...before, ...seen },
    after: { ...after, ...seen },
    partial: false,
    groups: [
      { name: "node", ...line, appeared: false, gone: false, restarted: true, countBefore: 1, countAfter: 2 },
      {
        name: "cron",
        ...line,
        share: null,
        appeared: true,
        gone: false,
        restarted: false,
        countBefore: 0,
        countAfter: 1
      }
    ],
    other: { groups: 3, before: 1, after: 1, change: 0, share: 0 },
    unaccounted: { before: 2, after: 1, change: -1, share: -0.03 },
    total: { of: "host", ...line },
    waiting: [{ field: "cpu_steal_seconds", before: 0, after: null, change: null }]
  }
}

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
  readonly session: {
    /** The path of a fresh sign-in link for an administrator. */
    readonly newLink: Effect.Effect<string>
  }
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
    readonly basePath?: string
    readonly publicUrl?: string
    readonly checks?: Parameters<typeof Readiness.layer>[0]
    /** Instead of the one that a test can look into. */
    readonly stream?: Layer.Layer<SnapshotStream>
    /** Instead of the server's own. */
    readonly turns?: Turns
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
      Sessions.layerMemory,
      SelfMetrics.layer,
      Readiness.layer(options.checks),
      Static.layerFolder(options.page ?? "/nonexistent")
    ).pipe(
      Layer.provideMerge(Layer.succeed(BasePath, options.basePath ?? "")),
      Layer.provideMerge(Layer.succeed(PublicUrl, options.publicUrl ?? ""))
    )
    const intake = Layer.effect(
      Intake,
      Effect.map(Intake, (own) => ({ ...own, turns: options.turns ?? own.turns }))
    ).pipe(Layer.provide(Intake.layer))
    const context = yield* Layer.build(
      httpLayer.pipe(Layer.provide(intake), Layer.provideMerge(around), Layer.provide(base))
    )
    return yield* Effect.provideContext(
      Effect.gen(function* () {
        const sessions = yield* Sessions
        const { address } = yield* HttpServer.HttpServer
        const port = "port" in address ? address.port : 0
        const ask = (path: string, ask: Ask = {}) => send(port, path, ask)
        const server: TestServer = {
          world,
          port,
          ask,
          session: {
            newLink: Effect.orDie(
              sessions.newLink({ role: "admin", principal: "admin", name: "", tokenId: null })
            ).pipe(Effect.map((code) => `${options.basePath ?? ""}${signInPath(code)}`))
          },
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
const send = (port: number, path: string, { body, headers, method, token }: Ask): Effect.Effect<Answer> =>
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
