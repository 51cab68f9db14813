/**
 * Rows spread over several machines by Citus, where the database has that extension (`docs/adr/0018-distributed-by-server.md`).
 *
 * What is stored of servers is distributed by `server_id`, and colocated: all rows of a server lie on one node, whatever table they
 * are of. So a statement about one server is about one node, and a transaction that stores rows of a server commits them there
 * together with what it queues. Everything else, such as tokens, names and alerts, stays on the coordinator, which all statements go to.
 *
 * `admiral.server_ids` is what questions about many servers begin with: a view of the servers, in its place a table that is
 * distributed as they are, kept by a trigger. It being a table is what says that a database is distributed.
 *
 * A table is distributed in a transaction of its own, under the lock of the migrations; with the rows that it has. There is no way back.
 */
import { PgClient } from "@effect/sql-pg"
import { Effect, Schema } from "effect"
import type { SqlError } from "effect/sql/SqlError"
import { answering } from "../postgres/Database.ts"
import type { DatabaseUnavailable } from "./DatabaseUnavailable.ts"
import { SERVER_ASKED } from "./Tables.ts"

/** Rows are to be distributed, and cannot be. */
export class NotDistributable extends Schema.TaggedError<NotDistributable>()("NotDistributable", {
  reason: Schema.String
}) {
  readonly retryable = false
  override get message(): string {
    return this.reason
  }
}

/**
 * Beside the tables of exporters: what is queued about a server's rows is committed with them. They have no key, so what is deleted
 * from them while a shard is moved is known by the whole row.
 */
const QUEUES = ["rollup_queue", "packing_queue"]
const OF_EXPORTERS = "_(scrapes|packed|first_seen|5m|1h|1d)$"

/** Fails where the database does not have the extension. */
export const requireCitus: Effect.Effect<void, NotDistributable | DatabaseUnavailable, PgClient.PgClient> = Effect.gen(
  function* () {
    const sql = yield* PgClient.PgClient
    const [found] = yield* sql`select from pg_extension where extname = 'citus'`
    if (found !== undefined) return
    const [{ database }] = (yield* sql`select current_database()::text as database`) as [{ readonly database: string }]
    return yield* new NotDistributable({
      reason: `rows cannot be distributed: database ${database} has no Citus; as a superuser, there and in the database of that name on each node: create extension citus (docs/deployment.md, "PostgreSQL with Citus")`
    })
  }
).pipe(answering("look for Citus"))

/** What a database says of itself. */
export interface DistributionState {
  /** The version of the extension; null where the database does not have it. */
  readonly version: string | null
  /** Whether rows are distributed. */
  readonly isDistributed: boolean
  /** Tables that are to be distributed and are not, and views that are to be asked of several nodes, without their schema; none where there is no extension. */
  readonly left: ReadonlyArray<string>
  /** Nodes that hold rows. */
  readonly nodes: number
}

/** Whether something of it is not distributed, though it can be. */
export const isToBeDistributed = ({ isDistributed, left, version }: DistributionState): boolean =>
  version !== null && (!isDistributed || left.length > 0)

/** Needs the core migration. */
export const distributionState: Effect.Effect<DistributionState, SqlError, PgClient.PgClient> = Effect.gen(
  function* () {
    const sql = yield* PgClient.PgClient
    const [found] = yield* sql<{ readonly version: string | null; readonly isDistributed: boolean }>`
      select (select extversion from pg_extension where extname = 'citus') as version, ${isTable(sql)} as "isDistributed"`
    const { isDistributed, version } = found!
    if (version === null) return { version, isDistributed, left: [], nodes: 0 }
    const left = yield* sql<{ readonly name: string }>`
      select relation.relname::text as name from pg_class as relation
      where relation.relnamespace = 'admiral'::regnamespace and relation.relkind in ('r', 'p') and not relation.relispartition
        and (relation.relname in ${sql.in(QUEUES)} or relation.relname ~ ${OF_EXPORTERS})
        and not exists (select from pg_dist_partition as known where known.logicalrelid = relation.oid)
      union all select view.relname::text from pg_class as view
      where view.relnamespace = 'admiral'::regnamespace and view.relkind = 'v' and view.relname ~ '_rows$'
        and pg_get_viewdef(view.oid) !~ ${APART}
      order by name`
    const [nodes] = yield* sql<{ readonly count: number }>`
      select count(*)::int4 as count from pg_dist_node where noderole = 'primary' and isactive and shouldhaveshards`
    return { version, isDistributed, left: left.map(({ name }) => name), nodes: nodes!.count }
  }
)

const isTable = (sql: PgClient.PgClient) =>
  sql.literal(`exists (select from pg_class where oid = to_regclass('admiral.server_ids') and relkind = 'r')`)

/** Whether the rows of this database are distributed. */
export const isDistributed = (sql: PgClient.PgClient): Effect.Effect<boolean, SqlError> =>
  Effect.map(sql<{ readonly is: boolean }>`select ${isTable(sql)} as is`, ([row]) => row!.is)

/** Distributes what is not yet; the names of those tables. As the owner of the schema, under a lock of each transaction. */
export const distribute = Effect.fnUntraced(function* (oneAtATime: Effect.Effect<unknown, SqlError>) {
  const sql = yield* PgClient.PgClient
  const run = (statement: string) => sql.unsafe(statement).unprepared
  const distributed: Array<string> = []
  yield* sql.withTransaction(
    Effect.gen(function* () {
      yield* oneAtATime
      if (yield* isDistributed(sql)) return
      for (const statement of SERVER_IDS) yield* run(statement)
      distributed.push("server_ids")
    })
  )
  for (const name of (yield* distributionState).left) {
    const isView = name.endsWith("_rows")
    const moved = Effect.gen(function* () {
      if (QUEUES.includes(name)) yield* run(`alter table admiral.${name} replica identity full`)
      yield* distributeLike(sql, name)
      yield* dropMoved(sql, name)
    })
    yield* sql.withTransaction(Effect.andThen(oneAtATime, isView ? replaceView(sql, name) : moved))
    if (!isView) distributed.push(name)
  }
  return distributed
})

/** Distributes a table as the others are, within the transaction. */
export const distributeLike = (sql: PgClient.PgClient, table: string): Effect.Effect<unknown, SqlError> =>
  sql.unsafe(
    `select create_distributed_table(relation, 'server_id', colocate_with => 'admiral.server_ids') from to_regclass('admiral."${table}"') as relation
where not exists (select from pg_dist_partition as known where known.logicalrelid = relation)`
  ).unprepared

/** What was moved stays on the coordinator too, where nobody sees it, until it is dropped. Within the transaction. */
const dropMoved = (sql: PgClient.PgClient, table: string): Effect.Effect<unknown, SqlError> =>
  sql.unsafe(`select truncate_local_data_after_distributing_table('admiral."${table}"')`).unprepared

const APART = "_rows_apart"

/** A view of rows, and the function that reads it, as they can be asked of several nodes. */
const replaceView = Effect.fnUntraced(function* (sql: PgClient.PgClient, view: string) {
  const [isNext] = yield* sql`
    select from pg_class where oid = to_regclass(${`admiral."${view}"`}) and pg_get_viewdef(oid) !~ ${APART}`
  if (isNext === undefined) return
  yield* sql.unsafe(`create or replace view admiral."${view}" as select * from admiral."${view}_apart" offset 0`)
    .unprepared
  const between = `${view.slice(0, -"_rows".length)}_between`
  const [made] = yield* sql<{ readonly text: string; readonly head: string }>`
    select prosrc as text, format('%I.%I(%s) returns %s', 'admiral', proname, pg_get_function_arguments(oid), pg_get_function_result(oid)) as head
    from pg_proc where pronamespace = 'admiral'::regnamespace and proname = ${between}`
  if (made === undefined) return
  // The server is looked up first. The rows are a question of their own, about one shard: taken apart within a join with names,
  // it would bring all rows of all servers here.
  const stored = `with stored as materialized (
  select * from admiral."${view}_apart" as known
  where known.server_id = server_asked and known."timestamp" >= $2 and known."timestamp" <= $3
)
`
  const text = made.text.trimStart().replaceAll(SERVER_ASKED, "server_asked").replace(`admiral.${view} `, "stored ")
  yield* sql.unsafe(`create or replace function ${made.head} language plpgsql stable as $function$
#variable_conflict use_column
declare
  server_asked constant integer := ${SERVER_ASKED};
begin
  return query
${stored}${text};
end $function$`).unprepared
})

/** The ids of servers, on the nodes that have their rows: as many shards as `citus.shard_count` says. */
const SERVER_IDS = [
  "set local citus.multi_shard_modify_mode = 'sequential'",
  "drop view admiral.server_ids",
  "create table admiral.server_ids (id integer primary key)",
  "comment on table admiral.server_ids is 'The ids of the servers, beside their rows.'",
  "select create_distributed_table('admiral.server_ids', 'id', colocate_with => 'none')",
  "insert into admiral.server_ids (id) select id from admiral.servers",
  `create function admiral.keep_server_ids() returns trigger language plpgsql set search_path = '' as $$
begin
  if tg_op = 'DELETE' then
    delete from admiral.server_ids where id = old.id;
  else
    insert into admiral.server_ids (id) values (new.id);
  end if;
  return null;
end $$`,
  `create trigger servers_ids after insert or delete on admiral.servers
  for each row execute function admiral.keep_server_ids()`
]
