import { randomUUID } from "node:crypto"
import { readFileSync, rmSync, statSync, truncateSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import type { Outcome } from "../../src/protocol/Orders.ts"
import { folder, processes, sleeper, terminating } from "./HandsWorld.fixture.ts"
import { OrderJournal } from "./OrderJournal.ts"

const refusal = (): Outcome => ({
  ...{ id: randomUUID(), order: null, result: "refused", code: "malformed", message: "x".repeat(500), at: 0 },
  ...{ by: [], reverts_at: null }
})

describe("the journal of a host that acts", () => {
  it.live("lets at most one of two programs act, and none once somebody else has changed it", () =>
    Effect.gen(function* () {
      const { pid } = yield* sleeper()
      const intent = () => ({ order: terminating(pid!), by: ["ada"], rule: "r", at: 0, up: 0 })
      for (const change of [
        (path: string) => new OrderJournal(join(path, ".."), processes.bootId()).intend(intent()),
        (path: string) => truncateSync(path, 0),
        (path: string) => rmSync(path),
        (path: string) => {
          const text = readFileSync(path)
          rmSync(path)
          writeFileSync(path, text)
        }
      ]) {
        const at = yield* folder
        const journal = new OrderJournal(at, processes.bootId())
        journal.intend(intent())
        change(join(at, "journal"))
        assert.throws(() => journal.intend(intent()), "changed by somebody else")
        journal.close()
      }
    })
  )

  it.live("stays bounded where a server never records anything, and begins anew while it is open", () =>
    Effect.gen(function* () {
      const at = yield* folder
      const path = join(at, "journal")
      writeFileSync(path, `${"x".repeat(8_387_000)}\n`)
      const { pid } = yield* sleeper()
      const journal = new OrderJournal(at, processes.bootId())
      const order = terminating(pid!)
      journal.intend({ order, by: ["ada"], rule: "r", at: 0, up: 0 })
      const refusals = Array.from({ length: 1_100 }, refusal)
      for (const [index, one] of refusals.entries()) journal.conclude(one, index * 20)
      assert.strictEqual(journal.unsent()[0]?.id, refusals[100]?.id)
      assert.isBelow(statSync(path).size, 1_000_000)
      journal.close()
      // What counts is in the new file.
      const again = new OrderJournal(at, processes.bootId())
      assert.isTrue(again.hasSeen(order))
      assert.deepStrictEqual(
        again.interrupted.map((one) => one.order.id),
        [order.id]
      )
      assert.strictEqual(again.unsent()[0]?.id, refusals[100]?.id)
      again.close()
    })
  )
})
