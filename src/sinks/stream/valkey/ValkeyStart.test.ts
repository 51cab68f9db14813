import { readFileSync } from "node:fs"
import { join } from "node:path"
import { describe, expect, it } from "@effect/vitest"
import { Effect, Fiber, Layer, Logger } from "effect"
import { describeWith, makeAuthority } from "../../../../test/DebianServers.ts"
import { freePort } from "../../../../test/Ports.ts"
import { describeEachValkey, makeTestValkey } from "../../../../test/TestValkey.ts"
import { SnapshotStream } from "../SnapshotStream.ts"
import { suite } from "../SnapshotStreamSuite.ts"
import { layer } from "./SnapshotStreamValkey.ts"
import { awaitValkey, VALKEY_RIGHTS } from "./ValkeyStart.ts"

const withRights = (rights: string) => ({ settings: { user: `nodepulse on >secret ${rights}` } })
const asUser = (url: string) => url.replace("//", "//nodepulse:secret@")

describe("the rights that the documentation names", () => {
  it("are those that are tested here", () => {
    const text = readFileSync(join(import.meta.dirname, "../../../../docs/deployment.md"), "utf8")
    expect(text.replaceAll(/\\\n\s*|'/g, "")).toContain(VALKEY_RIGHTS)
  })
})

describeEachValkey("a user of Valkey with the rights that are documented, and no other", (server) => {
  suite("the stream in Valkey, with those rights", ({ bound }) =>
    Layer.unwrap(
      Effect.gen(function* () {
        const { url } = yield* makeTestValkey({ server, ...withRights(VALKEY_RIGHTS) })
        yield* awaitValkey({ url: asUser(url) })
        return layer({ url: asUser(url), maxLength: bound })
      })
    ))

  it.live("knows how durable it is and how much memory it takes", () =>
    Effect.gen(function* () {
      const { url } = yield* makeTestValkey({ server, appendOnly: true, ...withRights(VALKEY_RIGHTS) })
      yield* Effect.gen(function* () {
        const stream = yield* SnapshotStream
        yield* stream.publish([{ serverId: "a", exporterName: "b", snapshots: ["c"] }])
        expect(yield* stream.durability).toBe("fsync-always")
        expect((yield* stream.stats).bytes).toBeGreaterThan(0)
      }).pipe(Effect.provide(layer({ url: asUser(url) })))
    })
  )

  it.live("lacks one of them: the start ends, names it, and says how to grant it", () =>
    Effect.gen(function* () {
      const valkey = yield* makeTestValkey({ server, ...withRights(VALKEY_RIGHTS) })
      const optional = ["+memory|usage", "+config|get", "+ping", "+select"]
      const rights = VALKEY_RIGHTS.split(" ").filter((right) => right.startsWith("+") && !optional.includes(right))
      expect(rights.length).toBeGreaterThan(12)
      for (const right of rights) {
        const rest = VALKEY_RIGHTS.split(" ").filter((one) => one !== right)
        yield* Effect.promise(() =>
          valkey.client.call("ACL", "SETUSER", "nodepulse", "reset", "on", ">secret", ...rest)
        )
        const error = yield* Effect.flip(awaitValkey({ url: asUser(valkey.url), within: "5 seconds" }))
        expect([right, error._tag]).toEqual([right, "ValkeyUnfit"])
        expect(error.message.toLowerCase()).toContain(right.slice(1))
        expect(error.message).toContain(`ACL SETUSER <user> ${VALKEY_RIGHTS}`)
      }
      yield* Effect.promise(() =>
        valkey.client.call("ACL", "SETUSER", "nodepulse", "reset", "on", ">secret", "~other:*", ...rights)
      )
      expect((yield* Effect.flip(awaitValkey({ url: asUser(valkey.url) })))._tag).toBe("ValkeyUnfit")
    })
  )

  it.live("may bring its password as a parameter; a wrong one ends the start", () =>
    Effect.gen(function* () {
      const { url } = yield* makeTestValkey({ server, settings: { user: `nodepulse on >se+cr%et ${VALKEY_RIGHTS}` } })
      yield* awaitValkey({ url: `${url}?user=nodepulse&password=se%2Bcr%25et` })
      for (const wrong of [
        `${url}?user=nodepulse&password=other-secret`,
        url.replace("//", "//nodepulse:other-secret@")
      ]) {
        const error = yield* Effect.flip(awaitValkey({ url: wrong }))
        expect(error).toMatchObject({ _tag: "ValkeyUnfit", remedy: expect.stringContaining("user and password") })
        expect(error.message).not.toContain("other-secret")
      }
    })
  )

  it.live("nobody there yet is waited for, with a line now and then", () =>
    Effect.gen(function* () {
      const port = yield* freePort
      const lines: Array<string> = []
      const waiting = yield* Effect.forkScoped(
        awaitValkey({ url: `redis://127.0.0.1:${port}` }).pipe(
          Effect.provide(Logger.layer([Logger.make(({ message }) => void lines.push(String([message].flat()[0])))]))
        )
      )
      yield* Effect.repeat(Effect.sleep("50 millis"), { until: () => lines.length > 0 })
      yield* Effect.sleep("2 seconds")
      expect(lines.length).toBeLessThanOrEqual(2)
      expect(lines[0]).toContain(`waiting for Valkey at redis://127.0.0.1:${port}`)
      yield* Fiber.interrupt(waiting)
    })
  )
})

describeWith(["openssl"], "Valkey over TLS", () => {
  describeEachValkey("with an authority of one's own", (server) => {
    it.live(
      "is reached with its certificate, and with ours where it asks for one; what is wrong is said with its remedy",
      () =>
        Effect.gen(function* () {
          const authority = yield* makeAuthority
          const theirs = authority.issue("server", "DNS:localhost")
          const mine = authority.issue("nodepulse")
          const port = yield* freePort
          const asking = yield* freePort
          const tls = (at: number, clients: string) => ({
            settings: {
              "tls-port": `${at}`,
              "tls-cert-file": theirs.certFile,
              "tls-key-file": theirs.keyFile,
              "tls-ca-cert-file": authority.caFile,
              "tls-auth-clients": clients
            }
          })
          const plain = yield* makeTestValkey({ server, ...tls(port, "no") })
          yield* makeTestValkey({ server, ...tls(asking, "yes") })
          const ca = `ca_file=${authority.caFile}`
          const certificate = `cert_file=${mine.certFile}&key_file=${mine.keyFile}`
          for (const url of [
            `rediss://localhost:${port}?${ca}`,
            `valkeys://localhost:${asking}?${ca}&${certificate}`
          ]) {
            yield* awaitValkey({ url })
            yield* Effect.gen(function* () {
              const stream = yield* SnapshotStream
              yield* stream.publish([{ serverId: "a", exporterName: "b", snapshots: ["c"] }])
              expect((yield* stream.stats).length).toBe(1)
            }).pipe(Effect.provide(layer({ url })))
          }
          const refused = (url: string) =>
            Effect.map(Effect.flip(awaitValkey({ url })), ({ _tag, message }) => `${_tag} ${message}`)
          expect(yield* refused(`rediss://localhost:${port}`)).toMatch(/^ValkeyUnfit .*ca_file=/)
          expect(yield* refused(`rediss://127.0.0.1:${port}?${ca}`)).toMatch(
            /^ValkeyUnfit .*name that its certificate has/
          )
          expect(yield* refused(`rediss://localhost:${asking}?${ca}`)).toMatch(/^ValkeyUnfit .*cert_file=/)
          expect(yield* refused(`redis://localhost:${port}`)).toMatch(/^ValkeyUnfit .*speaks TLS; write rediss/)
          expect(yield* refused(`rediss://localhost:${plain.port}?${ca}`)).toMatch(
            /^ValkeyUnfit .*no TLS; write redis:/
          )
          expect(yield* refused("rediss://localhost?ca_file=/nonexistent/ca.crt")).toMatch(/^ValkeyUrlInvalid .*ENOENT/)
        })
    )
  })
})
