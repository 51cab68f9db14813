/**
 * The evaluation of rules over stored rows. A pass asks all rules at the moments that nobody has asked yet, and writes what it found in one
 * transaction (`AlertStates.ts`).
 *
 * One process of the installation goes on asking, as long as it does so in time: the others leave it to that one, until it has missed
 * moments for {@link LEASE_MILLIS} and does not say any more that it is at it. A pass that takes long says so every {@link BEAT_EVERY}: on a
 * machine that has too much to do a second one, which begins from rows, would only make it longer. It keeps what it has read of each server (`WatchMemory.ts`) and reads what is new. Another one begins from rows
 * and stored states, and finds the same. Both may try at a time, since a process can stand still for as long as it likes: then one of them
 * writes, and the other forgets what it has.
 *
 * Guarantee: what is found is what all stored rows say. A server of which rows came late, or whose scrapes were completed, is read anew
 * (`Arrivals.ts`); and each once an hour.
 */
import { randomUUID } from "node:crypto"
import { Array as Arr, Clock, Duration, Effect, Exit, Semaphore } from "effect"
import { staleMicros } from "../query/Increases.ts"
import type { Window } from "../query/Rankings.ts"
import { INACTIVE } from "./AlertState.ts"
import {
  differences,
  keyOf,
  makeAlertStates,
  type Progress,
  type StoredProgress,
  type StoredState,
  type StoredTurn,
  stateOf,
  storable
} from "./AlertStates.ts"
import { type AlertStats, CATCH_UP_MILLIS, type Evaluated } from "./Alerts.ts"
import { Arrivals, makeArrivals } from "./Arrivals.ts"
import { installation as declaredInstallation, isOfInstallation } from "./installation/Installation.ts"
import { makeInstallationReader } from "./installation/InstallationReader.ts"
import { askedOf, EVERY_MILLIS, type Metric, metricsOf, type Rule, sentence, subjectOf } from "./Rule.ts"
import { Rulebook } from "./Rulebook.ts"
import {
  isAbout,
  liveThrough,
  lookbackFor,
  makeRuleReader,
  NO_SIZE,
  type RuleSource,
  type Seen,
  type WatchedServer
} from "./RuleReader.ts"
import { type HostSize, ServerWatch, type Turn } from "./ServerWatch.ts"
import { bytesOf, type ExporterMemory, type Kept, WatchMemory } from "./WatchMemory.ts"

/**
 * Servers that are read at a time, and how many times as many are under way: while some are asked, PostgreSQL reads others. With two
 * under way instead of four a pass takes 1.4 times as long (`bench/alerts.ts`).
 */
const SLICE = 50
const SLICES = 4
/** Of those that are read anew, with their longest windows: what has been read is held until they were asked. */
const ANEW_SLICE = 10
/** A scrape takes a moment until it is stored: the latest moments are asked then. */
export const SETTLE_MILLIS = 5_000
/** Who has not asked for so long has lost its turn. */
const LEASE_MILLIS = 3 * EVERY_MILLIS
const BEAT_EVERY = Duration.seconds(10)
/** In how many passes each server is read anew once: what else changes what rows say, such as cores that become known late, counts then. */
const ANEW_PASSES = 240
/** In how many passes nobody asked on from a moment that is yet to come, until it is taken for that of a clock that was ahead. */
const STRANDED_PASSES = 3
const NOTHING: Evaluated = { moments: 0, fired: 0, resolved: 0 }

/** What a pass is about, epoch microseconds: moments in (from, to]; until `asked` all was asked, and this was found. */
interface Span extends Window {
  readonly asked: number
  readonly before: ReadonlyMap<number | null, ReadonlyArray<StoredState>>
}

/** What was found of a server. */
interface Found {
  readonly turns: ReadonlyArray<StoredTurn>
  readonly states: ReadonlyArray<StoredState>
}

export const makeEvaluator = Effect.gen(function* () {
  const rulebook = yield* Rulebook
  const reader = yield* makeRuleReader
  const states = yield* makeAlertStates
  const installation = yield* makeInstallationReader
  const arrivals = new Map<string, Effect.Success<ReturnType<typeof makeArrivals>>>()
  for (const [name, { exporter }] of reader.sources) arrivals.set(name, yield* makeArrivals(exporter))
  const holder = randomUUID()
  const memory = new WatchMemory()
  let latest: AlertStats["pass"] = null
  let stranded = { until: 0, passes: 0 }
  const oneAtATime = Semaphore.makeUnsafe(1)

  /** A server's watch, as of the moment that was asked last or with nothing seen yet. */
  const makeKept = (
    source: RuleSource,
    mine: ExporterMemory,
    server: WatchedServer,
    rules: ReadonlyArray<Rule>
  ): Kept => {
    const kept: Kept = {
      server,
      arrived: new Arrivals(),
      sizeAt: () => NO_SIZE,
      rules,
      bytes: 0,
      watch: new ServerWatch({
        rules,
        metrics: source.metrics,
        measures: source.measures,
        presence: source.exporter.top?.presence,
        nameOf: mine.names.of,
        sizeAt: (at) => kept.sizeAt(at),
        host: reader.host,
        id: server.id
      })
    }
    return kept
  }

  /** Those of some servers that are kept, and are what is stored. */
  const stillTrue = Effect.fnUntraced(function* (
    source: RuleSource,
    mine: ExporterMemory,
    servers: ReadonlyArray<WatchedServer>,
    { asked, to }: Span,
    reach: number
  ) {
    const turn = to / 1_000 / EVERY_MILLIS
    const kept = servers.flatMap(({ id, name }) => {
      const own = (id + turn) % ANEW_PASSES === 0 ? undefined : mine.kept.get(id)
      return own?.server.name === name ? [own] : []
    })
    const ids = kept.map(({ server }) => server.id)
    const lately = yield* arrivals.get(source.exporter.name)!.since(ids, asked - reach, asked, to)
    return kept.filter(({ arrived, server }) => {
      const stored = lately.get(server.id)!
      if (!arrived.isAll(stored, asked - reach, asked)) return false
      arrived.note(stored, asked, to - reach)
      return true
    })
  })

  /** The others, with nothing seen yet. */
  const begun = Effect.fnUntraced(function* (
    source: RuleSource,
    mine: ExporterMemory,
    rules: ReadonlyArray<Rule>,
    servers: ReadonlyArray<WatchedServer>,
    { from, to }: Span,
    reach: number
  ) {
    const ids = servers.map(({ id }) => id)
    const listed = yield* arrivals.get(source.exporter.name)!.all(ids, from - reach, to)
    return servers.map((server) => {
      const own = rules.filter((rule) => isAbout(rule, server))
      const kept = makeKept(source, mine, server, own)
      kept.arrived.note(listed.get(server.id)!, Number.NEGATIVE_INFINITY, to - reach)
      return kept
    })
  })

  /** Asks the rules about one exporter of some servers. */
  const askSome = Effect.fnUntraced(function* (
    source: RuleSource,
    rules: ReadonlyArray<Rule>,
    servers: ReadonlyArray<WatchedServer>,
    mine: ExporterMemory,
    span: Span
  ) {
    const lookback = lookbackFor(rules, source)
    const reach = lookback + staleMicros(source.exporter)
    const known = yield* stillTrue(source, mine, servers, span, reach)
    const isKnown = new Set(known.map(({ server }) => server.id))
    const others = servers.filter(({ id }) => !isKnown.has(id))
    const anew = yield* begun(source, mine, rules, others, span, reach)
    const sizes = rules.some(isOfMachine)
      ? yield* reader.sizes(
          servers.map(({ id }) => id),
          span
        )
      : NO_SIZES
    const found: Array<Found> = []
    for (const some of [known, ...Arr.chunksOf(anew, ANEW_SLICE)]) {
      // Of those that are kept, rows until then were seen.
      const from = some === known ? span.from : undefined
      const seen = yield* reader.read(
        source,
        rules,
        some.map(({ server }) => server.id),
        span,
        from
      )
      yield* mine.names.learn(groupsOf(seen.values()))
      const unheard =
        some === known ? [] : some.flatMap(({ server: { id } }) => (seen.get(id)!.rows.length === 0 ? [id] : []))
      const heard = yield* reader.heard(source, rules, unheard, span.from - lookback)
      for (const kept of some) {
        const { id } = kept.server
        if (some !== known) {
          for (const rule of kept.rules) kept.watch.resume(rule, statesIn(span.before.get(id) ?? [], rule))
          kept.watch.heard(heard.get(id))
        }
        kept.sizeAt = sizes.get(id) ?? (() => NO_SIZE)
        // Nobody knows what was between the moments that were asked and those that are: nothing was seen yet.
        if (span.from > span.asked) kept.watch.lose(span.from / 1_000)
        const turns = yield* liveThrough(kept.watch, seen.get(id)!, span, lookback)
        kept.sizeAt = () => NO_SIZE
        kept.bytes = bytesOf(kept)
        mine.kept.set(id, kept)
        found.push({
          turns: turns.map((turn) => storableTurn(turn, id, source.metrics)),
          states: kept.rules.flatMap((rule) =>
            [...kept.watch.statesOf(rule)].map(([group, state]) => storable(rule, id, group, state))
          )
        })
        yield* Effect.yieldNow
      }
    }
    return found
  })

  /** Asks the rules about NodePulse itself. */
  const askItself = Effect.fnUntraced(function* (
    rules: ReadonlyArray<Rule>,
    servers: ReadonlyArray<WatchedServer>,
    { asked, before, from, to }: Span
  ) {
    const span = { from: from / 1_000, to: to / 1_000, asked: asked / 1_000 }
    const found = yield* installation.ask(
      rules,
      servers,
      span,
      (rule, server) => statesIn(before.get(server) ?? [], rule)[0]?.[1] ?? INACTIVE
    )
    return found.map(
      ({ rule, server, state, turns }): Found => ({
        turns: turns.map((turn) => storableTurn(turn, server, INSTALLATION_METRICS)),
        states: state.is === "inactive" ? [] : [storable(rule, server, "", state)]
      })
    )
  })

  /** Asks all rules; what they found of each server and exporter. */
  const ask = Effect.fnUntraced(function* (rules: ReadonlyArray<Rule>, span: Span) {
    const found: Array<Found> = []
    const servers = yield* reader.servers
    const byExporter = Map.groupBy(rules, ({ exporter }) => exporter)
    for (const [name, own] of byExporter) {
      const source = reader.sources.get(name)
      if (source === undefined) continue
      const mine = memory.of(name, own, reader.names)
      const about = servers.filter((server) => own.some((rule) => isAbout(rule, server)))
      const ids = new Set(about.map(({ id }) => id))
      for (const id of mine.kept.keys()) if (!ids.has(id)) mine.kept.delete(id)
      const slices = yield* Effect.forEach(
        Arr.chunksOf(about, SLICE),
        (slice) => askSome(source, own, slice, mine, span).pipe(Effect.tap(() => Effect.sync(() => memory.trim()))),
        { concurrency: SLICES }
      )
      found.push(...slices.flat())
    }
    memory.keepOnly(new Set(byExporter.keys()))
    const own = rules.filter(isOfInstallation)
    if (own.length > 0) found.push(...(yield* askItself(own, servers, span)))
    return found
  })

  /** Says again and again that the pass goes on. What is the matter with the database it will find itself. */
  const beats = (progress: Progress | undefined): Effect.Effect<never> =>
    progress === undefined
      ? Effect.never
      : Effect.forever(
          Effect.andThen(Effect.sleep(BEAT_EVERY), Effect.ignore(states.goesOn({ until: progress.until, holder })))
        )

  /** Asks at the moments until one that nobody has asked yet, and writes what was found. */
  const goOn = Effect.fnUntraced(function* (rules: ReadonlyArray<Rule>, progress: Progress | undefined, upto: number) {
    const began = yield* Clock.monotonicTimeNanos
    const isAhead = progress !== undefined && progress.until > upto
    // What a clock that was ahead has asked says nothing of now.
    const asked = isAhead ? upto - 2 * EVERY_MILLIS : (progress?.until ?? upto - EVERY_MILLIS)
    const from = Math.max(isAhead ? upto - EVERY_MILLIS : asked, upto - CATCH_UP_MILLIS)
    if (progress === undefined || from > asked || memory.until !== asked) memory.begin(yield* states.all)
    const before = Map.groupBy(
      [...memory.stored.values()].map((state) => notAfter(state, from)),
      ({ server_id }) => server_id
    )
    const span = { from: from * 1_000, to: upto * 1_000, asked: asked * 1_000, before }
    const found = yield* Effect.raceFirst(ask(rules, span), beats(progress))
    const turns = found.flatMap(({ turns }) => turns)
    const stored = new Map(found.flatMap(({ states }) => states.map((state) => [keyOf(state), state] as const)))
    const next = { until: upto, holder }
    const isMine = yield* states.write({ expected: progress, next, turns, ...differences(memory.stored, stored) })
    if (!isMine) {
      memory.forget()
      return NOTHING
    }
    memory.until = upto
    memory.stored = stored
    latest = {
      seconds: Number((yield* Clock.monotonicTimeNanos) - began) / 1e9,
      moments: (upto - from) / EVERY_MILLIS,
      rules: rules.length,
      watches: memory.watches,
      bytes: memory.bytes
    }
    const fired = turns.filter(({ to }) => to === "firing").length
    return { moments: (upto - from) / EVERY_MILLIS, fired, resolved: turns.length - fired }
  })

  const pass = Effect.gen(function* () {
    const now = yield* Clock.currentTimeMillis
    const upto = Math.floor((now - SETTLE_MILLIS) / EVERY_MILLIS) * EVERY_MILLIS
    const rules = yield* rulebook.rules
    if (rules.length === 0) {
      memory.forget()
      yield* states.rest(upto)
      return NOTHING
    }
    const progress = yield* states.progress
    if (progress !== undefined && !isStranded(progress, upto)) {
      if (upto <= progress.until || isOfAnother(progress, upto)) return NOTHING
    }
    return yield* goOn(rules, progress, upto)
  }).pipe(
    // The watches have gone on, and what they found may not be stored.
    Effect.onExit((exit) => (Exit.isSuccess(exit) ? Effect.void : Effect.sync(() => memory.forget()))),
    oneAtATime.withPermit
  )

  /** Whether nobody goes on from a moment that is yet to come: a clock that was ahead is right again. */
  const isStranded = ({ until }: Progress, upto: number) => {
    const isAhead = until - upto > LEASE_MILLIS
    stranded = isAhead ? { until, passes: until === stranded.until ? stranded.passes + 1 : 1 } : { until: 0, passes: 0 }
    return stranded.passes > STRANDED_PASSES
  }

  const isOfAnother = (progress: StoredProgress, upto: number) =>
    progress.holder !== null &&
    progress.holder !== holder &&
    (progress.isPassing || upto - progress.until < LEASE_MILLIS)

  return { pass, latest: Effect.sync(() => latest), release: states.release(holder) }
})

const isOfMachine = ({ condition }: Rule): boolean => condition.kind === "value" && condition.of === "machine"

const INSTALLATION_METRICS = metricsOf(declaredInstallation)

const storableTurn = (
  { at, group, rule, to, value }: Turn,
  server: number | null,
  metrics: ReadonlyMap<string, Metric>
): StoredTurn => ({
  rule: rule.name,
  server_id: server,
  alert_group: group,
  to,
  at,
  sentence: sentence(rule, metrics),
  severity: rule.severity,
  value,
  asked: askedOf(rule, metrics)
})

const NO_SIZES: ReadonlyMap<number, (at: number) => HostSize> = new Map()

const groupsOf = (seen: Iterable<Seen>): ReadonlySet<number> => {
  const groups = new Set<number>()
  for (const { rows, steps } of seen) {
    for (const scrape of rows) for (const group of scrape.groups) groups.add(group)
    for (const group of steps?.groups ?? []) groups.add(group)
  }
  return groups
}

/** What was found of a rule, as far as it still asks the same. */
const statesIn = (stored: ReadonlyArray<StoredState>, rule: Rule) => {
  const subject = subjectOf(rule)
  return stored.flatMap((state) =>
    state.rule === rule.name && state.subject === subject ? [[state.alert_group, stateOf(state)] as const] : []
  )
}

const notAfter = (state: StoredState, at: number): StoredState =>
  state.since === null || state.since <= at ? state : { ...state, since: at }
