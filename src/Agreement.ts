/**
 * Whether the processes of an installation agree on what has to be the same on all of them, and comes from files of each: the rules of
 * alerts (digest asks them, api shows them), the exporters that are enabled with their columns and retention (all), and when days are
 * packed (digest).
 *
 * Each process says in the database what it has, as a hash of it, and looks at what others say. A difference is told in the log once it
 * is seen at two looks in a row, so that a change that goes from process to process is quiet where it is quick; `view` tells it at
 * once. It stops nothing.
 *
 * Guarantee: the order of keys, comments, and which file a rule is in make no difference. Bound: {@link PROCESSES_MAX} processes are
 * looked at; one that was not heard of for {@link LIVING} does not count.
 */
import { createHash } from "node:crypto"
import { type PgClient, PgTypes } from "@effect/sql-pg"
import { Duration, Effect } from "effect"
import type { RuleLayers } from "./alerts/RuleLayers.ts"
import type { Exporter } from "./plugins/Exporter.ts"
import { answering } from "./sinks/postgres/Database.ts"
import type { DatabaseUnavailable } from "./sinks/storage/DatabaseUnavailable.ts"
import { PACK_AFTER } from "./sinks/storage/Packing.ts"

/** What is compared, as people call it. */
export type Compared = "rules" | "exporters" | "packing"
export const COMPARED: ReadonlyArray<Compared> = ["rules", "exporters", "packing"]

/** Hashes of what a process has; it lacks what its roles do not use. */
export type Fingerprints = Readonly<Partial<Record<Compared, string>>>

export interface Announced {
  readonly name: string
  readonly roles: string
  readonly fingerprints: Fingerprints
}

/** Processes that have the same, beside those that have another. */
export interface Difference {
  readonly what: Compared
  /** Two or more. */
  readonly groups: ReadonlyArray<ReadonlyArray<string>>
}

const LOOK_EVERY = Duration.seconds(30)
const LIVING = Duration.minutes(2)
const FORGOTTEN_AFTER = Duration.hours(1)
const PROCESSES_MAX = 200

/** `$1`: this process; `$2`: its roles; `$3`: its fingerprints; `$4`: milliseconds after which a silent one is forgotten. */
const ANNOUNCE = `with forgotten as (
  delete from admiral.processes where seen_at < now() - $4::float8 * interval '1 millisecond'
)
insert into admiral.processes (name, roles, fingerprints) values ($1::text, $2::text, $3::jsonb)
on conflict (name) do update set fingerprints = excluded.fingerprints, seen_at = now()`

/** `$1`: milliseconds for which one may be silent; `$2`: at most so many. */
const HEARD = `select name, roles, fingerprints from admiral.processes
where seen_at > now() - $1::float8 * interval '1 millisecond' order by name limit $2::int4`

/** `$1`: this process. */
const LEAVE = `delete from admiral.processes where name = $1::text`

export const agreementStatements = { ANNOUNCE, HEARD, LEAVE }

/** The same for values that are the same, whatever the order of their keys. */
export const fingerprintOf = (value: unknown): string => {
  const text = JSON.stringify(value, (_, one: unknown) =>
    one !== null && typeof one === "object" && !Array.isArray(one)
      ? Object.fromEntries(Object.entries(one).sort(([a], [b]) => (a < b ? -1 : 1)))
      : one
  )
  return createHash("sha256").update(text).digest("base64url").slice(0, 22)
}

/** What the exporters of `plugins.config.ts` store, and for how long. */
const storedOf = (exporters: ReadonlyArray<Exporter>) =>
  exporters.map(({ name, table }) => ({
    name,
    table: table.name,
    columns: table.columns,
    retention: Duration.toMillis(Duration.fromInputUnsafe(table.retention))
  }))

export const differencesOf = (processes: ReadonlyArray<Announced>): ReadonlyArray<Difference> =>
  COMPARED.flatMap((what) => {
    const groups = new Map<string, Array<string>>()
    for (const { fingerprints, name, roles } of processes) {
      const print = fingerprints[what]
      if (print === undefined) continue
      const shown = `${name} (${roles})`
      const group = groups.get(print)
      if (group === undefined) groups.set(print, [shown])
      else group.push(shown)
    }
    return groups.size < 2 ? [] : [{ what, groups: [...groups.values()] }]
  })

const REMEDY: Readonly<Record<Compared, string>> = {
  rules: "give every digest and api the same files of rules (NODEPULSE_RULES_DIR) and the same NODEPULSE_DEFAULT_RULES",
  exporters: "give every process the same plugins.config.ts, and the same version of NodePulse",
  packing: "set the same NODEPULSE_PACK_AFTER for every digest"
}

/** For people: who differs, and what to do. */
export const differenceText = ({ groups, what }: Difference): { readonly saw: string; readonly remedy: string } => ({
  saw: `processes have different ${what}: ${groups.map((group) => group.join(", ")).join(" / ")}`,
  remedy: REMEDY[what]
})

/** What processes that were heard of lately say; of people's commands, which say nothing themselves. */
export const heardOf = (sql: PgClient.PgClient): Effect.Effect<ReadonlyArray<Announced>, DatabaseUnavailable> =>
  sql
    .unsafe<Announced>(HEARD, [PgTypes.float8(Duration.toMillis(LIVING)), PgTypes.int4(PROCESSES_MAX)])
    .pipe(answering("look what other processes have"))

export interface Agreement {
  /** Says and looks until it is interrupted, and is not heard of any more then. */
  readonly run: Effect.Effect<never>
  /** Once; for tests. */
  readonly look: Effect.Effect<void>
  /** As it was at the last look. */
  readonly view: () => ReadonlyArray<Difference>
}

export const makeAgreement = (options: {
  readonly sql: PgClient.PgClient
  /** No other process has it, also where containers share a host's name and each is process 1: it would hide what the other has. */
  readonly name: string
  readonly roles: ReadonlyArray<string>
  readonly exporters: ReadonlyArray<Exporter>
  readonly rules: RuleLayers["Service"]
  /** How long a day is over when it is packed. */
  readonly packAfter: Duration.Duration | undefined
}): Agreement => {
  const { exporters, name, packAfter, roles, rules, sql } = options
  const isDigest = roles.includes("digest")
  let differences: ReadonlyArray<Difference> = []
  /** Of the look before, and what the log has. */
  let before = ""
  let told = ""

  const mine = Effect.gen(function* () {
    const asked =
      isDigest || roles.includes("api")
        ? (yield* rules.read).rules.map(({ document, enabled, name }) => ({ name, enabled, document }))
        : undefined
    return {
      exporters: fingerprintOf(storedOf(exporters)),
      ...(asked === undefined ? {} : { rules: fingerprintOf(asked) }),
      ...(isDigest ? { packing: Duration.format(packAfter ?? PACK_AFTER) } : {})
    } satisfies Fingerprints
  })

  const announce = (fingerprints: Fingerprints) =>
    sql
      .unsafe(ANNOUNCE, [
        name,
        roles.join(", "),
        JSON.stringify(fingerprints),
        PgTypes.float8(Duration.toMillis(FORGOTTEN_AFTER))
      ])
      .pipe(Effect.asVoid, answering("say what this process has"))

  const tell = Effect.suspend(() => {
    const texts = differences.map(differenceText)
    const now = texts.map(({ saw }) => saw).join("\n")
    const lasts = now === before
    before = now
    if (!lasts || now === told) return Effect.void
    told = now
    if (now === "") return Effect.logInfo("all processes have the same rules, exporters and packing again")
    return Effect.forEach(texts, ({ remedy, saw }) => Effect.logWarning(`${saw}; ${remedy}`), { discard: true })
  })

  const look = Effect.gen(function* () {
    yield* announce(yield* mine)
    differences = differencesOf(yield* heardOf(sql))
    yield* tell
  })

  return {
    look: Effect.orDie(look),
    // What is the matter with the database others say.
    run: Effect.forever(Effect.andThen(Effect.ignore(look), Effect.sleep(LOOK_EVERY))).pipe(
      Effect.ensuring(Effect.ignore(Effect.timeout(sql.unsafe(LEAVE, [name]), "1 second")))
    ),
    view: () => differences
  }
}
