/** `GET /api/pipeline` shows every fiber and every bound, and its numbers balance: under load, during failures and after. */
import { assert } from "@effect/vitest"
import { Effect } from "effect"
import config from "../../plugins.config.ts"
import { describeValkey } from "../TestValkey.ts"
import {
  allStored,
  ask,
  eventually,
  exporter,
  postScrape,
  promise,
  query,
  ready,
  register,
  startServer
} from "./World.ts"

interface Stage {
  readonly stage: string
  readonly received: number
  readonly passed: number
  readonly rejected: number
  readonly kept: number
  readonly inHand: number
  readonly retries: number
  readonly lastError: { readonly reason: string } | null
  readonly mailbox: { readonly depth: number; readonly capacity: number; readonly highWater: number } | null
}
interface Child {
  readonly name: string
  readonly state: string
  readonly since: number
  readonly restarts: number
  readonly lastError: unknown
  readonly tree: Tree | null
}
interface Tree {
  readonly name: string
  readonly children: ReadonlyArray<Child>
  readonly stages?: ReadonlyArray<Stage>
  readonly books?: Readonly<Record<"received" | "accepted" | "rejected" | "kept" | "inFlight", number>>
}

const look = (url: string) => Effect.map(ask("GET", `${url}/api/pipeline`), (answer) => answer!.body as Tree)
const below = (tree: Tree, name: string) => tree.children.find((child) => child.name === name)!.tree!
const namesOf = (tree: Tree) => tree.children.map(({ name }) => name)

/** Every number of the tree that can be checked. */
const check = (tree: Tree): void => {
  for (const child of tree.children) {
    assert.isString(child.state)
    assert.isAbove(child.since, 0, child.name)
    assert.isAtLeast(child.restarts, 0)
    if (child.tree !== null) check(child.tree)
  }
  for (const { inHand, kept, mailbox, passed, received, rejected, stage } of tree.stages ?? []) {
    assert.strictEqual(received, passed + rejected + kept + inHand, stage)
    if (mailbox !== null) {
      assert.isAbove(mailbox.capacity, 0, stage)
      assert.isAtMost(mailbox.depth, mailbox.highWater, stage)
      assert.isAtMost(mailbox.highWater, mailbox.capacity, stage)
    }
  }
  if (tree.books !== undefined) {
    const { accepted, inFlight, kept, received, rejected } = tree.books
    assert.strictEqual(received, accepted + rejected + kept + inFlight)
  }
}

describeValkey("the live view", () => {
  promise(
    "shows every fiber of server and agent with its bounds, and balances through a failure",
    ({ postgres, valkey }) =>
      Effect.gen(function* () {
        const { url } = yield* startServer(postgres, valkey, { agent: true })
        yield* ready(url)
        const { server_id, token } = yield* register(url, "web")
        const runs = (tree: Tree): boolean =>
          tree.children.length > 0 &&
          tree.children.every(({ state, tree }) => state === "running" && (tree === null || runs(tree)))
        const tree = yield* eventually("all runs", look(url), runs)
        assert.includeMembers([...namesOf(tree)], ["digest", "retention", "http", "agent"])
        const exporters = config.exporters.map(({ name }) => name)
        assert.includeMembers(
          [...namesOf(below(tree, "digest"))],
          [
            "producer",
            "processor",
            ...exporters.flatMap((name) => [`batcher:${name}`, `writer:${name}#1`, `writer:${name}#2`]),
            "rejecter"
          ]
        )
        assert.includeMembers(
          [...namesOf(below(tree, "agent"))],
          [...exporters.map((name) => `scrape:${name}`), "push"]
        )
        // What waits before each stage and what may; the agent's push has its spool.
        for (const { mailbox, stage } of below(tree, "digest").stages!) {
          assert.strictEqual(mailbox === null, stage === "producer", stage)
        }
        const push = below(tree, "agent").stages!.find(({ stage }) => stage === "push")!
        assert.isAbove(push.mailbox!.capacity, 1_000_000)

        // This machine's own rows pass: what the agent says it delivered, digest has accepted.
        yield* eventually("the agent delivers", look(url), (tree) => {
          check(tree)
          const { passed, received } = below(tree, "agent").stages!.find(({ stage }) => stage === "push")!
          return passed > 0 && passed === received && below(tree, "digest").books!.accepted >= passed
        })

        // Under load, and while nothing can be written, it balances at every look.
        yield* query(
          postgres,
          "create function admiral.full() returns trigger language plpgsql as $$ begin raise exception 'full' using errcode = '53100'; end $$"
        )
        yield* query(
          postgres,
          "create trigger full_disk before insert on admiral.process_snapshots_rows for each statement execute function admiral.full()"
        )
        for (let n = 0; n < 50; n++) {
          assert.strictEqual((yield* postScrape(url, token, n))!.status, 202)
          check(yield* look(url))
        }
        yield* eventually("it says what is wrong", look(url), (tree) => {
          check(tree)
          const writer = below(tree, "digest").stages!.find(({ stage }) => stage === `writer:${exporter}`)!
          return writer.retries > 0 && writer.inHand > 0 && writer.lastError?.reason.includes("53100") === true
        })
        yield* query(postgres, "drop trigger full_disk on admiral.process_snapshots_rows")
        yield* allStored(postgres, server_id, 500)
        const after = yield* eventually("nothing is under way", look(url), (tree) => {
          check(tree)
          return below(tree, "digest").books!.inFlight === 0
        })
        const { kept, rejected } = below(after, "digest").books!
        assert.deepStrictEqual({ kept, rejected }, { kept: 0, rejected: 0 })
        for (const { received, stage } of below(after, "digest").stages!) {
          if (stage === `writer:${exporter}`) assert.isAtLeast(received, 500)
        }
      })
  )
})
