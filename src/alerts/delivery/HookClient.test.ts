import { createServer, type Server } from "node:http"
import { networkInterfaces } from "node:os"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Result } from "effect"
import { askHook, mayReach } from "./HookClient.ts"

const REFUSED = [
  ...[
    "127.0.0.1",
    "127.8.8.8",
    "0.0.0.0",
    "169.254.169.254",
    "169.254.1.1",
    "100.100.100.200",
    "168.63.129.16",
    "192.0.0.192",
    "224.0.0.1",
    "255.255.255.255"
  ],
  ...["::", "::1", "fe80::1", "fe80::1%eth0", "fec0::1", "ff02::1", "fd00:ec2::254"],
  // The same, written as addresses of IPv6.
  ...[
    "::ffff:127.0.0.1",
    "::ffff:7f00:1",
    "::ffff:a9fe:a9fe",
    "::ffff:169.254.169.254",
    "64:ff9b::a9fe:a9fe",
    "64:ff9b:1::7f00:1",
    "2002:7f00:1::",
    "2001:0:7f00:1::1"
  ]
]

describe("a hook", () => {
  it("is refused at addresses of this machine, link-local ones, and where clouds keep their secrets", () => {
    for (const address of REFUSED) assert.isFalse(mayReach(address, []), address)
    for (const all of Object.values(networkInterfaces())) {
      for (const { address, family } of all ?? []) {
        assert.isFalse(mayReach(address, []), address)
        if (family === "IPv4") assert.isFalse(mayReach(`::ffff:${address}`, []), address)
      }
    }
    for (const address of [
      "10.1.2.3",
      "192.168.250.251",
      "172.16.250.3",
      "93.184.215.14",
      "::ffff:10.1.2.3",
      "2606:2800:21f::1",
      "fd12::1"
    ])
      assert.isTrue(mayReach(address, []), address)
  })

  it("is there where the file allows it, and nowhere beside", () => {
    assert.isTrue(mayReach("127.0.0.1", ["127.0.0.1"]))
    assert.isTrue(mayReach("::ffff:127.0.0.1", ["127.0.0.1"]))
    assert.isFalse(mayReach("127.0.0.2", ["127.0.0.1"]))
    assert.isFalse(mayReach("169.254.169.254", ["127.0.0.0/8"]))
    assert.isTrue(mayReach("169.254.169.254", "any"))
  })

  const listening = Effect.acquireRelease(
    Effect.callback<{ readonly server: Server; readonly asked: Array<string> }>((resume) => {
      const asked: Array<string> = []
      const server = createServer((request, response) => {
        asked.push(`${request.headers.host} ${request.headers.authorization ?? ""}`)
        response.end("secret")
      }).listen(0, "127.0.0.1", () => resume(Effect.succeed({ server, asked })))
    }),
    ({ server }) =>
      Effect.sync(() => {
        server.closeAllConnections()
        server.close()
      })
  )
  const ask = (url: string, allowed: ReadonlyArray<string> = []) =>
    Effect.result(askHook({ url: new URL(url), method: "POST", headers: {}, body: "{}", allowed }))

  it.live("is refused however its address is written, also by a name, and nothing is sent there", () =>
    Effect.gen(function* () {
      const { asked, server } = yield* listening
      const address = server.address()
      const port = typeof address === "object" ? address?.port : 0
      const ways = [
        "127.0.0.1",
        "localhost",
        "2130706433",
        "0x7f.1",
        "0177.0.0.1",
        "[::1]",
        "[::ffff:127.0.0.1]",
        "[::ffff:7f00:1]",
        "127.1"
      ]
      for (const host of ways) {
        const found = yield* ask(`http://${host}:${port}/`)
        assert.isTrue(Result.isFailure(found), host)
        assert.match(
          Result.isFailure(found) ? found.failure.reason : "",
          /which is of this machine, link-local or reserved/,
          host
        )
      }
      assert.deepStrictEqual(asked, [])
      // The host that was asked for is still what the server is told.
      assert.isTrue(Result.isSuccess(yield* ask(`http://me:se%3Acret@localhost:${port}/`, ["127.0.0.1"])))
      assert.deepStrictEqual(asked, [`localhost:${port} Basic ${Buffer.from("me:se:cret").toString("base64")}`])
    }).pipe(Effect.scoped)
  )

  it.live("is left alone for as long as it asks for, up to an hour", () =>
    Effect.gen(function* () {
      const { server } = yield* listening
      const address = server.address()
      const url = `http://127.0.0.1:${typeof address === "object" ? address?.port : 0}/`
      for (const [said, after] of [
        ["120", 120_000],
        ["86400", 3_600_000],
        ["2 minutes", undefined],
        ["Wed, 21 Oct 2026 07:28:00 GMT", undefined]
      ] as const) {
        server.removeAllListeners("request")
        server.on("request", (_, response) => response.writeHead(429, { "retry-after": said }).end())
        const found = yield* ask(url, ["127.0.0.1"])
        const failure = Result.isFailure(found) ? found.failure : undefined
        assert.deepStrictEqual([failure?.reason, failure?.after], ["it answers 429", after], said)
      }
    }).pipe(Effect.scoped)
  )

  it.live("that is not there is told by what the system says, without its name", () =>
    Effect.gen(function* () {
      const unknown = yield* ask("http://hunter2.invalid/hunter2")
      const refused = yield* ask("http://127.0.0.1:1/hunter2", ["127.0.0.1"])
      for (const found of [unknown, refused]) {
        assert.isTrue(Result.isFailure(found))
        assert.notInclude(JSON.stringify(found), "hunter2")
      }
      assert.strictEqual(Result.isFailure(refused) ? refused.failure.reason : "", "it cannot be reached (ECONNREFUSED)")
    })
  )
})
