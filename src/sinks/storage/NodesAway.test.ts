/** What `NodesAway.ts` promises, on a PostgreSQL that plays Citus: two nodes, which answer, refuse what is stored, or neither. */
import { PgClient } from "@effect/sql-pg"
import { assert, describe, layer as withLayer } from "@effect/vitest"
import { Effect, Layer, Logger } from "effect"
import { TestClock } from "effect/testing"
import * as TestDatabase from "../../../test/TestDatabase.ts"
import { Registry } from "../../plugins/Registry.ts"
import { SnapshotRows } from "./SnapshotRows.ts"
import { layer as layerRows } from "./SnapshotRowsPostgres.ts"
import { suiteExporters, suiteRow } from "./SnapshotRowsSuite.ts"

const isLeftOut = TestDatabase.leaveOut(
  "a PostgreSQL that plays Citus: a node of the real one is stopped in test/outages"
)

const SERVERS = ["on-a", "on-b"]

/** The parts of Citus that are asked. `refuses`: the code of the error that storing on a node fails with. */
const PLAYED = `
create table played (node text primary key, answers boolean not null default true, refuses text, asked integer not null default 0);
insert into played (node) values ('a'), ('b');
create view pg_dist_node as
  select node as nodename, 5432 as nodeport, 'primary' as noderole, true as isactive, true as shouldhaveshards from played;
create view pg_dist_shard_placement as select ascii(node)::bigint as shardid, node as nodename, 5432 as nodeport from played;
create function citus_check_connection_to_node(asked_of text, integer) returns boolean language sql as
  'update played set asked = asked + 1 where node = asked_of returning answers';
create function get_shard_id_for_distribution_column(text, server integer) returns bigint language sql as
  'select ascii(right(server_id, 1))::bigint from admiral.servers where id = server';
create function fail(code text) returns void language plpgsql as $$ begin raise exception 'played' using errcode = code; end $$;
create function store() returns trigger language plpgsql as $$
declare
  on_node played;
begin
  select * into on_node from played where ascii(node) = get_shard_id_for_distribution_column('', new.server_id);
  if on_node.refuses is not null then
    execute format('select fail(%L) /* while executing command on %s:5432 */', on_node.refuses, on_node.node);
  end if;
  return new;
end $$;
create trigger store before insert on admiral.suite_snapshots_scrapes for each row execute function store();
drop view admiral.server_ids;
create table admiral.server_ids as select id from admiral.servers`

const played = Layer.effectDiscard(
  Effect.gen(function* () {
    const sql = yield* PgClient.PgClient
    for (const name of SERVERS) yield* sql`insert into admiral.servers (server_id, name) values (${name}, ${name})`
    yield* sql.unsafe(`do $played$ begin ${PLAYED}; end $played$`).unprepared
  })
)

const layer = layerRows.pipe(
  Layer.provideMerge(played),
  Layer.provideMerge(Registry.layer({ exporters: suiteExporters })),
  Layer.provideMerge(TestDatabase.layerWith({ exporters: suiteExporters })),
  Layer.orDie
)

let moment = 1
/** A row each. */
const insert = (...servers: ReadonlyArray<string>) =>
  Effect.flatMap(SnapshotRows, (rows) =>
    rows.insert(
      "suite_exporter",
      servers.map((serverId) => suiteRow({ serverId, timestamp: moment++ * 1_000_000 }))
    )
  )
const waits = Effect.flatMap(SnapshotRows, (rows) => rows.waits!)
const refusalOf = (...servers: ReadonlyArray<string>) =>
  Effect.map(Effect.flip(insert(...servers)), (error) => [error._tag, error.message])

const node = (name: string, is: { readonly answers?: boolean; readonly refuses?: string }) =>
  Effect.flatMap(
    PgClient.PgClient,
    (sql) =>
      sql`update played set answers = ${is.answers ?? true}, refuses = ${is.refuses ?? null}::text where node = ${name}`
  )
const asked = Effect.flatMap(PgClient.PgClient, (sql) =>
  Effect.map(sql<{ readonly asked: number }>`select asked from played where node = 'b'`, ([row]) => row!.asked)
)

const listening = () => {
  const said: Array<string> = []
  return { said, logger: Logger.layer([Logger.make(({ message }) => void said.push(String(message)))]) }
}

describe.skipIf(isLeftOut)("where a node of the database is away", () => {
  withLayer(layer)((it) => {
    it.effect("rows of its servers wait, and nothing of their batch was stored; those of the others are stored", () => {
      const { logger, said } = listening()
      return Effect.gen(function* () {
        assert.deepStrictEqual(yield* insert("on-a", "on-b"), { inserted: 2, duplicates: 0 })
        assert.strictEqual(yield* asked, 0)
        yield* node("b", { answers: false, refuses: "08006" })
        const wait = ["ServersWait", "rows of 1 server wait: node b:5432 does not answer"]
        const before = moment
        assert.deepStrictEqual(yield* refusalOf("on-a", "on-b"), wait)
        moment = before
        assert.deepStrictEqual(yield* insert("on-a"), { inserted: 1, duplicates: 0 })
        assert.strictEqual(yield* waits, "rows wait of 1 server, as node b:5432 does not answer")

        // It is not asked with each batch: after 1 second, then 2, then 4.
        assert.deepStrictEqual(yield* refusalOf("on-b"), wait)
        assert.strictEqual(yield* asked, 1)
        for (const [seconds, times] of [
          [1, 2],
          [1, 2],
          [1, 3],
          [3, 3],
          [1, 4]
        ] as const) {
          yield* TestClock.adjust(`${seconds} seconds`)
          assert.deepStrictEqual(yield* refusalOf("on-b", "on-a"), wait)
          assert.strictEqual(yield* asked, times)
        }

        yield* node("b", {})
        assert.deepStrictEqual(yield* refusalOf("on-b"), wait)
        yield* TestClock.adjust("10 seconds")
        assert.deepStrictEqual(yield* insert("on-a", "on-b"), { inserted: 2, duplicates: 0 })
        assert.isUndefined(yield* waits)
        assert.deepStrictEqual(said, [
          "rows of 1 server wait: node b:5432 does not answer",
          "rows of 1 server are stored again, after 17s: node b:5432 answers"
        ])
        assert.strictEqual(yield* asked, 5)
        yield* insert("on-b")
        assert.strictEqual(yield* asked, 5)
      }).pipe(Effect.provide(logger))
    })

    for (const [code, words] of [
      ["53100", "has no room left"],
      ["25006", "takes no writes"]
    ] as const) {
      it.effect(`a node that ${words} is one, though it answers, and is tried again without a word`, () => {
        const { logger, said } = listening()
        return Effect.gen(function* () {
          yield* node("b", { refuses: code })
          const wait = ["ServersWait", `rows of 1 server wait: node b:5432 ${words}`]
          assert.deepStrictEqual(yield* refusalOf("on-a", "on-b"), wait)
          for (let n = 0; n < 3; n++) {
            yield* TestClock.adjust("10 seconds")
            assert.deepStrictEqual(yield* refusalOf("on-b", "on-a"), wait)
            yield* insert("on-a")
          }
          assert.strictEqual(said.length, 1)
          yield* TestClock.adjust("40 seconds")
          assert.deepStrictEqual(yield* refusalOf("on-b"), wait)
          assert.strictEqual(said[1], `rows of 1 server wait since 1m 10s: node b:5432 ${words}`)
          yield* node("b", {})
          yield* TestClock.adjust("10 seconds")
          yield* insert("on-b")
          assert.strictEqual(said.length, 3)
        }).pipe(Effect.provide(logger))
      })
    }

    it.effect("nothing else is taken for one: a deadlock, a row that cannot be stored, a database that is full", () =>
      Effect.gen(function* () {
        for (const [code, tag] of [
          ["40P01", "DatabaseUnavailable"],
          ["XX000", "DatabaseUnavailable"],
          ["08006", "DatabaseUnavailable"],
          ["22003", "RowsRefused"]
        ] as const) {
          yield* node("b", { refuses: code })
          assert.strictEqual((yield* refusalOf("on-b"))[0], tag, code)
          assert.isUndefined(yield* waits)
        }
        yield* node("b", {})
        // Of a node that none of them is on.
        yield* node("a", { refuses: "57014" })
        yield* node("b", { answers: false })
        assert.strictEqual((yield* refusalOf("on-a"))[0], "DatabaseUnavailable")
        yield* node("a", {})
        assert.deepStrictEqual(yield* insert("on-a"), { inserted: 1, duplicates: 0 })
        assert.strictEqual((yield* refusalOf("on-b"))[0], "ServersWait")
        yield* node("b", {})
        yield* TestClock.adjust("10 seconds")
        yield* insert("on-b")
      })
    )

    it.effect(
      "it is told for a minute after rows were last refused, and a node without servers is none of them",
      () => {
        const { logger, said } = listening()
        return Effect.gen(function* () {
          const sql = yield* PgClient.PgClient
          yield* sql`insert into played (node, answers) values ('c', false)`
          yield* node("b", { answers: false, refuses: "08006" })
          yield* refusalOf("on-b")
          assert.strictEqual(yield* waits, "rows wait of 1 server, as node b:5432 does not answer")
          // Nobody stores anything any more: whether the node is back is not known.
          yield* node("b", {})
          yield* TestClock.adjust("59 seconds")
          assert.isString(yield* waits)
          yield* TestClock.adjust("2 seconds")
          assert.isUndefined(yield* waits)
          assert.deepStrictEqual(yield* insert("on-b"), { inserted: 1, duplicates: 0 })
          assert.deepStrictEqual(said, [
            "rows of 1 server wait: node b:5432 does not answer",
            "rows of 1 server are stored again, after 1m 1s: node b:5432 answers"
          ])
          yield* sql`delete from played where node = 'c'`
        }).pipe(Effect.provide(logger))
      }
    )
  })
})
