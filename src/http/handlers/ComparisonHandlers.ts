/**
 * `GET /api/{resource}/compare` and `…/spread`: servers side by side, and one group over all of them. The window is that of
 * `…/top`; what is odd is said in `src/query/Deviation.ts`.
 */
import { Effect } from "effect"
import { HttpApiBuilder } from "effect/http-api"
import { Servers, UnknownServer } from "../../access/Servers.ts"
import type { Exporter } from "../../plugins/Exporter.ts"
import { Registry } from "../../plugins/Registry.ts"
import { formatTimestamp } from "../../plugins/Timestamp.ts"
import {
  COMPARED_MAX,
  COMPARED_MIN,
  Comparisons,
  comparedBy,
  type Matrix,
  type MatrixRow,
  matrixOf,
  type OddOne,
  oddOnes,
  type Scale,
  spreadOf,
  type TotalsAnswer
} from "../../query/Comparison.ts"
import { groupsMax, SERVERS_MAX } from "../../query/FleetRanking.ts"
import { Groupings } from "../../query/grouping/Groupings.ts"
import { machineScale } from "../../query/HostFacts.ts"
import { Rankings, type TopAnswer, type Window } from "../../query/Rankings.ts"
import { isLate } from "../../query/SeenInterval.ts"
import { intervalOf, Sightings } from "../../query/Sightings.ts"
import { Api } from "../api/Api.ts"
import { ALLOWED, isServerId } from "../api/Parameters.ts"
import { fromFailure, InvalidParameter } from "../api/Problem.ts"
import { rounded } from "./OverviewHandlers.ts"
import { aimAt, findExporter, findRanking, HoursMax, showWindow } from "./RankingsHandlers.ts"
import { regroupingOf, showGrouping } from "./RegroupedAnswers.ts"

const LIMIT_DEFAULT = 10
const POINTS_DEFAULT = 120
/** How many odd ones are told of one group over all servers. */
const ODD_MAX = 20
const MIB = 1024 * 1024

export const comparisonHandlers = HttpApiBuilder.group(
  Api,
  "comparison",
  Effect.fnUntraced(function* (handlers) {
    const comparisons = yield* Comparisons
    const groupings = yield* Groupings
    const rankings = yield* Rankings
    const registry = yield* Registry
    const servers = yield* Servers
    const sightings = yield* Sightings
    const hoursMax = yield* HoursMax

    return handlers.handleAll({
      compare: Effect.fnUntraced(function* ({ params, query }) {
        const exporter = yield* Effect.fromResult(findExporter(registry, params.resource))
        const metric = yield* Effect.fromResult(findRanking(registry, exporter, query.metric))
        const scale = yield* scaleOf(exporter, metric, query.scale)
        const { hours, window } = yield* aimAt(query, hoursMax)
        const asked = yield* comparedServers([query.server ?? []].flat())
        const regrouping = yield* regroupingOf(groupings, query.grouping)
        const request = { exporter: exporter.name, metric, serverIds: asked, window }
        return yield* Effect.gen(function* () {
          const seen = yield* sightings.all
          const shown = registry.host === undefined ? [exporter] : [exporter, registry.host]
          const paces = asked.flatMap((id) => shown.map((of) => intervalOf(seen.get(id), of)))
          const [all, answers, totals] = yield* Effect.all(
            [
              servers.list,
              rankings.tops({ ...request, limit: groupsMax(asked.length), regrouping }),
              comparisons.totals({
                ...request,
                points: query.points ?? POINTS_DEFAULT,
                interval: Math.max(...paces)
              })
            ],
            { concurrency: 2 }
          )
          const names = new Map(all.map(({ name, serverId }) => [serverId, name]))
          const compared = asked.map((serverId) => ({
            serverId,
            name: names.get(serverId) ?? serverId,
            answer: answers.get(serverId)!,
            interval: intervalOf(seen.get(serverId), exporter)
          }))
          const matrix = matrixOf(
            exporter,
            metric,
            scale,
            compared.map(({ answer }) => answer),
            query.limit ?? LIMIT_DEFAULT
          )
          return {
            ...headOf(exporter, metric, scale, hours, window),
            ...showComparison(exporter, metric, scale, compared, totals, matrix, oddOnes(matrix)),
            ...showGrouping(regrouping)
          }
        }).pipe(Effect.mapError((failure) => fromFailure(failure)))
      }),

      spread: Effect.fnUntraced(function* ({ params, query }) {
        const exporter = yield* Effect.fromResult(findExporter(registry, params.resource))
        const metric = yield* Effect.fromResult(findRanking(registry, exporter, query.metric))
        const scale = yield* scaleOf(exporter, metric, query.scale)
        const { hours, window } = yield* aimAt(query, hoursMax)
        const all = yield* Effect.mapError(servers.list, (failure) => fromFailure(failure))
        if (all.length > SERVERS_MAX) return yield* tooMany(all.length, SERVERS_MAX)
        const serverIds = all.map(({ serverId }) => serverId)
        const regrouping = yield* regroupingOf(groupings, query.grouping)
        const readings = yield* comparisons
          .spread({ exporter: exporter.name, metric, name: query.name, serverIds, window, regrouping })
          .pipe(Effect.mapError((failure) => fromFailure(failure)))
        const spread = spreadOf(exporter, metric, scale, readings)
        const names = new Map(all.map(({ name, serverId }) => [serverId, name]))
        return {
          ...headOf(exporter, metric, scale, hours, window),
          name: query.name,
          server_ids: spread.servers.map(({ serverId }) => serverId),
          names: spread.servers.map(({ serverId }) => names.get(serverId) ?? serverId),
          values: spread.servers.map(({ value }) => rounded(value)),
          median: spread.median,
          of: spread.count,
          odd: spread.odd.slice(0, ODD_MAX).map((place) => ({
            server_id: spread.servers[place]!.serverId,
            value: spread.servers[place]!.value!,
            deviation: spread.deviations[place]!
          })),
          absent: spread.absent,
          unseen: spread.unseen,
          ...showGrouping(regrouping)
        }
      })
    })
  })
)

/** The unit that is asked for: percent of the machine only of what a machine has. */
const scaleOf = (exporter: Exporter, metric: string, scale: Scale = "own") =>
  scale === "machine" && comparedBy(exporter, metric).share === undefined
    ? Effect.fail(
        new InvalidParameter({
          detail: `scale: "${metric}" is no share of the machine, leave it out`,
          parameter: "scale",
          value: scale,
          allowed: "own"
        })
      )
    : Effect.succeed(scale)

/** The servers to compare, each once. */
const comparedServers = Effect.fnUntraced(function* (named: ReadonlyArray<string>) {
  const asked = [...new Set(named)]
  const unknown = asked.find((serverId) => !isServerId(serverId))
  if (unknown !== undefined) return yield* fromFailure(new UnknownServer({ serverId: unknown }))
  if (asked.length > COMPARED_MAX) return yield* tooMany(asked.length, COMPARED_MAX)
  if (asked.length < COMPARED_MIN) {
    return yield* new InvalidParameter({
      detail: `server: ${asked.length} different servers are too few to compare, name at least ${COMPARED_MIN}`,
      parameter: "server",
      value: asked.length,
      allowed: ALLOWED.servers
    })
  }
  return asked
})

const tooMany = (count: number, most: number) =>
  new InvalidParameter({
    detail: `server: ${count} servers are too many to compare, at most ${most}`,
    parameter: "server",
    value: count,
    allowed: `at most ${most} servers`
  })

const headOf = (exporter: Exporter, metric: string, scale: Scale, hours: number, window: Window) => ({
  resource: exporter.resource,
  metric,
  scale,
  unit: scale === "machine" ? "percent_of_machine" : comparedBy(exporter, metric).fields.unit,
  time_range_hours: hours,
  window: showWindow(window)
})

interface Compared {
  readonly serverId: string
  readonly name: string
  readonly answer: TopAnswer
  /** How far apart its scrapes are, microseconds. */
  readonly interval: number
}

const showComparison = (
  exporter: Exporter,
  metric: string,
  scale: Scale,
  compared: ReadonlyArray<Compared>,
  totals: TotalsAnswer,
  { groups, other, total }: Matrix,
  odd: ReadonlyArray<OddOne>
) => ({
  first: totals.first / 1_000_000,
  step_seconds: totals.stepSeconds,
  steps: totals.steps,
  servers: compared.map(({ answer, interval, name, serverId }) => {
    const cores = answer.host?.cpuCores ?? null
    const memory = answer.host?.memoryTotalBytes ?? null
    const factor = scale === "own" ? 1 : machineScale(comparedBy(exporter, metric).share, { cores, memory })
    const drawn = (values: ReadonlyArray<number | null>) =>
      values.map((value) => (factor === null ? null : rounded(value, factor)))
    const series = totals.servers.get(serverId)!
    return {
      server_id: serverId,
      name,
      coverage: answer.coverage,
      scrapes: answer.scrapes,
      last_seen: answer.lastSeen === null ? null : formatTimestamp(answer.lastSeen),
      stale: isLate(answer.lastSeen, answer.window.to, interval),
      cpu_cores: cores,
      memory_total_mb: memory === null ? null : memory / MIB,
      series: drawn(series.groups),
      host: series.host === null ? null : drawn(series.host)
    }
  }),
  groups: groups.map(({ name, ...row }) => ({ name, ...showRow(row) })),
  other,
  total: showRow(total),
  odd: odd.map(({ count, deviation, median, name, server, value }) => ({
    name,
    server_id: compared[server]!.serverId,
    value,
    deviation,
    median,
    of: count
  }))
})

const showRow = ({ deviations, median, values }: MatrixRow) => ({
  values,
  median,
  deviations: deviations.map((deviation) => rounded(deviation))
})
