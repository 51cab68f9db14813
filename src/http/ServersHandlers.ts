/**
 * `/api/servers`: adding a server, and which there are with when they were last heard of.
 *
 * States follow from the shortest interval of the registry and its longest `staleAfter`: `live` up to 2.5 intervals, then
 * `stale`, and `silent` once there is a hole (TRUTH.md: nothing is said about it) or nothing was ever heard.
 */
import { Clock, Duration, Effect, Redacted } from "effect"
import { HttpApiBuilder } from "effect/http-api"
import type { Exporter } from "../plugins/Exporter.ts"
import { Registry } from "../plugins/Registry.ts"
import { formatTimestamp } from "../plugins/Timestamp.ts"
import { Rankings } from "../sinks/Rankings.ts"
import { type Server, Servers, UnknownServer } from "../sinks/Servers.ts"
import { Api } from "./Api.ts"
import { isServerId } from "./Parameters.ts"
import { fromFailure } from "./Problem.ts"

const STALE_INTERVALS = 2.5

export interface Freshness {
  readonly staleAfterMicros: number
  readonly silentAfterMicros: number
}

/** The state of a server whose latest scrape was at `lastSeen` (epoch microseconds; null: never). */
export const stateOf = (
  lastSeen: number | null,
  nowMicros: number,
  freshness: Freshness
): "live" | "stale" | "silent" => {
  if (lastSeen === null) return "silent"
  const age = nowMicros - lastSeen
  if (age <= freshness.staleAfterMicros) return "live"
  return age <= freshness.silentAfterMicros ? "stale" : "silent"
}

/** Of the exporters of a registry. */
export const freshnessOf = (exporters: ReadonlyArray<Exporter>): Freshness => {
  const micros = (duration: Duration.Duration) => Duration.toMillis(duration) * 1_000
  return {
    staleAfterMicros: STALE_INTERVALS * Math.min(...exporters.map(({ scrape }) => micros(scrape.interval))),
    silentAfterMicros: Math.max(...exporters.map(({ table }) => micros(table.staleAfter)))
  }
}

export const serversHandlers = HttpApiBuilder.group(
  Api,
  "servers",
  Effect.fnUntraced(function* (handlers) {
    const servers = yield* Servers
    const rankings = yield* Rankings
    const { exporters } = yield* Registry
    const freshness = freshnessOf(exporters)

    const show = (server: Server, lastSeen: number | null, nowMicros: number) => ({
      server_id: server.serverId,
      name: server.name,
      created_at: new Date(server.createdAt).toISOString(),
      last_seen: lastSeen === null ? null : formatTimestamp(lastSeen),
      state: stateOf(lastSeen, nowMicros, freshness)
    })

    return handlers.handleAll({
      register: ({ payload }) =>
        servers.register(payload.name.trim()).pipe(
          Effect.map(({ server, token }) => ({
            server_id: server.serverId,
            name: server.name,
            token: Redacted.value(token)
          })),
          Effect.mapError((failure) => fromFailure(failure))
        ),
      list: () =>
        Effect.gen(function* () {
          const [all, lastSeen] = yield* Effect.all([servers.list, rankings.lastSeen], { concurrency: 2 })
          const now = (yield* Clock.currentTimeMillis) * 1_000
          return { servers: all.map((server) => show(server, lastSeen.get(server.serverId) ?? null, now)) }
        }).pipe(Effect.mapError((failure) => fromFailure(failure))),
      get: ({ params }) =>
        Effect.gen(function* () {
          if (!isServerId(params.id)) return yield* new UnknownServer({ serverId: params.id })
          const server = yield* servers.get(params.id)
          const lastSeen = yield* rankings.lastSeen
          const now = (yield* Clock.currentTimeMillis) * 1_000
          return show(server, lastSeen.get(server.serverId) ?? null, now)
        }).pipe(Effect.mapError((failure) => fromFailure(failure)))
    })
  })
)
