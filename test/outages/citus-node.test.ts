/** While a node of Citus is away: the rows of its servers wait, those of the others do not. */
import { assert, it } from "@effect/vitest"
import { Effect, Logger, References } from "effect"
import { describeCitus, makeCitus, type TestCitus } from "../TestCitus.ts"
import { makeTestValkey } from "../TestValkey.ts"
import {
  allStored,
  ask,
  balanced,
  deadLetters,
  eventually,
  postScrape,
  query,
  ready,
  register,
  startServer
} from "./World.ts"

/** The node that has a server's rows. */
const PLACES = `select server.server_id, place.nodename || ':' || place.nodeport as node from admiral.servers as server
join pg_dist_shard_placement as place on place.shardid = get_shard_id_for_distribution_column('admiral.server_ids', server.id)`

const SCRAPES = 30

/** As `allStored`, asked of the server's node alone. */
const oneStored = (citus: TestCitus, server: string, rows: number) =>
  eventually(
    `${rows} rows of one server`,
    query(
      citus,
      `select count(*)::int4 as rows from admiral.process_snapshots_between('${server}', now() - interval '1 day', now() + interval '1 day')`
    ),
    ([found]) => (found as { readonly rows: number }).rows === rows
  )

describeCitus("while a node of Citus is away", () => {
  it.live(
    "its servers' rows wait in the stream and those of the others are stored; back, everything is there once",
    () => {
      const said: Array<string> = []
      const logger = Logger.layer([
        Logger.make(({ message }) => {
          said.push(String(message))
        })
      ])
      return Effect.gen(function* () {
        const valkey = yield* makeTestValkey({ appendOnly: true })
        const citus = yield* makeCitus
        const { url } = yield* startServer(citus, valkey)
        yield* ready(url)
        const servers = yield* Effect.forEach(Array.from({ length: 8 }), (_, n) => register(url, `web-${n}`))
        const places = new Map(
          ((yield* query(citus, PLACES)) as ReadonlyArray<{ readonly server_id: string; readonly node: string }>).map(
            ({ node, server_id }) => [server_id, node]
          )
        )
        const [worker] = citus.workers
        const isAway = ({ server_id }: { readonly server_id: string }) => places.get(server_id) === worker!.name
        const [away, others] = [servers.filter(isAway), servers.filter((server) => !isAway(server))]
        assert.isNotEmpty(away)
        assert.isNotEmpty(others)
        const push = (n: number) =>
          Effect.forEach(servers, ({ token }) =>
            Effect.map(postScrape(url, token, n), (answer) => assert.strictEqual(answer?.status, 202))
          )
        yield* push(0)
        for (const { server_id } of servers) yield* allStored(citus, server_id, 10)

        yield* worker!.kill
        for (let n = 1; n < SCRAPES; n++) yield* push(n)
        for (const { server_id } of others) yield* oneStored(citus, server_id, 10 * SCRAPES)
        const streams = eventually(
          "all of its rows wait",
          ask("GET", `${url}/api/pipeline`),
          (answer) => answer?.body.streams[0].waiting === away.length * 10 * (SCRAPES - 1)
        )
        yield* streams
        const told = yield* ready(url)
        assert.match(told!.body.notes[0], /writes: rows wait of \d servers, as node 127.0.0.1:\d+ does not answer/)
        // Tried again and again meanwhile.
        yield* Effect.sleep("4 seconds")
        assert.strictEqual((yield* streams)!.body.streams[0].pending, 0)
        const metrics = yield* Effect.promise(async () =>
          (await fetch(`${url}/metrics`, { headers: { authorization: "Bearer an-admin-token-for-outages" } })).text()
        )
        assert.include(metrics, `nodepulse_stream_waiting ${away.length * 10 * (SCRAPES - 1)}`)

        yield* worker!.start
        for (const { server_id } of servers) yield* allStored(citus, server_id, 10 * SCRAPES)
        yield* eventually(
          "nothing waits",
          ask("GET", `${url}/api/pipeline`),
          (answer) => answer?.body.streams[0].rows === 0
        )
        assert.strictEqual(yield* deadLetters(url), 0)
        yield* balanced(url)
        const lines = said.filter((line) => /^rows of \d servers/.test(line))
        assert.strictEqual(lines.length, 2)
      }).pipe(Effect.scoped, Effect.provide(logger), Effect.provideService(References.MinimumLogLevel, "Info"))
    },
    300_000
  )
})
