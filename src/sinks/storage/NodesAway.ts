/**
 * Which servers' rows cannot be stored now though those of others can: where rows are distributed (Citus), those of the nodes that do
 * not answer, have no room left or take no writes.
 *
 * - It is found by a write that fails: then, and only then, each node is asked whether it answers. Whose error says nothing about a
 *   node is everybody's, as where rows are not distributed.
 * - Rows of those servers are refused from then on without asking the database, with {@link ServersWait}, so that the others go on. Every
 *   second, later every 10, the next of those writes asks the node first. Where it answers, rows are written again; only once some of
 *   its servers are stored is it over.
 * - The log says so once when a node's rows begin to wait, every minute while they do, and once when it is over.
 *
 * A node that is frozen rather than gone costs the first write PostgreSQL's `statement_timeout`, and each look {@link CHECK_WITHIN}.
 *
 * Bounds: the ids of the servers whose nodes are away.
 */
import { type PgClient, PgTypes } from "@effect/sql-pg"
import { Duration, Effect } from "effect"
import type { SqlError } from "effect/sql/SqlError"
import { monotonicMillis } from "../../engine/Monotonic.ts"
import { arrayParameter, becauseOf, sqlState } from "../postgres/Database.ts"
import { isDistributed } from "./Distribution.ts"
import { ofServers, ServersWait } from "./SnapshotRows.ts"

export interface NodesAway {
  /** Before servers' rows are stored: what some of them wait for. */
  readonly known: (servers: ReadonlyArray<string>) => Effect.Effect<ServersWait | undefined>
  /** After it failed, or, without an error, took too long: the same, where that is why. */
  readonly found: (
    servers: ReadonlyArray<string>,
    error: SqlError | undefined
  ) => Effect.Effect<ServersWait | undefined>
  /** After it succeeded. */
  readonly stored: (servers: ReadonlyArray<string>) => Effect.Effect<void>
  /** What waits, and for what; undefined where nothing does, and where nobody has asked to store any for a minute. */
  readonly told: Effect.Effect<string | undefined>
}

/** How long a node may take to answer that it is there. */
const CHECK_WITHIN = Duration.seconds(2)
const LOOK_FROM = Duration.seconds(1)
const LOOK_TO = Duration.seconds(10)
const SAY_AGAIN_AFTER = Duration.minutes(1)

/** The nodes that are to have rows. */
const NODES = `select nodename || ':' || nodeport as node, citus_check_connection_to_node(nodename, nodeport) as answers
from pg_dist_node where noderole = 'primary' and isactive and shouldhaveshards`

/** The servers whose rows are on some nodes. */
const SERVERS = `select server.server_id as server, place.nodename || ':' || place.nodeport as node
from admiral.servers as server
join pg_dist_shard_placement as place on place.shardid = get_shard_id_for_distribution_column('admiral.server_ids', server.id)
where place.nodename || ':' || place.nodeport = any($1::text[])`

/** A node that is away; times in milliseconds, of the clock that nobody sets. */
interface Away {
  readonly since: number
  reason: string
  servers: ReadonlySet<string>
  looks: number
  lookAt: number
  saidAt: number
  /** It answers, and is written to again. */
  isTried: boolean
}

type Found = ReadonlyMap<string, { readonly reason: string; readonly servers: ReadonlySet<string> }>

/** One per process: it remembers. */
export const makeNodesAway = (sql: PgClient.PgClient): NodesAway => {
  const away = new Map<string, Away>()
  let isLooking = false

  const asked = sql.withTransaction(
    Effect.andThen(
      sql.unsafe(`set local citus.node_connection_timeout = ${Duration.toMillis(CHECK_WITHIN)}`).unprepared,
      sql.unsafe<{ readonly node: string; readonly answers: boolean }>(NODES).unprepared
    )
  )

  /** The nodes that do not answer, and those that an error of a write blames, with their servers. */
  const look = Effect.fnUntraced(function* (blamed: (node: string) => string | undefined) {
    if (!(yield* isDistributed(sql))) return new Map() as Found
    const reasons = new Map<string, string>()
    for (const { answers, node } of yield* asked) {
      const reason = answers ? blamed(node) : "does not answer"
      if (reason !== undefined) reasons.set(node, reason)
    }
    if (reasons.size === 0) return new Map() as Found
    const names = arrayParameter([...reasons.keys()], PgTypes.OID.text)
    const rows = yield* sql.unsafe<{ readonly server: string; readonly node: string }>(SERVERS, [names])
    // Of a node that has no server's rows nothing waits.
    return new Map(
      [...Map.groupBy(rows, ({ node }) => node)].map(([node, its]) => [
        node,
        { reason: reasons.get(node)!, servers: new Set(its.map(({ server }) => server)) }
      ])
    ) as Found
  })

  const note = Effect.fnUntraced(function* (found: Found) {
    const now = yield* monotonicMillis
    for (const [node, { reason, servers }] of found) {
      const known = away.get(node)
      const entry = known ?? { since: now, reason, servers, looks: 0, lookAt: now, saidAt: now, isTried: false }
      Object.assign(entry, { reason, servers, isTried: false })
      entry.lookAt = now + Math.min(Duration.toMillis(LOOK_FROM) * 2 ** entry.looks++, Duration.toMillis(LOOK_TO))
      away.set(node, entry)
      if (known !== undefined && now - known.saidAt < Duration.toMillis(SAY_AGAIN_AFTER)) continue
      entry.saidAt = now
      yield* Effect.logWarning(
        `rows of ${ofServers(servers)} wait${known ? ` since ${ago(known, now)}` : ""}: node ${node} ${reason}`
      )
    }
  })

  const waitingOf = (servers: ReadonlyArray<string>): ServersWait | undefined => {
    const waiting = [...away].filter(([, { isTried, servers: own }]) => !isTried && servers.some((id) => own.has(id)))
    if (waiting.length === 0) return undefined
    return new ServersWait({
      servers: new Set(waiting.flatMap(([, { servers: own }]) => servers.filter((id) => own.has(id)))),
      reason: waiting.map(([node, { reason }]) => `node ${node} ${reason}`).join(", ")
    })
  }

  /** One at a time: the others go by what is known. */
  const lookAgain = Effect.gen(function* () {
    const now = yield* monotonicMillis
    if (isLooking || ![...away.values()].some(({ isTried, lookAt }) => !isTried && lookAt <= now)) return
    isLooking = true
    yield* look(() => undefined).pipe(
      Effect.tap((found) => {
        for (const [node, entry] of away) if (!found.has(node)) entry.isTried = true
        return note(found)
      }),
      // The database is away as a whole: the write that comes next says so.
      Effect.ignore,
      Effect.ensuring(
        Effect.sync(() => {
          isLooking = false
        })
      )
    )
  })

  return {
    known: (servers) =>
      Effect.suspend(() =>
        away.size === 0 ? Effect.succeed(undefined) : Effect.map(lookAgain, () => waitingOf(servers))
      ),
    found: (servers, error) => {
      // Without a code, or with one of these, it is the connection to the coordinator that was lost.
      if (error !== undefined && /^(57P|undefined)/.test(String(sqlState(error)))) return Effect.succeed(undefined)
      return look(blamedBy(error)).pipe(
        Effect.tap(note),
        Effect.map(() => waitingOf(servers)),
        Effect.orElseSucceed(() => undefined)
      )
    },
    stored: (servers) =>
      Effect.suspend(() => {
        const over = [...away].filter(([, { isTried, servers: own }]) => isTried && servers.some((id) => own.has(id)))
        for (const [node] of over) away.delete(node)
        if (over.length === 0) return Effect.void
        return Effect.flatMap(monotonicMillis, (now) =>
          Effect.forEach(
            over,
            ([node, entry]) =>
              Effect.logInfo(
                `rows of ${ofServers(entry.servers)} are stored again, after ${ago(entry, now)}: node ${node} answers`
              ),
            { discard: true }
          )
        )
      }),
    told: Effect.map(monotonicMillis, (now) => {
      // A process that stores now and then what a person asks for does not learn that a node is back.
      const known = [...away].filter(([, { lookAt }]) => now - lookAt < Duration.toMillis(SAY_AGAIN_AFTER))
      const parts = known.map(([node, { reason, servers }]) => `${ofServers(servers)}, as node ${node} ${reason}`)
      return parts.length === 0 ? undefined : `rows wait of ${parts.join("; of ")}`
    })
  }
}

const ago = ({ since }: Away, now: number): string =>
  Duration.format(Duration.seconds(Math.round((now - since) / 1_000)))

/** Of a node that answers: what an error that names it says of it for longer than a moment. */
const blamedBy = (error: SqlError | undefined) => {
  if (error === undefined) return () => undefined
  const because = becauseOf(error)
  const words = because === "full" ? "has no room left" : because === "read-only" ? "takes no writes" : undefined
  const { cause } = error.reason
  const where = typeof cause === "object" && cause !== null && "where" in cause ? String(cause.where) : ""
  return (node: string) => (where.split(/\s+/).includes(node) ? words : undefined)
}
