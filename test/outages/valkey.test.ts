/** While Valkey is away, at the start and later, and when its contents are taken away. */

import { assert } from "@effect/vitest"
import { Effect } from "effect"
import { keyOf } from "../../src/sinks/stream/valkey/StreamNumber.ts"
import { describeValkey } from "../TestValkey.ts"
import {
  allStored,
  ask,
  balanced,
  eventually,
  exporter,
  notReady,
  postScrape,
  promise,
  ready,
  register,
  scrape,
  startServer
} from "./World.ts"

describeValkey("while Valkey is away", () => {
  promise(
    "a start waits for it and says so, a running server turns agents away, and both go on when it is back",
    ({ postgres, valkey }) =>
      Effect.gen(function* () {
        yield* valkey.stop
        const { fiber, url } = yield* startServer(postgres, valkey)
        const waiting = yield* notReady(url, "stream")
        assert.match(waiting!.body.detail, /waits for .*stream/)
        assert.strictEqual((yield* ask("GET", `${url}/healthz`))!.status, 200)
        const early = yield* ask("POST", `${url}/metrics/prometheus`, { [exporter]: scrape(0) }, "any")
        assert.strictEqual(early!.status, 503)
        assert.isAtLeast(Number(early!.retryAfter), 1)
        assert.isUndefined(fiber.pollUnsafe())

        yield* valkey.start
        yield* ready(url)
        const { server_id, token } = yield* register(url, "web")
        for (let n = 0; n < 5; n++) assert.strictEqual((yield* postScrape(url, token, n))!.status, 202)
        yield* allStored(postgres, server_id, 50)

        yield* valkey.kill
        yield* notReady(url, "stream")
        const refused = yield* postScrape(url, token, 5)
        assert.strictEqual(refused!.status, 503)
        assert.isAtLeast(Number(refused!.retryAfter), 1)
        // What is stored can still be asked for.
        assert.strictEqual((yield* ask("GET", `${url}/api/servers/${server_id}/processes/top`))!.status, 200)

        yield* valkey.start
        yield* ready(url)
        assert.strictEqual((yield* postScrape(url, token, 5))!.status, 202)
        yield* allStored(postgres, server_id, 60)
        const { children } = (yield* ask("GET", `${url}/api/pipeline`))!.body
        for (const { lastError, name, restarts, state } of children) {
          assert.deepStrictEqual(
            { name, state, restarts, lastError },
            { name, state: "running", restarts: 0, lastError: null }
          )
        }
      })
  )

  promise(
    "its group is deleted, or all of it flushed, while two digests work: what is unread is stored",
    ({ postgres, valkey }) =>
      Effect.gen(function* () {
        const { url } = yield* startServer(postgres, valkey)
        const other = yield* startServer(postgres, valkey, { roles: ["digest"] })
        yield* ready(url)
        yield* ready(other.url)
        const { server_id, token } = yield* register(url, "web")
        for (let n = 0; n < 60; n++) {
          assert.strictEqual((yield* postScrape(url, token, n))!.status, 202)
          if (n % 10 === 5) yield* Effect.promise(() => valkey.client.call("XGROUP", "DESTROY", keyOf(0), "digest"))
          // Only once everything is stored: what a flush takes, nobody has any more.
          if (n === 39) {
            yield* allStored(postgres, server_id, 400)
            yield* Effect.promise(() => valkey.client.call("FLUSHALL"))
          }
        }
        yield* allStored(postgres, server_id, 600)
        // Rows are there a moment before they are acknowledged.
        const shares = yield* eventually(
          "all is settled",
          Effect.map(Effect.all([balanced(url), balanced(other.url)]), (both) => both.map(({ books }) => books)),
          (books) => books.every(({ inFlight }) => inFlight === 0)
        )
        assert.isAtLeast(shares[0].accepted + shares[1].accepted, 600)
        assert.strictEqual(shares[0].rejected + shares[1].rejected, 0)
        yield* eventually(
          "nothing is pending",
          Effect.promise(() => valkey.client.call("XPENDING", keyOf(0), "digest")),
          (summary) => (summary as ReadonlyArray<number>)[0] === 0
        )
      })
  )
})
