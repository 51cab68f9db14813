/**
 * `/api/servers`: adding a server, and which there are with when they were last heard of.
 *
 * A server is as well as the best of its exporters: `live` up to 2.5 of the intervals that it really sends at, then `stale`,
 * and `silent` once there is a gap, about which nothing is said, or where nothing was ever heard.
 */
import { Clock, Duration, Effect, Redacted } from "effect"
import { HttpApiBuilder } from "effect/http-api"
import type { AgentState } from "../../access/AgentHolder.ts"
import { Agents } from "../../access/Agents.ts"
import { type Server, Servers, UnknownServer } from "../../access/Servers.ts"
import type { Exporter } from "../../plugins/Exporter.ts"
import { Registry } from "../../plugins/Registry.ts"
import { formatTimestamp } from "../../plugins/Timestamp.ts"
import { LATE_INTERVALS } from "../../query/SeenInterval.ts"
import { type Sighting, Sightings } from "../../query/Sightings.ts"
import { Api } from "../api/Api.ts"
import { isServerId } from "../api/Parameters.ts"
import { fromFailure } from "../api/Problem.ts"
import { Limits } from "../server/Limits.ts"
import { agentFields, makeLastSeen } from "./AgentNotes.ts"

export interface Freshness {
  readonly staleAfterMicros: number
  readonly silentAfterMicros: number
}

export type State = "live" | "stale" | "silent"

/** The state of what was last heard of at `lastSeen` (epoch microseconds; null: never). */
export const stateOf = (lastSeen: number | null, nowMicros: number, freshness: Freshness): State => {
  if (lastSeen === null) return "silent"
  const age = nowMicros - lastSeen
  if (age <= freshness.staleAfterMicros) return "live"
  return age <= freshness.silentAfterMicros ? "stale" : "silent"
}

/** Of these exporters; by the interval that was seen, else by the shortest that is declared. */
const freshnessOf = (exporters: ReadonlyArray<Exporter>, interval?: number): Freshness => {
  const micros = (duration: Duration.Duration) => Duration.toMillis(duration) * 1_000
  return {
    staleAfterMicros:
      LATE_INTERVALS * (interval ?? Math.min(...exporters.map(({ scrape }) => micros(scrape.interval)))),
    silentAfterMicros: Math.max(...exporters.map(({ table }) => micros(table.staleAfter)))
  }
}

const BEST: ReadonlyArray<State> = ["live", "stale", "silent"]

/**
 * What is known of a server by its sightings: of each exporter, and together. `heardAt` makes of the time of a row when that
 * was by our clock.
 */
export const healthOf = (
  registry: Registry["Service"],
  sightings: ReadonlyArray<Sighting>,
  nowMicros: number,
  heardAt: (exporter: string, timestamp: number) => number | null = (_, timestamp) => timestamp
) => {
  const exporters = sightings.flatMap(({ exporter: name, interval, lastSeen: timestamp }) => {
    const exporter = registry.get(name)
    const lastSeen = heardAt(name, timestamp)
    if (exporter === undefined || lastSeen === null) return []
    const state = stateOf(lastSeen, nowMicros, freshnessOf([exporter], interval))
    return [{ name, last_seen: formatTimestamp(lastSeen), interval_seconds: interval / 1e6, state }]
  })
  return {
    last_seen:
      exporters
        .map(({ last_seen }) => last_seen)
        .toSorted()
        .at(-1) ?? null,
    state: BEST.find((state) => exporters.some((exporter) => exporter.state === state)) ?? "silent",
    exporters
  }
}

export const serversHandlers = HttpApiBuilder.group(
  Api,
  "servers",
  Effect.fnUntraced(function* (handlers) {
    const servers = yield* Servers
    const agents = yield* Agents
    const sightings = yield* Sightings
    const registry = yield* Registry
    const { serversMax } = yield* Limits

    const lastSeenOf = makeLastSeen()
    const show = (server: Server, seen: ReadonlyArray<Sighting>, agent: AgentState | undefined, nowMicros: number) => ({
      server_id: server.serverId,
      name: server.name,
      created_at: new Date(server.createdAt).toISOString(),
      ...healthOf(registry, seen, nowMicros, (exporter, timestamp) =>
        lastSeenOf(`${server.serverId} ${exporter}`, timestamp, agent, nowMicros)
      ),
      ...agentFields(agent, nowMicros / 1_000, registry)
    })

    return handlers.handleAll({
      register: ({ payload }) =>
        servers.register(payload.name.trim(), serversMax).pipe(
          Effect.map(({ server, token }) => ({
            server_id: server.serverId,
            name: server.name,
            token: Redacted.value(token)
          })),
          Effect.mapError((failure) => fromFailure(failure))
        ),
      list: () =>
        Effect.gen(function* () {
          const [all, seen, told] = yield* Effect.all([servers.list, sightings.all, agents.all], { concurrency: 3 })
          const now = (yield* Clock.currentTimeMillis) * 1_000
          return {
            servers: all.map((server) => show(server, seen.get(server.serverId) ?? [], told.get(server.serverId), now))
          }
        }).pipe(Effect.mapError((failure) => fromFailure(failure))),
      get: ({ params }) =>
        Effect.gen(function* () {
          if (!isServerId(params.id)) return yield* new UnknownServer({ serverId: params.id })
          const [server, seen, told] = yield* Effect.all(
            [servers.get(params.id), sightings.of(params.id), agents.all],
            { concurrency: 3 }
          )
          const now = (yield* Clock.currentTimeMillis) * 1_000
          return show(server, seen, told.get(server.serverId), now)
        }).pipe(Effect.mapError((failure) => fromFailure(failure)))
    })
  })
)
