/**
 * What the stored rows and roll-ups of each exporter mean, as the database remembers it (`admiral.exporters`): so that a
 * declaration cannot change under them, also where the migrations were made anew or an operator's option has changed.
 *
 * A change after which stored rows would be read as something else is refused at the start (`Declared.ts` says which, and what to
 * do). After any other that roll-ups rest on, such as the operator's `staleAfter`, they are to be computed anew: `rebuilds` says so
 * until `accept` has been called, in the transaction that queues their buckets, so that neither a crash nor a second server
 * loses it.
 */
import { PgClient } from "@effect/sql-pg"
import { Effect, Option, Schema } from "effect"
import type { SqlError } from "effect/sql/SqlError"
import type { Exporter } from "../../plugins/Exporter.ts"
import { answering } from "../postgres/Database.ts"
import type { DatabaseUnavailable } from "./DatabaseUnavailable.ts"
import { DeclaredMeaning, declaredMeaning, rebuilding, refusal } from "./Declared.ts"
import { DeclarationRefused } from "./Migrations.ts"

/** Roll-ups of an exporter that were computed with another declaration. */
export interface Rebuild {
  readonly exporter: string
  /** What was changed, as sentences. */
  readonly because: ReadonlyArray<string>
}

const Stored = Schema.fromJsonString(DeclaredMeaning)
const decode = Schema.decodeUnknownOption(Stored)

/**
 * Which roll-ups have to be computed anew. Remembers exporters that the database has not met; refuses a meaning that changed
 * under stored rows. To be asked at every start, after the migrations.
 */
export const rebuilds = (
  exporters: ReadonlyArray<Exporter>
): Effect.Effect<ReadonlyArray<Rebuild>, DeclarationRefused | DatabaseUnavailable, PgClient.PgClient> =>
  Effect.gen(function* () {
    const sql = yield* PgClient.PgClient
    for (const exporter of exporters) {
      yield* sql`insert into admiral.exporters (name, declared) values (${exporter.name}, ${textOf(exporter)})
        on conflict do nothing`
    }
    const stored = new Map(
      (yield* sql<{ readonly name: string; readonly declared: string }>`
        select name, declared from admiral.exporters`).map(({ declared, name }) => [name, declared])
    )
    const found: Array<Rebuild> = []
    for (const exporter of exporters) {
      const now = declaredMeaning(exporter)
      const before = decode(stored.get(exporter.name))
      if (Option.isNone(before)) {
        found.push({
          exporter: exporter.name,
          because: ["another version of NodePulse has written down what they mean"]
        })
        continue
      }
      // A version from before a column was appended may run again: it leaves the column out.
      const isOlder = now.columns.length < before.value.columns.length
      const comparable = { ...before.value, columns: before.value.columns.slice(0, now.columns.length) }
      const reason = refusal(now, [], comparable)
      if (reason !== undefined) return yield* new DeclarationRefused({ exporter: exporter.name, reason })
      const because = rebuilding(now, comparable)
      if (because.length > 0) found.push({ exporter: exporter.name, because })
      // Such as a column that was appended: nothing that is there means anything else.
      else if (!isOlder && stored.get(exporter.name) !== textOf(exporter)) yield* accept(exporter)
    }
    return found
  }).pipe(answering("compare what exporters declare"))

/** Remembers what an exporter declares now. Within the transaction that queues what has to be computed anew. */
export const accept = (exporter: Exporter): Effect.Effect<void, SqlError, PgClient.PgClient> =>
  Effect.gen(function* () {
    const sql = yield* PgClient.PgClient
    yield* sql`update admiral.exporters set declared = ${textOf(exporter)}, changed_at = now() where name = ${exporter.name}`
  })

const textOf = (exporter: Exporter): string => JSON.stringify(declaredMeaning(exporter))
