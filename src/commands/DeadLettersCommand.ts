/**
 * `nodepulse dead-letters list | show | replay | drop`: what was acknowledged and could not be stored.
 *
 * Whatever is interrupted here is simply run again: letters are dropped one page at a time, after what was to be done
 * with them is done, and each page is an entry of the audit: who, how many, and which were asked for. Progress goes to
 * standard error, a line a page.
 */
import { PgClient } from "@effect/sql-pg"
import { Effect, Layer, Option } from "effect"
import { Argument, Command, Flag } from "effect/cli"
import type { Action } from "../access/AuditActions.ts"
import { record } from "../access/AuditPostgres.ts"
import * as Storage from "../Storage.ts"
import { answering } from "../sinks/postgres/Database.ts"
import type { DatabaseUnavailable } from "../sinks/storage/DatabaseUnavailable.ts"
import { type DeadLetter, DeadLetters, type LetterFilter } from "../sinks/storage/DeadLetters.ts"
import * as DeadLettersPostgres from "../sinks/storage/DeadLettersPostgres.ts"
import { Replay } from "../sinks/storage/Replay.ts"
import * as SnapshotRowsPostgres from "../sinks/storage/SnapshotRowsPostgres.ts"
import { day, shellAuthor } from "./DatabaseCommands.ts"
import { CommandFailed } from "./Input.ts"
import { say, sayAside } from "./Terminal.ts"

/** Letters that are read at once; a letter can be large. */
const PAGE = 200
/** Reasons that are told one by one; more of them are counted. */
const FAILURES_TOLD = 20

const ports = Replay.layer.pipe(
  Layer.provideMerge(Layer.mergeAll(DeadLettersPostgres.layer, SnapshotRowsPostgres.layer)),
  Layer.provideMerge(Storage.migratedClient),
  Layer.provide(Storage.DatabaseAddress.layerShared),
  Layer.merge(shellAuthor)
)

const filter = {
  exporter: Flag.String("exporter").pipe(Flag.withDescription("Only those of this exporter"), Flag.optional),
  reason: Flag.String("reason").pipe(Flag.withDescription("Only those with this text in their reason"), Flag.optional)
}

const chosen = {
  ids: Argument.String("id").pipe(
    Argument.withDescription("As `dead-letters list` shows it"),
    Argument.variadic({ min: 0 })
  ),
  all: Flag.Boolean("all").pipe(Flag.withDescription("All of them"), Flag.withDefault(false)),
  ...filter
}

interface Filter {
  readonly exporter: Option.Option<string>
  readonly reason: Option.Option<string>
}

interface Chosen extends Filter {
  readonly ids: ReadonlyArray<string>
  readonly all: boolean
}

const filterOf = ({ exporter, reason }: Filter): LetterFilter => ({
  ...(Option.isSome(exporter) ? { exporter: exporter.value } : {}),
  ...(Option.isSome(reason) ? { reason: reason.value } : {})
})

/** Drops letters, and says in the audit why; how many there still were. */
const forget = Effect.fnUntraced(function* (action: Action, options: Chosen, letters: ReadonlyArray<DeadLetter>) {
  const sql = yield* PgClient.PgClient
  const { drop } = yield* DeadLetters
  const dropping = Effect.gen(function* () {
    const dropped = yield* drop(letters.map(({ id }) => id))
    if (dropped > 0) yield* record(sql, action, `${dropped} dead letter${dropped === 1 ? "" : "s"}`, askedFor(options))
    return dropped
  })
  return yield* sql.withTransaction(dropping).pipe(answering("drop dead letters"))
})

/** Which letters somebody asked for, as it was typed. */
const askedFor = ({ exporter, ids, reason }: Chosen): string => {
  if (ids.length > 0) return ids.join(" ")
  const filters = [
    ...Option.match(exporter, { onNone: () => [], onSome: (name) => [`--exporter ${name}`] }),
    ...Option.match(reason, { onNone: () => [], onSome: (text) => [`--reason ${JSON.stringify(text)}`] })
  ]
  return filters.length === 0 ? "--all" : filters.join(" ")
}

/** Hands the letters that were chosen to `use`, a page at a time, newest first. Those that come meanwhile are left alone. */
const eachPage = Effect.fnUntraced(function* <E, R>(
  options: Chosen,
  use: (page: ReadonlyArray<DeadLetter>, progress: string) => Effect.Effect<void, E, R>
) {
  const letters = yield* DeadLetters
  const filter = filterOf(options)
  const isFiltered = Object.keys(filter).length > 0
  if (options.ids.length > 0 ? options.all || isFiltered : !options.all && !isFiltered) {
    return yield* new CommandFailed({
      reason: "say which: ids, or --all, or --exporter and --reason"
    })
  }
  if (options.ids.length > 0) {
    // One that is gone was replayed or dropped before: running it again changes nothing.
    const named = yield* Effect.forEach(new Set(options.ids), (id) =>
      Effect.catchTag(letters.get(id), "UnknownDeadLetter", () =>
        Effect.as(sayAside(`${id}: there is no such letter (any more)`), undefined)
      )
    )
    const there = named.filter((letter) => letter !== undefined)
    return yield* use(there, `${there.length} of ${there.length}`)
  }
  let before: string | undefined
  let done = 0
  let total: number | undefined
  while (true) {
    const page = yield* letters.list({ ...filter, limit: PAGE, ...(before === undefined ? {} : { before }) })
    const last = page.letters.at(-1)
    if (last === undefined) return
    before = last.id
    total ??= page.total
    done += page.letters.length
    yield* use(page.letters, `${done} of ${Math.max(done, total)}`)
  }
})

const list = Command.make(
  "list",
  { limit: Flag.Int("limit").pipe(Flag.withDescription("How many, newest first"), Flag.withDefault(50)), ...filter },
  Effect.fnUntraced(function* ({ limit, ...which }) {
    if (limit < 1) return yield* new CommandFailed({ reason: `--limit is ${limit}, but must be at least 1` })
    const { letters, total } = yield* (yield* DeadLetters).list({ ...filterOf(which), limit })
    for (const letter of letters) {
      yield* say(`${letter.id}  ${day(letter.createdAt)}  ${letter.exporter}  ${letter.serverId}  ${letter.reason}`)
    }
    yield* say(total === 0 ? "there are no dead letters" : `${letters.length} of ${total}`)
  }, Effect.provide(ports))
).pipe(Command.withDescription("List what could not be stored, and why"))

const show = Command.make(
  "show",
  { id: Argument.String("id").pipe(Argument.withDescription("As `dead-letters list` shows it")) },
  Effect.fnUntraced(function* ({ id }) {
    yield* say(JSON.stringify(yield* (yield* DeadLetters).get(id), null, 2))
  }, Effect.provide(ports))
).pipe(Command.withDescription("Show one, with its payload, as JSON"))

/** What `nodepulse dead-letters replay` does. Fails where letters were left that still cannot be stored. */
export const replayLetters = Effect.fnUntraced(function* (options: Chosen) {
  const { replay } = yield* Replay
  let stored = 0
  let failed = 0
  yield* eachPage(
    options,
    Effect.fnUntraced(function* (page, progress) {
      const replayed = yield* replay(page)
      stored += yield* forget("dead-letters.replay", options, replayed.stored)
      for (const { letter, reason } of replayed.failed) {
        if (failed++ < FAILURES_TOLD) yield* sayAside(`${letter.id} stays: ${reason}`)
      }
      yield* sayAside(`${progress}: ${stored} stored, ${failed} stay`)
    })
  )
  yield* say(`${stored} stored, ${failed} stay`)
  if (failed > 0) return yield* new CommandFailed({ reason: `${failed} dead letters still cannot be stored` })
})

const replay = Command.make(
  "replay",
  chosen,
  Effect.fnUntraced(function* (options) {
    yield* Effect.catchTag(replayLetters(options), "DatabaseUnavailable", interrupted)
  }, Effect.provide(ports))
).pipe(
  Command.withDescription(
    "Try to store them again, and forget those that succeed. What is stored already changes nothing, so it may be run again at any time. Exits 1 where some still cannot be stored."
  ),
  Command.withExamples([
    { command: "nodepulse dead-letters replay --all", description: "After what was wrong has been mended" },
    {
      command: 'nodepulse dead-letters replay --reason "no such server"',
      description: "Only those that were refused for one reason"
    }
  ])
)

/** What `nodepulse dead-letters drop` does. */
export const dropLetters = Effect.fnUntraced(function* (options: Chosen) {
  let dropped = 0
  yield* eachPage(
    options,
    Effect.fnUntraced(function* (page, progress) {
      dropped += yield* forget("dead-letters.drop", options, page)
      yield* sayAside(`${progress}: ${dropped} dropped`)
    })
  )
  yield* say(`dropped ${dropped}`)
})

const drop = Command.make(
  "drop",
  chosen,
  Effect.fnUntraced(function* (options) {
    yield* Effect.catchTag(dropLetters(options), "DatabaseUnavailable", interrupted)
  }, Effect.provide(ports))
).pipe(Command.withDescription("Forget some of them, or all"))

const interrupted = (error: DatabaseUnavailable) =>
  Effect.fail(new CommandFailed({ reason: `${error.message}; run it again: it goes on where it stopped` }))

export const deadLettersCommand = Command.make("dead-letters").pipe(
  Command.withDescription("Look at what could not be stored, try it again, or forget it"),
  Command.withSubcommands([list, show, replay, drop])
)
