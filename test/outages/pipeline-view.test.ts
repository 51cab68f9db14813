/** `GET /api/pipeline` shows every fiber and every bound, and its numbers balance: under load, during failures and after. */
import { assert } from "@effect/vitest"
import { Effect } from "effect"
import { httpPeer } from "../../agent/scrape/HttpPeer.fixture.ts"
import config from "../../plugins.config.ts"
import { processExporter } from "../../src/plugins/process-exporter/ProcessExporter.ts"
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

const EXPOSITION = `namedprocess_namegroup_cpu_seconds_total{groupname="nginx",mode="user"} 1
namedprocess_namegroup_memory_bytes{groupname="nginx",memtype="resident"} 4096
namedprocess_namegroup_num_procs{groupname="nginx"} 1
`

interface Stage {
  readonly stage: string
  readonly received: number
  readonly passed: number
  readonly rejected: number
  readonly kept: number
  readonly inHand: number
  readonly retries: number
  readonly perSecond: Readonly<Record<"received" | "passed" | "rejected" | "overSeconds", number>> | null
  readonly lastError: { readonly at: number; readonly reason: string } | null
  readonly mailbox: { readonly depth: number; readonly capacity: number; readonly highWater: number } | null
}
interface Child {
  readonly name: string
  readonly state: string
  readonly since: number
  readonly restarts: number
  readonly lastError: { readonly at: number; readonly reason: string } | null
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
const childOf = (tree: Tree, name: string) => tree.children.find((child) => child.name === name)!
const stageOf = (tree: Tree, name: string) => tree.stages!.find(({ stage }) => stage === name)!
const namesOf = (tree: Tree) => tree.children.map(({ name }) => name)

/** Every number of the tree that can be checked. */
const check = (tree: Tree): void => {
  for (const child of tree.children) {
    assert.isString(child.state)
    // What has not begun yet has no moment at which it did.
    if (child.state !== "starting") assert.isAbove(child.since, 0, child.name)
    assert.isAtLeast(child.restarts, 0)
    if (child.tree !== null) check(child.tree)
  }
  for (const { inHand, kept, mailbox, passed, perSecond, received, rejected, stage } of tree.stages ?? []) {
    assert.strictEqual(received, passed + rejected + kept + inHand, stage)
    if (perSecond !== null) {
      assert.isAtLeast(perSecond.overSeconds, 1, stage)
      for (const name of ["received", "passed", "rejected"] as const) assert.isAtLeast(perSecond[name], 0, stage)
    }
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
        assert.includeMembers([...namesOf(tree)], ["digest", "retention", "roll-ups", "http", "rates", "agent"])
        const exporters = config.exporters.map(({ name }) => name)
        // One that needs something switched on has no scraper until somebody asks for it.
        const scraped = config.exporters.filter(({ scrape }) => !scrape.optIn).map(({ name }) => name)
        assert.includeMembers(
          [...namesOf(below(tree, "digest"))],
          [
            "producer",
            "processor",
            ...exporters.flatMap((name) => [`batcher:${name}`, `writer:${name}#1`, `writer:${name}#2`]),
            "rejecter"
          ]
        )
        assert.includeMembers([...namesOf(below(tree, "agent"))], [...scraped.map((name) => `scrape:${name}`), "push"])
        // What waits before each stage and what may; the agent's push has its spool.
        for (const { mailbox, stage } of below(tree, "digest").stages!) {
          assert.strictEqual(mailbox === null, stage === "producer", stage)
        }
        assert.deepStrictEqual(
          below(tree, "agent").stages!.map(({ stage }) => stage),
          [...scraped.map((name) => `scrape:${name}`), "spool", "push"]
        )
        assert.isAbove(stageOf(below(tree, "agent"), "push").mailbox!.capacity, 1_000_000)

        // This machine's own rows pass: what the agent says it delivered, digest has accepted.
        yield* eventually("the agent delivers", look(url), (tree) => {
          check(tree)
          const { passed, received } = stageOf(below(tree, "agent"), "push")
          return passed > 0 && passed === received && below(tree, "digest").books!.accepted >= passed
        })

        // Under load, and while nothing can be written, it balances at every look.
        yield* query(
          postgres,
          "create function admiral.full() returns trigger language plpgsql as $$ begin raise exception 'full' using errcode = '53100'; end $$"
        )
        yield* query(
          postgres,
          "create trigger full_disk before insert on admiral.process_snapshots_scrapes for each statement execute function admiral.full()"
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
        yield* query(postgres, "drop trigger full_disk on admiral.process_snapshots_scrapes")
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
        // All of it came within the last minute.
        const { perSecond } = stageOf(below(after, "digest"), `writer:${exporter}`)
        assert.isAtLeast(perSecond!.passed * perSecond!.overSeconds, 490)
      })
  )

  promise("tells of a scrape that failed and of one that died, also when they are well again", ({ postgres, valkey }) =>
    Effect.gen(function* () {
      const [well, ill, mortal] = [0, 1, 2]
      let scrapes = 0
      const peer = yield* httpPeer((_, response, index) => {
        if (index === ill) response.writeHead(500).end()
        else response.end(EXPOSITION)
      })
      const options = { endpoint: peer.url, interval: "1 second", timeout: "500 millis" } as const
      const whole = processExporter(options)
      const exporters = [
        {
          ...whole,
          parse: (...args: Parameters<typeof whole.parse>) => {
            // The one that is refused never comes here.
            if (scrapes++ === mortal - 1) throw new Error("a plugin with a fault")
            return whole.parse(...args)
          }
        }
      ]
      const { url } = yield* startServer(postgres, valkey, { agent: true, exporters })
      yield* ready(url)
      const name = `scrape:${whole.name}`
      const tree = yield* eventually("all of it has happened", look(url), (tree) => {
        check(tree)
        return (
          tree.children.some((child) => child.name === "agent") &&
          childOf(below(tree, "agent"), name).restarts > 0 &&
          stageOf(below(tree, "agent"), name).passed >= 3
        )
      })
      assert.isAbove(peer.requests.length, mortal + well)
      const child = childOf(below(tree, "agent"), name)
      assert.deepInclude(child, { state: "running", restarts: 1 })
      assert.strictEqual(child.lastError?.reason, "a plugin with a fault")
      const stage = stageOf(below(tree, "agent"), name)
      assert.strictEqual(stage.retries, 1)
      assert.match(stage.lastError?.reason ?? "", /HTTP 500/)
      assert.isAbove(stage.lastError?.at ?? 0, 0)
    })
  )
})
