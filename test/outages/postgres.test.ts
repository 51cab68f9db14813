/** While PostgreSQL is away, or does not want to. Nothing is lost, and whoever asks is told the truth. */
import { join } from "node:path"
import { assert, describe } from "@effect/vitest"
import { Duration, Effect, Fiber, Layer, Redacted } from "effect"
import { layerStatus } from "../../agent/Agent.ts"
import { AgentStatus } from "../../agent/AgentStatus.ts"
import { AgentConfig } from "../../agent/config/AgentConfig.ts"
import { makePush } from "../../agent/push/Push.ts"
import { packArray } from "../../agent/spool/PackedRows.ts"
import { Spool } from "../../agent/spool/Spool.ts"
import { layerDisk } from "../../agent/spool/SpoolDisk.ts"
import { describeValkey } from "../TestValkey.ts"
import {
  type Answered,
  allStored,
  balanced,
  deadLetters,
  eventually,
  exporter,
  notReady,
  postScrape,
  promise,
  query,
  ready,
  register,
  scrape,
  startServer
} from "./World.ts"

describeValkey("while PostgreSQL is away", () => {
  promise(
    "ingest goes on into the stream up to its bound, then turns agents away, whose spools keep the rest; back, nothing is lost",
    ({ folder, postgres, valkey }) =>
      Effect.gen(function* () {
        const { url } = yield* startServer(postgres, valkey, { entriesMax: 1_000 })
        yield* ready(url)
        const { server_id, token } = yield* register(url, "web")
        assert.strictEqual((yield* postScrape(url, token, 0))!.status, 202)
        yield* allStored(postgres, server_id, 10)

        postgres.stop()
        yield* notReady(url, "database")
        // Longer than an answer about a token is remembered: the stream takes what comes all the same.
        yield* Effect.sleep("6 seconds")
        let n = 1
        let refused: Answered | undefined
        while (refused === undefined && n < 200) {
          const answer = yield* postScrape(url, token, n)
          if (answer!.status === 202) n++
          else refused = answer
        }
        assert.strictEqual(refused!.status, 429)
        assert.isAtLeast(Number(refused!.retryAfter), 1)
        assert.isAtLeast(n, 50)

        // An agent with a spool on disk: it keeps what it scrapes.
        const agent = layerStatus.pipe(
          Layer.provideMerge(layerDisk({ path: join(folder, "spool") })),
          Layer.provideMerge(
            Layer.succeed(AgentConfig, {
              serverName: "web",
              server: {
                url,
                token: Effect.succeed(Redacted.make(token)),
                timeout: Duration.seconds(5),
                ca: undefined
              },
              buffer: { path: undefined, maxBytes: 1e9, maxAge: Duration.days(1) },
              exporters: [],
              disabled: [],
              warnings: []
            })
          )
        )
        const more = 100
        yield* Effect.gen(function* () {
          const spool = yield* Spool
          const push = yield* makePush
          const pushing = yield* Effect.forkChild(push.run)
          for (let at = n; at < n + more; at++) {
            yield* spool.append([{ exporter, scrapedAt: Date.now(), rows: packArray(JSON.stringify(scrape(at)))! }])
          }
          yield* eventually(
            "the push is told to wait",
            Effect.flatMap(AgentStatus, ({ view }) => view),
            ({ push }) => push.state === "retrying" && (push.requests["429"] ?? 0) > 0
          )
          assert.strictEqual((yield* spool.stats).records, more)
          postgres.restart()
          yield* eventually("the spool is empty", spool.stats, ({ records }) => records === 0)
          yield* Fiber.interrupt(pushing)
        }).pipe(Effect.provide(agent))
        yield* ready(url)
        yield* allStored(postgres, server_id, (n + more) * 10)
        assert.strictEqual(yield* deadLetters(url), 0)
        // Rows are there a moment before they are acknowledged.
        const { books, stages } = yield* eventually(
          "all is settled",
          balanced(url),
          ({ books }) => books.inFlight === 0
        )
        assert.strictEqual(books.accepted, (n + more) * 10)
        assert.isAbove(stages.find(({ stage }: { stage: string }) => stage === `writer:${exporter}`).retries, 0)
      })
  )

  describe.concurrent("an error that says so", () => {
    for (const [what, code] of [
      ["a full disk", "53100"],
      ["a failover that is read-only for a moment", "25006"],
      ["a deadlock", "40P01"],
      ["a serialization failure", "40001"],
      ["a statement that took too long", "57014"]
    ] as const) {
      promise(`${what} (${code}) is waited for, shows in readiness, and costs no row`, ({ postgres, valkey }) =>
        Effect.gen(function* () {
          const { url } = yield* startServer(postgres, valkey)
          yield* ready(url)
          const { server_id, token } = yield* register(url, "web")
          yield* postScrape(url, token, 0)
          yield* allStored(postgres, server_id, 10)
          yield* query(
            postgres,
            `create function admiral.trouble() returns trigger language plpgsql as $$
            begin raise exception 'trouble' using errcode = '${code}'; end $$`
          )
          yield* query(
            postgres,
            "create trigger trouble before insert on admiral.process_snapshots_scrapes for each statement execute function admiral.trouble()"
          )
          for (let n = 1; n <= 20; n++) assert.strictEqual((yield* postScrape(url, token, n))!.status, 202)
          yield* eventually("it was tried again", balanced(url), ({ stages }) =>
            stages.some(
              ({ lastError, retries, stage }: { lastError: { reason: string }; retries: number; stage: string }) =>
                stage === `writer:${exporter}` && retries >= 2 && lastError.reason.includes(code)
            )
          )
          yield* notReady(url, "writes")
          yield* query(postgres, "drop trigger trouble on admiral.process_snapshots_scrapes")
          yield* allStored(postgres, server_id, 210)
          yield* ready(url)
          assert.strictEqual(yield* deadLetters(url), 0)
        })
      )
    }
  })
})
