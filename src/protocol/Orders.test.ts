import { generateKeyPairSync } from "node:crypto"
import { assert, describe, it } from "@effect/vitest"
import { Result, Schema } from "effect"
import { approve, holds, keyIdOf, publicKeyOf, rawPublicKeyOf } from "./Approvals.ts"
import { Order, Outcome, Poll, PollAnswer, PreviewRequest, SignedOrder, STRICT } from "./Orders.ts"
import { approvalBytes, canonical, ORDER_LIMITS, PROCESS_VERBS, REVERTED_VERBS, VERBS } from "./OrderText.ts"

const decoded = Schema.decodeUnknownResult(SignedOrder, STRICT)

const order: Order = {
  version: 1,
  id: "0f8a2c11-0000-4000-8000-000000000001",
  server: "web-1",
  boot_id: "9a41c0de-0000-4000-8000-000000000002",
  verb: "terminate",
  target: { pid: 4711, start_ticks: 123456789, name: "stress" },
  settings: {},
  reason: "eats the CPU — Büro 3",
  nonce: "AAECAwQFBgcICQoLDA0ODw"
}
const unitOrder: Order = {
  ...{ ...order, verb: "quota" },
  target: { unit: "stress.service", invocation: "0123456789abcdef0123456789abcdef" },
  settings: { percent: 20, minutes: 10 }
}
const { privateKey } = generateKeyPairSync("ed25519")
const publicKey = rawPublicKeyOf(privateKey)

describe("the text that a person signs", () => {
  it("is this, byte by byte", () =>
    assert.strictEqual(
      Buffer.from(approvalBytes({ order, by: "ada", expires: 1764513660 })).toString(),
      'nodepulse order\n{"by":"ada","expires":1764513660,"order":{"boot_id":"9a41c0de-0000-4000-8000-000000000002","id":"0f8a2c11-0000-4000-8000-000000000001","nonce":"AAECAwQFBgcICQoLDA0ODw","reason":"eats the CPU — Büro 3","server":"web-1","settings":{},"target":{"name":"stress","pid":4711,"start_ticks":123456789},"verb":"terminate","version":1}}'
    ))

  it("does not depend on the order of keys, and tells apart whatever differs", () => {
    assert.strictEqual(canonical({ b: [1, { d: null, c: "x" }], a: true }), '{"a":true,"b":[1,{"c":"x","d":null}]}')
    assert.strictEqual(
      canonical(JSON.parse('{"z":1,"é":2,"A":3,"\u{1f4a9}":4,"\\ufb01":5}')),
      '{"A":3,"z":1,"é":2,"\u{1f4a9}":4,"\ufb01":5}'
    )
    assert.strictEqual(canonical(-0), "0")
    const texts = [1, "1", [1], ["1"], { a: 1 }, { a: "1" }, [[1]], null, "null", true, "", [], {}].map(canonical)
    assert.lengthOf(new Set(texts), texts.length)
  })

  it("does not exist for what JSON would change or lose", () => {
    const deep = JSON.parse(`${"[".repeat(20)}${"]".repeat(20)}`)
    for (const odd of [0.5, Number.NaN, 2 ** 53, undefined, { a: undefined }, new Date(0), () => 1, 1n, deep]) {
      assert.throws(() => canonical(odd))
    }
  })
})

describe("an approval", () => {
  const approval = approve(order, "ada", 1764513660, privateKey)

  it("holds for the order, the person and the moment that were signed, and for nothing else", () => {
    assert.isTrue(holds(order, approval, publicKey))
    const other = rawPublicKeyOf(generateKeyPairSync("ed25519").privateKey)
    assert.isFalse(holds(order, approval, other))
    assert.isFalse(holds(order, { ...approval, key: keyIdOf(other) }, other))
    assert.isFalse(holds(order, { ...approval, by: "eve" }, publicKey))
    assert.isFalse(holds(order, { ...approval, expires: approval.expires + 1 }, publicKey))
    for (const changed of [
      { ...order, server: "web-2" },
      { ...order, verb: "kill" as const },
      { ...order, reason: "" },
      { ...order, nonce: "AAECAwQFBgcICQoLDA0OAA" },
      { ...order, target: { ...order.target, pid: 1 } },
      { ...order, target: { ...order.target, start_ticks: 0 } },
      { ...order, boot_id: order.id }
    ]) {
      assert.isFalse(holds(changed as Order, approval, publicKey), JSON.stringify(changed))
    }
  })

  it("holds with no other signature, whatever its bytes", () => {
    for (let at = 0; at < 64; at++) {
      const bytes = Buffer.from(approval.signature, "base64url")
      bytes[at]! ^= 1
      assert.isFalse(holds(order, { ...approval, signature: bytes.toString("base64url") }, publicKey), `byte ${at}`)
    }
    for (const signature of ["", "A".repeat(86), "\u0000", "A".repeat(100_000)]) {
      assert.isFalse(holds(order, { ...approval, signature }, publicKey))
    }
    assert.isFalse(holds(order, approval, new Uint8Array(31)))
  })

  it("is of a key of 32 bytes, in base64 or base64url, with which not everybody can sign", () => {
    const raw = Buffer.from(publicKey)
    assert.deepStrictEqual(publicKeyOf(raw.toString("base64")), raw)
    assert.deepStrictEqual(publicKeyOf(raw.toString("base64url")), raw)
    const small = (hex: string) => Buffer.from(hex, "hex").toString("base64")
    for (const odd of [
      "",
      "x",
      `${raw.toString("base64")} `,
      raw.toString("hex"),
      raw.subarray(1).toString("base64"),
      small("00".repeat(32)),
      small(`${"00".repeat(31)}80`),
      small(`01${"00".repeat(31)}`),
      small(`ec${"ff".repeat(31)}`),
      small("26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc85")
    ]) {
      assert.isUndefined(publicKeyOf(odd), odd)
    }
    // For a point of small order, this signature holds for one message in eight and for each where the point is the identity.
    const identity = Buffer.from(`01${"00".repeat(31)}`, "hex")
    const forged = Buffer.from(`01${"00".repeat(63)}`, "hex").toString("base64url")
    assert.isFalse(holds(order, { by: "eve", expires: 1, key: keyIdOf(identity), signature: forged }, identity))
  })
})

describe("what travels between a server and a host that acts", () => {
  const signed = { order, approvals: [approve(order, "ada", 1764513660, privateKey)] }

  it("is read as it was written", () => {
    for (const one of [signed, { order: unitOrder, approvals: [] }]) {
      assert.deepStrictEqual(Result.getOrThrow(decoded(JSON.parse(JSON.stringify(one)))), one)
    }
  })

  it("asks every verb of a process or of a unit, and tells which are taken back", () => {
    const isProcess = (verb: string) => PROCESS_VERBS.some((one) => one === verb)
    const isReverted = (verb: string) => REVERTED_VERBS.some((one) => one === verb)
    const limits = { nice: 19, io: "idle", weight: ORDER_LIMITS.weight, percent: ORDER_LIMITS.quotaPercent }
    const all = { ...limits, bytes: ORDER_LIMITS.memoryBytesLeast, minutes: ORDER_LIMITS.minutes }
    const own = {
      ...{ nice: ["nice", "io"], weight: ["weight"], quota: ["percent"], memory_high: ["bytes"] },
      ...{ terminate: [], restart: [], kill: [] }
    }
    for (const verb of VERBS) {
      const keys = [...own[verb], ...(isReverted(verb) ? ["minutes"] : [])] as ReadonlyArray<keyof typeof all>
      const settings = Object.fromEntries(keys.map((key) => [key, all[key]]))
      const of = (target: object) => decoded({ order: { ...order, verb, target, settings }, approvals: [] })
      assert.strictEqual(Result.isSuccess(of(order.target)), isProcess(verb), verb)
      assert.strictEqual(Result.isSuccess(of(unitOrder.target)), !isProcess(verb), verb)
    }
  })

  it("is refused where a field is missing, unknown, of another kind or too large", () => {
    const without = (key: keyof Order) => ({ ...order, [key]: undefined })
    for (const odd of [
      null,
      [],
      {},
      ...(Object.keys(order) as ReadonlyArray<keyof Order>).map(without),
      { ...order, version: 2 },
      { ...order, id: order.id.toUpperCase() },
      { ...order, verb: "exec" },
      { ...order, command: "sh" },
      { ...order, settings: { signal: 9 } },
      ...[[], "", 5, null].map((settings) => ({ ...order, settings })),
      { ...order, target: { ...order.target, signal: 9 } },
      { ...order, target: unitOrder.target },
      { ...order, target: { ...order.target, pid: 0 } },
      { ...order, target: { ...order.target, pid: -1 } },
      { ...order, target: { ...order.target, pid: 1.5 } },
      { ...order, target: { ...order.target, pid: "4711" } },
      { ...order, target: { ...order.target, name: "x".repeat(97) } },
      { ...order, target: { ...order.target, name: "a\u001b[2J" } },
      { ...order, reason: "" },
      { ...order, reason: "x".repeat(501) },
      { ...order, reason: "paid\u202etxt" },
      { ...order, nonce: "AAECAwQFBgcICQoLDA0ODx" },
      { ...order, server: "x".repeat(257) },
      { ...unitOrder, target: order.target },
      { ...unitOrder, target: { ...unitOrder.target, unit: "a/../b.service" } },
      { ...unitOrder, target: { ...unitOrder.target, unit: "a b.service" } },
      { ...unitOrder, target: { ...unitOrder.target, unit: "-.slice" } },
      { ...unitOrder, target: { ...unitOrder.target, unit: `${"x".repeat(255)}.service` } },
      { ...unitOrder, settings: { percent: 0, minutes: 1 } },
      { ...unitOrder, settings: { percent: 20, minutes: 241 } },
      { ...unitOrder, settings: { percent: 20 } }
    ]) {
      assert.isTrue(Result.isFailure(decoded({ order: odd, approvals: [] })), JSON.stringify(odd))
    }
    const [approval] = signed.approvals
    for (const approvals of [undefined, {}, Array(5).fill(approval), [{ ...approval, extra: 1 }], [{ by: "ada" }]]) {
      assert.isTrue(Result.isFailure(decoded({ order, approvals })))
    }
  })

  it("reads what a poll says and what answers it, and takes no more than it may hold", () => {
    const poll = {
      ...{ version: 1, server: "web-1", boot_id: order.boot_id, wait_seconds: 20, rules_digest: keyIdOf(publicKey) },
      ...{ rules: [], approvers: [{ name: "ada", role: "admin", key: keyIdOf(publicKey) }], previews: [] },
      outcomes: [
        {
          ...{ id: order.id, order: order.id, result: "refused", code: "expired" },
          ...{ message: "its approval is too old", at: 1, by: [], reverts_at: null }
        }
      ]
    }
    assert.isTrue(Result.isSuccess(Schema.decodeUnknownResult(Poll, STRICT)(poll)))
    const many = { ...poll, outcomes: Array(33).fill(poll.outcomes[0]) }
    assert.isTrue(Result.isFailure(Schema.decodeUnknownResult(Poll, STRICT)(many)))
    assert.isTrue(
      Result.isFailure(Schema.decodeUnknownResult(Outcome, STRICT)({ ...poll.outcomes[0], code: "because" }))
    )
    const answer = { version: 1, server: "web-1", previews: [{}, 1], orders: ["odd"], recorded: [order.id] }
    assert.isTrue(Result.isSuccess(Schema.decodeUnknownResult(PollAnswer, STRICT)(answer)))
    assert.isTrue(
      Result.isFailure(Schema.decodeUnknownResult(PollAnswer, STRICT)({ ...answer, orders: Array(9).fill(1) }))
    )
    const asked = Schema.decodeUnknownResult(PreviewRequest, STRICT)
    for (const target of [{ unit: "a.service" }, { pid: 1 }, { group: "nginx" }]) {
      assert.isTrue(Result.isSuccess(asked({ id: order.id, target })))
    }
    assert.isTrue(Result.isFailure(asked({ id: order.id, target: { unit: "a.service", pid: 1 } })))
    assert.isTrue(Result.isSuccess(Schema.decodeUnknownResult(Order, STRICT)(unitOrder)))
  })
})
