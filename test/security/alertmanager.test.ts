/** An Alertmanager that means harm, or an address of one that holds a password: alerts go there and nowhere else, and no log says it. */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer, Logger } from "effect"
import { httpPeer } from "../../agent/scrape/HttpPeer.fixture.ts"
import { layerClient, makeAlertmanager } from "../../src/alerts/Alertmanager.ts"
import { Alerts } from "../../src/alerts/Alerts.ts"
import { Rulebook } from "../../src/alerts/Rulebook.ts"

const alert = {
  id: "1",
  rule: "busy",
  sentence: "busy",
  severity: "warning",
  serverId: "web-1",
  serverName: "web-1",
  group: "a\r\nb",
  value: 1,
  asked: { resource: "processes", metric: "cpu", unit: "% of a core", span: 60_000 },
  firedAt: 0,
  resolvedAt: null,
  isUnknown: false,
  isSilenced: false,
  acknowledged: undefined
} as const

/** Sends to each once: what the log says of it. */
const sentTo = (...urls: ReadonlyArray<string>) => {
  const logged: Array<string> = []
  const services = Layer.mergeAll(
    layerClient,
    Layer.succeed(Rulebook, { rules: Effect.succeed([]) }),
    Layer.succeed(Alerts, {
      pass: Effect.succeed({ moments: 0, fired: 0, resolved: 0 }),
      run: Effect.never,
      stats: Effect.succeed({ firing: 0, behindSeconds: null, pass: null }),
      list: () => Effect.succeed([alert]),
      acknowledge: () => Effect.succeed(alert),
      firing: Effect.succeed(new Map())
    }),
    Layer.succeed(Logger.CurrentLoggers, new Set([Logger.make(({ message }) => void logged.push(String(message)))]))
  )
  return Effect.gen(function* () {
    yield* (yield* makeAlertmanager({ urls, publicUrl: undefined })).send
    return logged.join("\n")
  }).pipe(Effect.provide(services))
}

describe("an Alertmanager", () => {
  it.live("that leads elsewhere is not followed, whatever it answers", () =>
    Effect.gen(function* () {
      const elsewhere = yield* httpPeer((_, response) => response.end())
      for (const status of [301, 302, 303, 307, 308]) {
        const peer = yield* httpPeer((_, response) => response.writeHead(status, { location: elsewhere.url }).end())
        assert.include(yield* sentTo(peer.url), `it answers ${status}`)
      }
      assert.deepStrictEqual(elsewhere.requests, [])
    })
  )

  it.live("whose answer never ends is not read to its end, and is let go", () =>
    Effect.gen(function* () {
      const peer = yield* httpPeer((_, response) => {
        const chunk = Buffer.alloc(64 * 1024)
        const more = () => {
          while (!response.destroyed && response.write(chunk));
        }
        response.writeHead(200).on("drain", more)
        more()
      })
      assert.strictEqual(yield* sentTo(peer.url), "")
      yield* Effect.sync(peer.openConnections).pipe(
        Effect.delay("20 millis"),
        Effect.repeat({ until: (open) => open === 0 }),
        Effect.timeout("15 seconds")
      )
    })
  )

  it.live("is given the user and password of its address, and no log is", () =>
    Effect.gen(function* () {
      const peer = yield* httpPeer((_, response) => response.writeHead(500).end())
      const said = yield* sentTo(
        peer.url.replace("http://", "http://user:hunter%402@"),
        "http://user:hunter%402@127.0.0.1:1/",
        "http://user:hunter%zz2@nodepulse.invalid"
      )
      assert.strictEqual(
        peer.requests[0]?.headers.authorization,
        `Basic ${Buffer.from("user:hunter@2").toString("base64")}`
      )
      assert.include(said, "it answers 500")
      assert.include(said, "127.0.0.1:1")
      assert.notMatch(said, /hunter|user/)
    })
  )
})
