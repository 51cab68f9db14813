/**
 * `GET /api/metrics/{resource}`: the top groups of every server as gauges for Prometheus, so that alert rules can be
 * written about them ("PostgreSQL uses more than 80 % CPU").
 *
 * Not part of `/metrics`: those may be open to everyone, names of processes may not. This needs a token like every read.
 * Names follow from the declarations: `nodepulse_<resource>_<field>{server_id, server, name}`, with the value of the
 * latest scrape and the average over the last `WINDOW` of each ranking.
 *
 * Bound: the leading `groups` (10, at most 50) by each ranking, of at most `SERVERS_MAX` servers; others are counted in
 * `…_servers_omitted`. One scrape is worked on at a time; others within `FRESH_FOR` get the same text.
 */
import { Clock, Duration, Effect, Semaphore } from "effect"
import { HttpApiBuilder } from "effect/http-api"
import { Gauge, Registry as PromRegistry } from "prom-client"
import { type Server, Servers } from "../../access/Servers.ts"
import type { Exporter } from "../../plugins/Exporter.ts"
import { Registry } from "../../plugins/Registry.ts"
import { rankingFields } from "../../plugins/TopQuery.ts"
import { Rankings, type TopAnswer } from "../../query/Rankings.ts"
import { isLate } from "../../query/SeenInterval.ts"
import { intervalOf, Sightings } from "../../query/Sightings.ts"
import { readUntil } from "../../sinks/postgres/ReadReplica.ts"
import { Api } from "../api/Api.ts"
import { fromFailure, NotFound } from "../api/Problem.ts"

const LIMIT_DEFAULT = 10
const SERVERS_MAX = 1_000
const WINDOW = Duration.minutes(5)
const FRESH_FOR = Duration.seconds(10)
const TEXTS_MAX = 16

export const topMetricsHandlers = HttpApiBuilder.group(
  Api,
  "topMetrics",
  Effect.fnUntraced(function* (handlers) {
    const rankings = yield* Rankings
    const servers = yield* Servers
    const registry = yield* Registry
    const sightings = yield* Sightings
    const oneAtATime = yield* Semaphore.make(1)
    const texts = new Map<string, { readonly at: number; readonly text: string }>()

    const collect = Effect.fnUntraced(function* (exporter: Exporter, limit: number) {
      const registry = new PromRegistry()
      const gauges = makeGauges(exporter, registry)
      const [all, seen] = yield* Effect.all([servers.list, sightings.all], { concurrency: 2 })
      const asked = all.slice(0, SERVERS_MAX)
      const { to } = yield* readUntil((yield* Clock.currentTimeMillis) * 1_000)
      const window = { from: to - Duration.toMillis(WINDOW) * 1_000, to }
      for (const metric of Object.keys(exporter.top?.rankings ?? {})) {
        const request = { exporter: exporter.name, metric, limit, window }
        const answers = yield* rankings.tops({ ...request, serverIds: asked.map(({ serverId }) => serverId) })
        for (const server of asked) {
          const answer = answers.get(server.serverId)
          const interval = intervalOf(seen.get(server.serverId), exporter)
          if (answer !== undefined) gauges.set(server, answer, interval)
        }
      }
      gauges.omitted.set(all.length - asked.length)
      return yield* Effect.promise(() => registry.metrics())
    })

    return handlers.handle(
      "metrics",
      Effect.fnUntraced(function* ({ params, query }) {
        const exporter = registry.byResource(params.resource)
        if (exporter?.top === undefined) {
          const known = registry.exporters.flatMap(({ resource, top }) => (top === undefined ? [] : [resource]))
          return yield* new NotFound({
            detail: `"${params.resource}" has no ranking; available: ${known.join(", ")}`,
            known
          })
        }
        const limit = query.groups ?? LIMIT_DEFAULT
        const key = `${exporter.name} ${limit}`
        return yield* oneAtATime.withPermit(
          Effect.gen(function* () {
            const now = yield* Clock.currentTimeMillis
            const kept = texts.get(key)
            if (kept !== undefined && now - kept.at < Duration.toMillis(FRESH_FOR)) return kept.text
            const text = yield* collect(exporter, limit)
            if (texts.size >= TEXTS_MAX) texts.clear()
            texts.set(key, { at: yield* Clock.currentTimeMillis, text })
            return text
          }).pipe(Effect.mapError((failure) => fromFailure(failure)))
        )
      })
    )
  })
)

/** The gauges of an exporter's top answer, by its fields. */
const makeGauges = (exporter: Exporter, registry: PromRegistry) => {
  const registers = [registry]
  const prefix = `nodepulse_${exporter.resource}`
  const minutes = Duration.toMinutes(WINDOW)
  const rows = new Map<string, Gauge<"server_id" | "server" | "name">>()
  for (const [key, ranking] of Object.entries(exporter.top?.rankings ?? {})) {
    const { average, now } = rankingFields(key, ranking.by, exporter.table.columns[ranking.column]!)
    for (const [field, help] of [
      [now, "in the latest scrape"],
      [average, `on average over the last ${minutes} minutes`]
    ] as const) {
      const name = `${prefix}_${field}`
      const about = { name, help: `${field} of a leading group, ${help}.`, registers }
      rows.set(field, new Gauge({ ...about, labelNames: ["server_id", "server", "name"] }))
    }
  }
  const labelNames = ["server_id", "server"] as const
  const stale = new Gauge({
    name: `${prefix}_stale`,
    help: "1 where the latest scrape is older than 2.5 of the intervals that the server really sends at.",
    labelNames,
    registers
  })
  const seen = new Gauge({
    name: `${prefix}_last_seen_timestamp_seconds`,
    help: "When the latest scrape was.",
    labelNames,
    registers
  })
  const omitted = new Gauge({
    name: `${prefix}_servers_omitted`,
    help: "Servers beyond the bounds of this answer.",
    registers
  })
  const set = ({ name, serverId }: Server, answer: TopAnswer, interval: number): void => {
    const labels = { server_id: serverId, server: name }
    // One that has never sent anything, or nothing for as long as rows are kept, is not silent but gone.
    if (answer.lastSeen !== null) {
      stale.set(labels, isLate(answer.lastSeen, answer.window.to, interval) ? 1 : 0)
      seen.set(labels, answer.lastSeen / 1e6)
    }
    for (const row of answer.rows) {
      for (const [field, gauge] of rows) {
        const value = row[field]
        if (typeof value === "number") gauge.set({ ...labels, name: row.name }, value)
      }
    }
  }
  return { omitted, set }
}
