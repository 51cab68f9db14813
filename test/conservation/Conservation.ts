/**
 * Promise 1, judged from outside: what was answered with 2xx is in PostgreSQL exactly once, whatever is killed, paused, cut
 * or restarted in between, and nothing is in it that was not sent.
 *
 * Everything is what an operator runs, each in a process of its own: agents with their spools on disk, ingest, two digests (in a
 * cluster two and three), Valkey with its log synced before it answers, PostgreSQL or Citus. Only the exporters are simulated, so that every
 * row has a value that no other has. While they work, a seeded chooser disturbs one of them every 2 to 10 seconds, or what
 * `disturb` does happens. Then:
 * - within 60 seconds every row that was answered with 2xx is in PostgreSQL, once, with its values, and nothing else is;
 * - a fresh snapshot passes in under 5 seconds;
 * - no dead letters, and nothing left in the stream.
 *
 * A seed repeats the choices, not the moments at which processes are hit: those are the operating system's.
 */
import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { PgClient } from "@effect/sql-pg"
import { Effect, Fiber, Redacted, References, type Scope } from "effect"
import config from "../../plugins.config.ts"
import * as Database from "../../src/sinks/postgres/Database.ts"
import { EntryKind } from "../../src/sinks/stream/StreamEntry.ts"
import { streamOf } from "../../src/sinks/stream/valkey/StreamNumber.ts"
import { freePort } from "../Ports.ts"
import { keyOf, makeBooks, type SentRow, type StoredRow, type Verdict } from "./Books.ts"
import { type Chance, makeChance } from "./Chance.ts"
import { type Door, makeDoor } from "./Door.ts"
import { makeFragileCitus } from "./FragileCitus.ts"
import { type FragilePostgres, makeFragilePostgres } from "./FragilePostgres.ts"
import { type Link, linkToDatabase } from "./Link.ts"
import { makeProgram, type Program } from "./Program.ts"
import { makeSimulatedExporters, uniqueValue } from "./SimulatedExporters.ts"
import { held, inCluster, inOneValkey, type StreamPlace, type Victim } from "./StreamPlaces.ts"

export interface Options {
  readonly seed: number
  /** How long things are disturbed. */
  readonly seconds: number
  readonly agents: number
  /** The streams are in a cluster, and each has an agent of its own; otherwise the one stream is in one Valkey. */
  readonly cluster?: boolean
  /** The rows are distributed over two workers of Citus; otherwise they are in one PostgreSQL. */
  readonly distributed?: boolean
  /** What happens, instead of what is chosen at random for `seconds`. */
  readonly disturb?: (stage: Stage) => Effect.Effect<void>
  /** How many groups of processes each server has. Defaults to 5. */
  readonly groups?: number
  /** Told what happens, a line at a time. */
  readonly say: (line: string) => void
  /** Keeps the folder with everybody's logs. */
  readonly keepLogs?: boolean
}

/** What may be disturbed. */
export interface Stage {
  readonly place: StreamPlace
  readonly postgres: FragilePostgres
  readonly toPostgres: Link
  readonly door: Door
  readonly ingests: ReadonlyArray<Program>
  readonly digests: ReadonlyArray<Program>
  readonly agents: ReadonlyArray<Program>
  /** The servers of the agents. */
  readonly servers: ReadonlyArray<string>
  /** A line with the time in front. */
  readonly note: (what: string) => void
  readonly count: (disturbance: string) => void
  /** Seconds since it began. */
  readonly elapsed: () => number
}

export interface Report {
  readonly verdict: Verdict
  /** Seconds after the last disturbance until every row answered before it was in PostgreSQL; null: not within 60. */
  readonly settledAfter: number | null
  /** Seconds that a fresh snapshot took from its first POST to PostgreSQL; null: not within 5. */
  readonly freshAfter: number | null
  readonly deadLetters: number
  readonly streamLeft: { readonly length: number; readonly pending: number }
  /** Processes that ended although nobody asked them to. */
  readonly endings: ReadonlyArray<string>
  readonly disturbances: Readonly<Record<string, number>>
  readonly statuses: Readonly<Record<string, number>>
  readonly rejected: number
  readonly served: number
  readonly logs: string
}

const ADMIN_TOKEN = "judge-admin-token"
const SETTLED_WITHIN = 60
const FRESH_WITHIN = 5

/** What an entry of the stream holds in the run of a seed: one is even, the next is odd. */
export const entryKindOf = (seed: number): EntryKind => EntryKind[seed % 2]!

export const run = (options: Options): Effect.Effect<Report> =>
  Effect.gen(function* () {
    const { say } = options
    const chance = makeChance(options.seed)
    const folder = yield* workFolder(options.keepLogs === true)
    const place = yield* (options.cluster === true ? inCluster : inOneValkey)(chance)
    const postgres = yield* options.distributed === true ? makeFragileCitus(chance) : makeFragilePostgres(folder)
    const { link: toPostgres, url: databaseUrl } = yield* linkToDatabase(postgres.url)
    const exporters = yield* makeSimulatedExporters(options.groups)
    const books = makeBooks(uniqueValue)
    const ingestPorts = yield* Effect.forEach(Array.from({ length: place.ingests }), () => freePort)
    const servers = new Map<string, string>()
    const door = yield* makeDoor({ books, ingestPorts, serverOf: (token) => servers.get(token) })

    const role = (name: string, kind: string, more: Readonly<Record<string, string>> = {}) =>
      makeProgram({
        name,
        folder,
        args: ["server", "--role", kind],
        env: {
          DATABASE_URL: Redacted.value(databaseUrl),
          ...place.env,
          NODEPULSE_ADMIN_TOKEN: ADMIN_TOKEN,
          NODEPULSE_DATA_DIR: join(folder, name),
          ...more
        }
      })
    const ingests: Array<Program> = []
    for (const [n, port] of ingestPorts.entries()) {
      const more = { NODEPULSE_PORT: String(port), NODEPULSE_STREAM_ENTRY: entryKindOf(options.seed) }
      ingests.push(yield* role(`ingest-${n + 1}`, "ingest", more))
    }
    const digests: Array<Program> = []
    for (let n = 1; n <= place.digests; n++) digests.push(yield* role(`digest-${n}`, "digest"))
    for (const program of [...ingests, ...digests]) program.start()
    const register = (name: string) =>
      Effect.gen(function* () {
        const { server_id, token } = yield* post(`http://127.0.0.1:${ingestPorts[0]}/api/servers`, { name })
        servers.set(token, server_id)
        return { id: server_id as string, token: token as string }
      })
    const judge = yield* untilItWorks(() => register("judge"), 90)
    /** Which stream a server belongs to is its id's. */
    const registerIn = (stream: number, name: string) =>
      register(name).pipe(Effect.repeat({ until: ({ id }) => streamOf(id, place.streams) === stream }))
    const agents: Array<Program> = []
    const ids: Array<string> = []
    for (let n = 1; n <= options.agents; n++) {
      const name = `agent-${n}`
      const { id, token } = yield* registerIn(n % place.streams, name)
      ids.push(id)
      const file = join(folder, `${name}.yml`)
      writeFileSync(file, agentConfig({ name, token, server: door.url, exporters: exporters.url, folder }), {
        mode: 0o600
      })
      agents.push(yield* makeProgram({ name, folder, args: ["agent", "--config", file], env: {} }))
    }
    for (const agent of agents) agent.start()
    const programs = [...ingests, ...digests, ...agents]
    yield* until(() => books.answeredCount() >= options.agents * 6, 90)
    say(`seed ${options.seed}: ${options.agents} agents, ${options.seconds} s; logs in ${folder}`)

    // -- disturb

    const disturbances: Record<string, number> = {}
    const began = performance.now()
    const elapsed = () => (performance.now() - began) / 1_000
    const note = (what: string) => say(`${elapsed().toFixed(1).padStart(6)} s  ${what}`)
    const count = (what: string) => {
      const counted = what.replace(/agent-\d+/, "agent")
      disturbances[counted] = (disturbances[counted] ?? 0) + 1
    }
    const stage = { place, postgres, toPostgres, door, ingests, digests, agents, servers: ids, note, count, elapsed }
    yield* (options.disturb ?? disturbAtRandom(chance, options.seconds))(stage)
    note(`all is back; ${books.answeredCount()} rows were answered with 2xx`)

    // -- judge

    const readAll = storedRows.pipe(
      Effect.provide(Database.layer({ url: postgres.url, maxConnections: 2 }), { local: true })
    )
    const stored = untilItWorks(() => readAll, 60)
    const settling = performance.now()
    const before = books.answeredKeys()
    const settledAfter = yield* within(SETTLED_WITHIN, settling, () =>
      Effect.map(stored, (rows) => {
        const there = new Set(rows.map((row) => keyOfStored(row)))
        for (const key of before) if (!there.has(key)) return false
        return true
      })
    )
    note(
      settledAfter === null
        ? "NOT all of them are in PostgreSQL"
        : `all of them are in PostgreSQL after ${settledAfter.toFixed(1)} s`
    )

    const moment = new Date(Date.now()).toISOString()
    const fresh = { timestamp: moment, name: "fresh", num_procs: 1, cpu_seconds_total: 0.5, memory_bytes: 1 }
    const posted = performance.now()
    // Again while it is refused, as an agent would: ingest may be about to connect to a stream that has just come back.
    const push = post(`${door.url}/metrics/prometheus`, { [processExporter]: [fresh] }, judge.token)
    yield* untilItWorks(() => push, FRESH_WITHIN)
    const freshAfter = yield* within(FRESH_WITHIN, posted, () => Effect.map(rowsOf(judge.id), (rows) => rows > 0)).pipe(
      Effect.provide(Database.layer({ url: postgres.url, maxConnections: 1 }), { local: true })
    )
    note(
      freshAfter === null ? "a fresh snapshot did NOT pass" : `a fresh snapshot passed in ${freshAfter.toFixed(2)} s`
    )

    // What the agents still hold may go; then nothing moves any more.
    yield* Effect.promise(() => Promise.all(agents.map((agent) => agent.end(15_000))))
    yield* Effect.promise(() => Promise.all(ingests.map((ingest) => ingest.end(15_000))))
    yield* until(async () => {
      const [length, pending] = await place.left()
      return length === 0 && pending === 0
    }, 30)
    const [length, pending] = yield* Effect.promise(() => place.left())
    yield* Effect.promise(() => Promise.all(digests.map((digest) => digest.end(15_000))))
    const verdict = books.judge(yield* stored)
    const letters = yield* deadLetters.pipe(Effect.provide(Database.layer({ url: postgres.url, maxConnections: 1 })))
    return {
      verdict,
      settledAfter,
      freshAfter,
      deadLetters: letters,
      streamLeft: { length, pending },
      endings: programs.flatMap((program) => program.endings()),
      disturbances,
      statuses: door.statuses(),
      rejected: books.rejectedCount(),
      served: exporters.served(),
      logs: folder
    }
  }).pipe(Effect.scoped, Effect.orDie, Effect.provideService(References.MinimumLogLevel, "Error"))

/** What a report says against the promise; empty where it is kept. */
export const complaints = (report: Report): ReadonlyArray<string> => {
  const { verdict } = report
  return [
    ...verdict.missing.map((key) => `missing: ${key}`),
    ...verdict.invented.map((key) => `not sent: ${key}`),
    ...verdict.different.map((key) => `another value: ${key}`),
    ...verdict.twice.map((key) => `twice: ${key}`),
    ...(report.settledAfter === null ? [`not settled within ${SETTLED_WITHIN} s`] : []),
    ...(report.freshAfter === null ? [`a fresh snapshot takes more than ${FRESH_WITHIN} s`] : []),
    ...(report.deadLetters > 0 ? [`${report.deadLetters} dead letters`] : []),
    ...(report.rejected > 0 ? [`${report.rejected} rows rejected`] : []),
    ...(report.streamLeft.length > 0 || report.streamLeft.pending > 0
      ? [`left in the stream: ${JSON.stringify(report.streamLeft)}`]
      : []),
    ...report.endings
  ]
}

/** The books, for people. */
export const summary = (report: Report): string => {
  const { disturbances, freshAfter, settledAfter, statuses, verdict } = report
  const list = (counts: Readonly<Record<string, number>>) =>
    Object.entries(counts)
      .toSorted(([a], [b]) => (a < b ? -1 : 1))
      .map(([name, count]) => `${name} × ${count}`)
      .join("; ")
  return [
    `disturbances   ${list(disturbances)}`,
    `requests       ${list(statuses)}`,
    `served         ${report.served} rows by the exporters`,
    `sent           ${verdict.sent} rows, and ${verdict.repeated} of them again, since no 2xx came`,
    `answered 2xx   ${verdict.answered}`,
    `stored         ${verdict.stored}, ${verdict.unanswered} of them without an answer`,
    `missing ${verdict.missing.length}, not sent ${verdict.invented.length}, other value ${verdict.different.length}, twice ${verdict.twice.length}, dead letters ${report.deadLetters}, in the stream ${report.streamLeft.length}`,
    `settled after  ${settledAfter === null ? "never" : `${settledAfter.toFixed(1)} s`}; a fresh snapshot took ${freshAfter === null ? "too long" : `${freshAfter.toFixed(2)} s`}`
  ].join("\n")
}

// -- the parts

const disturbAtRandom = (chance: Chance, forSeconds: number) => (stage: Stage) =>
  Effect.gen(function* () {
    const { agents, count, digests, door, elapsed, ingests, note, place, postgres, toPostgres } = stage
    const busy = new Set<string>()
    const victims = [
      ...digests.map((program) => programVictim(program)),
      ...ingests.map((program) => programVictim(program)),
      programVictim(chance.oneOf(agents)),
      place.victim,
      {
        name: postgres.name,
        kill: Effect.sync(postgres.kill),
        restart: Effect.sync(postgres.restart),
        pause: Effect.sync(postgres.pause),
        resume: Effect.sync(postgres.resume)
      }
    ] satisfies ReadonlyArray<Victim>
    /** As many agents as there are, one disturbance in six. */
    const choose = (): Victim => {
      const victim = chance.oneOf(victims)
      return victim.name.startsWith("agent") ? programVictim(chance.oneOf(agents)) : victim
    }
    const cuts: ReadonlyArray<readonly [string, Effect.Effect<void>]> = [
      ...place.cuts,
      ["cut: connections to postgres", Effect.sync(() => void toPostgres.cut())],
      ["cut: connections of agents", Effect.sync(() => void door.cut())],
      ["cut: the next 3 answers of ingest", Effect.sync(() => door.loseAnswers(3))],
      ["kill -9: one connection's process of postgres", Effect.sync(postgres.killOneConnection)],
      ["hold: connections to postgres", held(toPostgres, chance)]
    ]
    const underWay: Array<Fiber.Fiber<void>> = []
    while (elapsed() < forSeconds) {
      yield* Effect.sleep(chance.between(2_000, 10_000))
      const kind = chance.oneOf(["kill", "kill", "stop", "cut"] as const)
      const seconds = kind === "kill" ? chance.between(200, 5_000) / 1_000 : chance.between(1_000, 15_000) / 1_000
      const cut = chance.oneOf(cuts)
      const victim = choose()
      const what = kind === "cut" ? cut[0] : `${kind === "kill" ? "kill -9" : "stop"}: ${victim.name}`
      if (elapsed() >= forSeconds) break
      if (kind !== "cut" && busy.has(victim.name)) {
        note(`(${what}: it is away already)`)
        continue
      }
      count(what)
      if (kind === "cut") {
        note(what)
        underWay.push(yield* Effect.forkChild(cut[1]))
        continue
      }
      note(`${what}, for ${seconds.toFixed(1)} s`)
      busy.add(victim.name)
      const [away, back] = kind === "kill" ? [victim.kill, victim.restart] : [victim.pause, victim.resume]
      underWay.push(
        yield* Effect.forkChild(
          away.pipe(
            Effect.andThen(Effect.sleep(seconds * 1_000)),
            Effect.andThen(back),
            Effect.andThen(Effect.sync(() => void busy.delete(victim.name)))
          )
        )
      )
    }
    yield* Fiber.awaitAll(underWay)
  })

const programVictim = (program: Program): Victim => ({
  name: program.name,
  kill: Effect.promise(program.kill),
  restart: Effect.sync(program.start),
  pause: Effect.sync(program.pause),
  resume: Effect.sync(program.resume)
})

const [hostExporter, processExporter, ...others] = config.exporters.map(({ name }) => name) as [string, string]

const agentConfig = (options: {
  readonly name: string
  readonly token: string
  readonly server: string
  readonly exporters: string
  readonly folder: string
}) => `
server:
  url: "${options.server}"
  token: "${options.token}"
labels:
  server_name: "${options.name}"
buffer:
  path: "${join(options.folder, `${options.name}-spool`)}"
exporters:
  - name: "${hostExporter}"
    endpoint: "${options.exporters}/${options.name}/node"
    interval: "2s"
    timeout: "1s"
    collector: "never"
  - name: "${processExporter}"
    endpoint: "${options.exporters}/${options.name}/process"
    interval: "1s"
    timeout: "500ms"
    collector: "never"
${others.map((name) => `  - name: "${name}"\n    enabled: false\n`).join("")}`

const workFolder = (keep: boolean): Effect.Effect<string, never, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.sync(() => {
      const folder = mkdtempSync(join(tmpdir(), "nodepulse-conservation-"))
      chmodSync(folder, 0o711)
      mkdirSync(join(folder, "data"), { mode: 0o711 })
      return folder
    }),
    (folder) => Effect.sync(() => (keep ? undefined : rmSync(folder, { recursive: true, force: true })))
  )

// biome-ignore lint/suspicious/noExplicitAny: answers of every shape
const post = (url: string, body: unknown, token = ADMIN_TOKEN): Effect.Effect<any, Error> =>
  Effect.tryPromise({
    try: async (signal) => {
      const response = await fetch(url, {
        method: "POST",
        headers: { authorization: `Bearer ${token}`, "content-type": "application/json" },
        body: JSON.stringify(body),
        signal
      })
      const text = await response.text()
      if (!response.ok) throw new Error(`HTTP ${response.status}: ${text}`)
      return JSON.parse(text)
    },
    catch: (cause) => new Error(`POST ${url}: ${cause}`)
  })

const untilItWorks = <A, E, R>(attempt: () => Effect.Effect<A, E, R>, seconds: number): Effect.Effect<A, E, R> =>
  Effect.gen(function* () {
    const deadline = performance.now() + seconds * 1_000
    while (true) {
      const exit = yield* Effect.exit(Effect.suspend(attempt))
      if (exit._tag === "Success" || performance.now() > deadline) return yield* exit
      yield* Effect.sleep(250)
    }
  })

const until = (isTrue: () => boolean | Promise<boolean>, seconds: number): Effect.Effect<void> =>
  Effect.promise(async () => {
    const deadline = performance.now() + seconds * 1_000
    while (!(await isTrue()) && performance.now() < deadline) {
      await new Promise((resolve) => setTimeout(resolve, 100))
    }
  })

/** Seconds from `since` until it is true; null where that takes longer than `limit`. */
const within = <E, R>(
  limit: number,
  since: number,
  isTrue: () => Effect.Effect<boolean, E, R>
): Effect.Effect<number | null, E, R> =>
  Effect.gen(function* () {
    while (true) {
      const ready = yield* isTrue()
      const seconds = (performance.now() - since) / 1_000
      if (seconds > limit) return null
      if (ready) return seconds
      yield* Effect.sleep(100)
    }
  })

const deadLetters = Effect.gen(function* () {
  const sql = yield* PgClient.PgClient
  const [row] = yield* sql<{ readonly count: number }>`select count(*)::int4 as count from admiral.dead_letters`
  return row?.count ?? 0
})

const rowsOf = Effect.fnUntraced(function* (server: string) {
  const sql = yield* PgClient.PgClient
  const [row] = yield* sql<{ readonly count: number }>`
    select count(*)::int4 as count from admiral.process_snapshots where server_id = ${server}`
  return row?.count ?? 0
})

/** Everything that is stored, by the names of the wire. */
const storedRows = Effect.gen(function* () {
  const sql = yield* PgClient.PgClient
  const all: Array<StoredRow> = []
  for (const { name, table } of config.exporters) {
    const columns = Object.entries(table.columns).map(([column, { from, kind }]) => {
      const wire = from ?? column
      return kind === "label" ? `"${column}" as "${wire}"` : `"${column}"::float8 as "${wire}"`
    })
    const moment = (column: string) => `round(date_part('epoch', ${column}) * 1000)::float8 as ${column}`
    const rows = yield* sql.unsafe<Record<string, string | number | null>>(
      `select server_id, ${moment("timestamp")}, ${moment("counters_since")}, ${columns.join(", ")} from admiral."${table.name}"`
    )
    for (const { server_id, timestamp, ...values } of rows) {
      all.push({
        server: String(server_id),
        exporter: name,
        timestamp: Number(timestamp),
        values: values as SentRow
      })
    }
  }
  return all
})

const keyOfStored = ({ exporter, server, timestamp, values }: StoredRow): string =>
  keyOf(server, exporter, timestamp, values.name)
