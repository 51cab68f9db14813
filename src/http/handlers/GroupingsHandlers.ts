/**
 * `/api/groupings`: rule sets, their versions, and what rules would do to the names of the last day. The names are those that the
 * ranking of that day has, and their values its averages, which add up.
 */
import { Clock, Effect } from "effect"
import { HttpApiBuilder } from "effect/http-api"
import { Servers, UnknownServer } from "../../access/Servers.ts"
import { rankingOf } from "../../plugins/Catalog.ts"
import type { Exporter } from "../../plugins/Exporter.ts"
import { Registry } from "../../plugins/Registry.ts"
import { formatTimestamp } from "../../plugins/Timestamp.ts"
import { fleetTop, groupsMax, SERVERS_MAX } from "../../query/FleetRanking.ts"
import { type PreviewedName, previewName, previewOf } from "../../query/grouping/GroupingPreview.ts"
import { type Grouping, Groupings } from "../../query/grouping/Groupings.ts"
import { STEPS_AT_ONCE } from "../../query/grouping/Regrouping.ts"
import { compileRules } from "../../query/grouping/RuleSet.ts"
import { isGroupingName, type Rule } from "../../query/grouping/Rules.ts"
import { Rankings, type Window } from "../../query/Rankings.ts"
import { Api } from "../api/Api.ts"
import { isServerId } from "../api/Parameters.ts"
import { fromFailure, NotFound } from "../api/Problem.ts"
import { findExporter, findRanking } from "./RankingsHandlers.ts"

const VERSIONS_DEFAULT = 100
const PREVIEW_MICROS = 24 * 3_600_000_000

export const groupingsHandlers = HttpApiBuilder.group(
  Api,
  "groupings",
  Effect.fnUntraced(function* (handlers) {
    const groupings = yield* Groupings
    const preview = yield* makePreview

    return handlers.handleAll({
      list: () =>
        groupings.list.pipe(
          Effect.map((all) => ({ groupings: all.map((one) => ({ ...showVersion(one), rules: one.rules.length })) })),
          Effect.mapError((failure) => fromFailure(failure))
        ),
      get: Effect.fnUntraced(function* ({ params, query }) {
        const name = yield* named(params.name)
        return show(yield* Effect.mapError(groupings.get(name, query.version), (failure) => fromFailure(failure)))
      }),
      versions: Effect.fnUntraced(function* ({ params, query }) {
        const name = yield* named(params.name)
        const limit = query.limit ?? VERSIONS_DEFAULT
        const found = yield* groupings
          .versions(name, { limit: limit + 1, before: query.before })
          .pipe(Effect.mapError((failure) => fromFailure(failure)))
        const listed = found.slice(0, limit)
        return {
          versions: listed.map((one) => ({ ...showVersion(one), retired: one.retired, rules: one.rules.length })),
          next: found.length > limit ? listed.at(-1)!.version : null
        }
      }),
      save: ({ payload: { base_version, comment = "", name, rules } }) =>
        groupings.save({ name, base: base_version, rules, comment }).pipe(
          Effect.map(show),
          Effect.mapError((failure) => fromFailure(failure))
        ),
      rollback: Effect.fnUntraced(
        function* ({ params, payload: { base_version, comment, to_version } }) {
          const { name, rules } = yield* groupings.get(params.name, to_version)
          const why = comment ?? `back to version ${to_version}`
          return show(yield* groupings.save({ name, base: base_version, rules, comment: why }))
        },
        Effect.mapError((failure) => fromFailure(failure))
      ),
      retire: ({ params }) => Effect.mapError(groupings.retire(params.name, ""), (failure) => fromFailure(failure)),
      preview: ({ payload }) => preview(payload)
    })
  })
)

/** What can be no name is asked of no database. */
const named = (name: string) =>
  isGroupingName(name)
    ? Effect.succeed(name)
    : Effect.fail(new NotFound({ detail: `there is no rule set ${JSON.stringify(name.slice(0, 100))}` }))

const showVersion = ({ author, comment, name, savedAt, version }: Grouping) => ({
  name,
  version,
  comment,
  author,
  saved_at: formatTimestamp(savedAt)
})

const show = (grouping: Grouping) => ({ ...showVersion(grouping), rules: grouping.rules })

// -- preview

const makePreview = Effect.gen(function* () {
  const rankings = yield* Rankings
  const registry = yield* Registry
  const servers = yield* Servers

  const namesOf = Effect.fnUntraced(
    function* (exporter: Exporter, metric: string, serverId: string | undefined, window: Window) {
      const asked = serverId === undefined ? (yield* servers.list).map((server) => server.serverId) : [serverId]
      const some = asked.slice(0, SERVERS_MAX)
      const limit = groupsMax(some.length)
      return yield* fleetTop(rankings, { exporter, servers: some, metric, by: "name", limit, window })
    },
    Effect.mapError((failure) => fromFailure(failure))
  )

  return Effect.fnUntraced(function* (question: {
    readonly rules: ReadonlyArray<Rule>
    readonly resource?: string
    readonly metric?: string
    readonly server_id?: string
  }) {
    const { rules, server_id: serverId } = question
    const set = yield* Effect.mapError(Effect.fromResult(compileRules(rules)), (failure) => fromFailure(failure))
    const ranked = registry.exporters.find(({ top }) => top !== undefined)
    const exporter = yield* Effect.fromResult(findExporter(registry, question.resource ?? ranked?.resource ?? ""))
    const metric = yield* Effect.fromResult(findRanking(registry, exporter, question.metric))
    if (serverId !== undefined && !isServerId(serverId)) return yield* fromFailure(new UnknownServer({ serverId }))
    const to = (yield* Clock.currentTimeMillis) * 1_000
    const window = { from: to - PREVIEW_MICROS, to }
    const { fields } = rankingOf(exporter, metric)
    const { other, rows } = yield* namesOf(exporter, metric, serverId, window)
    const names: Array<PreviewedName> = []
    let steps = 0
    for (const row of rows) {
      names.push(previewName(set, { name: row.name, value: Number(row[fields.average] ?? 0) }))
      steps += row.name.length * set.instructions
      if (steps < STEPS_AT_ONCE) continue
      steps = 0
      yield* Effect.yieldNow
    }
    return {
      resource: exporter.resource,
      metric,
      unit: fields.unit,
      window: { from: formatTimestamp(window.from), to: formatTimestamp(window.to) },
      ...previewOf(rules.length, names),
      omitted: { groups: other.groups, value: other[fields.average] ?? 0 }
    }
  })
})
