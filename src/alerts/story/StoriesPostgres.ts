/** What alerts tell, from PostgreSQL: the same modules as the answers, and `admiral.alerts.story` once a story is complete. */
import { PgClient, PgTypes } from "@effect/sql-pg"
import { Clock, Duration, Effect, Layer, Option, Result, Schema } from "effect"
import { Notes } from "../../access/Notes.ts"
import type { Exporter } from "../../plugins/Exporter.ts"
import { Registry } from "../../plugins/Registry.ts"
import { Aggregate, aggregating } from "../../query/Aggregate.ts"
import { Changes } from "../../query/Changes.ts"
import { Marks } from "../../query/Marks.ts"
import type { Window } from "../../query/Rankings.ts"
import { idOf } from "../../query/ServerIds.ts"
import { makeWindowReader } from "../../query/WindowReader.ts"
import { answering } from "../../sinks/postgres/Database.ts"
import { moment } from "../../sinks/postgres/Moments.ts"
import { Scrapes } from "../../sinks/storage/Scrapes.ts"
import { type Alert, Alerts } from "../Alerts.ts"
import {
  AlertStories,
  COMPLETE_AFTER_MILLIS,
  EVENTS_MAX,
  eventOf,
  lineOf,
  linkOf,
  othersOf,
  rankedFor,
  StoryFacts,
  topsOf,
  windowsOf
} from "./Story.ts"

/** All groups of a server as a rule: the first ones of each window are chosen from them. */
const GROUPS_ASKED = 1_000
/** How many stories are kept in a pass. */
const KEPT_AT_ONCE = 20
const KEEP_EVERY = Duration.minutes(1)
const ALERTS_KEPT = Duration.days(365)

const make = Effect.gen(function* () {
  const sql = yield* PgClient.PgClient
  const alerts = yield* Alerts
  const changes = yield* Changes
  const marks = yield* Marks
  const notes = yield* Notes
  const registry = yield* Registry
  const pressureOf = yield* makePressure(sql, registry.host)

  const groupsOf = Effect.fnUntraced(function* (
    { asked, group }: Alert,
    serverId: string,
    before: Window,
    after: Window
  ) {
    const ranked = rankedFor(asked, registry)
    if (ranked === undefined) return NO_GROUPS
    const { exporter, metric, resource } = ranked
    const sides = { before: { serverId, window: before }, after: { serverId, window: after } }
    const answer = yield* changes.between({ exporter, metric, limit: GROUPS_ASKED, ...sides })
    const tops = topsOf(answer.groups, group)
    return {
      ranked: { resource, metric, unit: answer.unit },
      partial: answer.partial,
      tops,
      other: othersOf(answer, tops),
      unaccounted: answer.unaccounted === null ? null : lineOf(answer.unaccounted),
      total: { of: answer.total.of, ...lineOf(answer.total) },
      restarts: answer.groups
        .filter(({ restarted }) => restarted)
        .map(({ name }) => name)
        .slice(0, EVENTS_MAX)
    }
  })

  const factsOf = Effect.fnUntraced(function* (alert: Alert) {
    const windows = windowsOf(alert)
    const { from, split, to } = windows
    const at = { window: { from, to }, split }
    const { serverId } = alert
    if (serverId === null) {
      return { ...at, ...NO_GROUPS, pressure: [], events: [], notes: [], link: linkOf(null, windows, undefined) }
    }
    const whole = { from: from * 1_000, to: to * 1_000 }
    const [before, after] = [
      { ...whole, to: split * 1_000 },
      { ...whole, from: split * 1_000 }
    ]
    const [groups, pressure, happened, said] = yield* Effect.all(
      [
        groupsOf(alert, serverId, before, after),
        pressureOf(serverId, before, after),
        marks.of(serverId, whole),
        notes.between(serverId, whole)
      ],
      { concurrency: 2 }
    )
    return {
      ...at,
      ...groups,
      pressure,
      events: happened.slice(-EVENTS_MAX).map(eventOf),
      notes: said.slice(-EVENTS_MAX).map(({ at, author, text }) => ({ at: at / 1_000, text, author })),
      link: linkOf(serverId, windows, groups.ranked?.metric)
    } satisfies StoryFacts
  })

  /** A server that goes meanwhile takes its alerts with it. */
  const told = (alert: Alert) =>
    factsOf(alert).pipe(
      Effect.map((facts) => Option.some({ alert, ...facts })),
      Effect.catchTag("UnknownServer", () => Effect.succeedNone)
    )

  const stored = Effect.fnUntraced(function* (id: string) {
    const [row] = yield* sql.unsafe<{ readonly story: unknown }>(STORED, [PgTypes.int8(BigInt(id))])
    return Result.getSuccess(decode(row?.story))
  }, answering("read an alert's story"))

  const of: AlertStories["Service"]["of"] = Effect.fn("AlertStories.of")(function* (alertId) {
    const [alert] = yield* alerts.list({ id: alertId, limit: 1 })
    if (alert === undefined) return Option.none()
    const kept = yield* stored(alert.id)
    return Option.isSome(kept) ? Option.some({ alert, ...kept.value }) : yield* told(alert)
  })

  const keepOne = Effect.fnUntraced(function* (id: string) {
    const [alert] = yield* alerts.list({ id, limit: 1 })
    if (alert === undefined) return
    const facts = yield* Effect.option(factsOf(alert))
    if (Option.isNone(facts)) return
    yield* sql
      .unsafe(KEEP, [PgTypes.int8(BigInt(id)), PgTypes.jsonb(facts.value)])
      .pipe(answering("keep an alert's story"))
  })

  /** Of the latest alert that was tried: one whose story fails is tried again after all others. */
  let last = 0n

  const keep = Effect.gen(function* () {
    const now = yield* Clock.currentTimeMillis
    const upto = PgTypes.float8((now - COMPLETE_AFTER_MILLIS) * 1_000)
    const due = yield* sql
      .unsafe<{ readonly id: string }>(DUE, [upto, PgTypes.int8(last), PgTypes.int4(KEPT_AT_ONCE)])
      .pipe(answering("look for stories to keep"))
    for (const { id } of due) yield* keepOne(id)
    last = due.length < KEPT_AT_ONCE ? 0n : BigInt(due.at(-1)!.id)
    const until = PgTypes.float8((now - Duration.toMillis(ALERTS_KEPT)) * 1_000)
    yield* sql.unsafe(PRUNE, [until]).pipe(answering("drop old alerts"))
    return due.length
  })

  return AlertStories.of({
    of,
    keep,
    run: Effect.forever(
      keep.pipe(
        Effect.catch((error) => Effect.as(Effect.logWarning(error.message), 0)),
        Effect.andThen(Effect.sleep(KEEP_EVERY))
      )
    )
  })
})

export const layer: Layer.Layer<AlertStories, never, Alerts | Changes | Marks | Notes | PgClient.PgClient | Registry> =
  Layer.effect(AlertStories, make).pipe(Layer.provide(Scrapes.layer))

const decode = Schema.decodeUnknownResult(StoryFacts)

const NO_GROUPS = { ranked: null, partial: false, tops: [], other: null, unaccounted: null, total: null, restarts: [] }

/** How much of the time work waited, of the host; nothing where no rows of either window tell. */
const makePressure = Effect.fnUntraced(function* (sql: PgClient.PgClient, host: Exporter | undefined) {
  const columns = Object.entries<string>(host?.host?.pressure ?? {})
  const measures = { counters: columns.map(([, column]) => column), gauges: [] }
  const reader = host === undefined ? undefined : yield* makeWindowReader(host, measures, host)
  return Effect.fnUntraced(function* (serverId: string, before: Window, after: Window) {
    if (reader === undefined || columns.length === 0) return []
    const server = yield* idOf(sql, serverId)
    const [was, is] = yield* Effect.forEach([before, after], (window) => {
      const sums = new Aggregate(columns.length, 0)
      return Effect.as(
        reader.read([server], window, () => aggregating(sums)),
        sums
      )
    })
    return columns.flatMap(([what], n) => {
      const [before, after] = [was!, is!].map(({ counters, covered, groups }) =>
        covered === 0 || groups.length === 0 ? Number.NaN : (100 * counters[n]!.increase[0]!) / covered
      ) as [number, number]
      return Number.isNaN(before) || Number.isNaN(after) ? [] : [{ what, before, after, difference: after - before }]
    })
  }, answering("read pressure"))
})

const STORED = "select alert.story from admiral.alerts as alert where alert.id = $1::int8"

const KEEP = "update admiral.alerts as alert set story = $2::jsonb where alert.id = $1::int8 and alert.story is null"

const DUE = `select alert.id::text as id from admiral.alerts as alert
where alert.story is null and alert.fired_at < ${moment("$1::float8")} and alert.id > $2::int8 order by alert.id limit $3::int4`

const PRUNE = `delete from admiral.alerts as alert where alert.resolved_at < ${moment("$1::float8")}`
