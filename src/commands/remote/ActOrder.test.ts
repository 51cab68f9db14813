import { assert, describe, it } from "@effect/vitest"
import type { Order } from "../../protocol/Orders.ts"
import { isAsTyped, orderLines } from "./ActOrder.ts"

const order: Order = {
  version: 1,
  id: "0f8a2c11-0000-4000-8000-000000000001",
  server: "db-1",
  boot_id: "9a41c0de-0000-4000-8000-000000000002",
  verb: "nice",
  target: { pid: 4711, start_ticks: 5, name: "burner" },
  settings: { nice: 5, io: "idle" },
  reason: "x",
  nonce: "AAECAwQFBgcICQoLDA0ODw"
}
const ofUnit: Order = {
  ...{ ...order, verb: "restart", settings: {} },
  target: { unit: "db.service", invocation: "0123456789abcdef0123456789abcdef" }
}

describe("an order that a person is about to sign", () => {
  it("is shown by its id, whatever the server calls it: a name is never a line of its own", () => {
    const lines = orderLines(order, "web-1), boot 1\ndo       nice process 1 (idle)\u001b[2A")
    assert.lengthOf(lines.join("\n").split("\n"), 7)
    assert.match(lines[1]!, /^server {3}db-1 \(called web-1\), boot 1\\u000ado .*\\u001b\[2A\), boot 9a41/)
  })

  it("need not be looked at only where it is what the person has typed", () => {
    for (const [server, target, pid, expected] of [
      ["db-1", { pid: 4711 }, 4711, true],
      ["db-1", { group: "burner" }, undefined, true],
      ["db-1", { group: "burner" }, 4711, true],
      ["web-1", { pid: 4711 }, 4711, false],
      ["db-1", { pid: 4712 }, 4712, false],
      ["db-1", { group: "other" }, undefined, false],
      ["db-1", { unit: "burner.service" }, undefined, false]
    ] as const) {
      assert.strictEqual(isAsTyped(order, server, target, pid), expected, JSON.stringify([server, target, pid]))
    }
    assert.isTrue(isAsTyped(ofUnit, "db-1", { unit: "db.service" }, undefined))
    assert.isFalse(isAsTyped(ofUnit, "db-1", { unit: "web.service" }, undefined))
    assert.isFalse(isAsTyped(ofUnit, "db-1", { pid: 1 }, 1))
  })
})
