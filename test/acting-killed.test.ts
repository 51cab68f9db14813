/**
 * Server and host as real programs, either of them ended by SIGKILL at any moment while an order is on its way: it is carried out once or
 * not at all, and what the server has of it is what the host's journal has.
 */
import { type ChildProcess, spawn } from "node:child_process"
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { assert, layer } from "@effect/vitest"
import { Effect, Redacted } from "effect"
import type { Order, Outcome, Preview } from "../src/protocol/Orders.ts"
import { orderFor, person, signed } from "./ActingWorld.ts"
import { claimPort } from "./Ports.ts"
import * as TestDatabase from "./TestDatabase.ts"

const main = fileURLToPath(new URL("../src/main.ts", import.meta.url))
const ADMIN = "an-admin-token-for-tests"
const ROUNDS = 4
const ada = person("ada")

/** A program that is started again where it was ended. */
const program = (args: ReadonlyArray<string>, env: Readonly<Record<string, string>>) =>
  Effect.acquireRelease(
    Effect.sync(() => {
      const start = () => spawn(process.execPath, [main, ...args], { env: { ...process.env, ...env }, stdio: "ignore" })
      let child: ChildProcess = start()
      return {
        end: () => child.kill("SIGKILL"),
        again: () => {
          child.kill("SIGKILL")
          child = start()
        }
      }
    }),
    ({ end }) => Effect.sync(end)
  )

interface Journal {
  readonly intents: ReadonlyArray<string>
  readonly outcomes: ReadonlyArray<Outcome>
}

const journalIn = (folder: string): Journal => {
  const file = join(folder, "state", "journal")
  const lines = existsSync(file) ? readFileSync(file, "utf8").split("\n").slice(0, -1) : []
  const read = lines.map((line) => JSON.parse(line) as { kind: string; order?: Order; outcome?: Outcome })
  return {
    intents: read.flatMap(({ kind, order }) => (kind === "intent" ? [order!.id] : [])),
    outcomes: read.flatMap(({ outcome }) => outcome ?? [])
  }
}

/** A process that writes a line for each SIGTERM, and lives on. */
const stubborn = (folder: string, n: number) =>
  Effect.acquireRelease(
    Effect.sync(() => {
      const file = join(folder, `terms-${n}`)
      const script = `trap 'echo x >> ${file}' TERM; while :; do sleep 0.1; done`
      const child = spawn("/bin/sh", ["-c", script], { stdio: "ignore", detached: true })
      return {
        pid: child.pid!,
        child,
        terms: () => (existsSync(file) ? readFileSync(file, "utf8").split("\n").length - 1 : 0)
      }
    }),
    ({ child }) => Effect.sync(() => child.kill("SIGKILL"))
  )

const world = Effect.gen(function* () {
  const { url: database } = yield* TestDatabase.TestDatabase
  const folder = yield* Effect.acquireRelease(
    Effect.sync(() => mkdtempSync(join(tmpdir(), "nodepulse-acting-"))),
    (path) => Effect.sync(() => rmSync(path, { recursive: true, force: true }))
  )
  const url = `http://127.0.0.1:${yield* Effect.promise(claimPort)}`
  const server = yield* program(["server"], {
    DATABASE_URL: Redacted.value(database),
    NODEPULSE_PORT: new URL(url).port,
    NODEPULSE_DATA_DIR: join(folder, "data"),
    NODEPULSE_ADMIN_TOKEN: ADMIN
  })
  /** Asks until the server answers: it may be starting. */
  const ask = (method: string, path: string, body?: unknown) =>
    Effect.promise(async () => {
      for (;;) {
        try {
          const headers = { authorization: `Bearer ${ADMIN}`, "content-type": "application/json" }
          const answer = await fetch(`${url}${path}`, {
            method,
            headers,
            ...(body === undefined ? {} : { body: JSON.stringify(body) })
          })
          // biome-ignore lint/suspicious/noExplicitAny: tests look into answers of every shape
          const json: any = await answer.json()
          if (answer.status < 500) return json
        } catch {
          // Nobody listens, or no more.
        }
        await new Promise((resolve) => setTimeout(resolve, 100))
      }
    })
  const { server_id, token } = yield* ask("POST", "/api/servers", { name: "web-1" })
  const write = (name: string, text: string) => {
    writeFileSync(join(folder, name), text, { mode: 0o600 })
    return join(folder, name)
  }
  const config = write("nodepulse.yml", `server:\n  url: ${url}\n  token_file: ${write("token", token)}\n`)
  const file = write(
    "hands.yml",
    `server_id: ${server_id}\napprovers:\n  - {name: ada, role: operator, key: "${ada.publicKey}"}\nallow:\n  - {verbs: [terminate], names: [sh], per_hour: 100}\n`
  )
  const hands = yield* program(["hands", "--file", file, "--config", config, "--state", join(folder, "state")], {})
  return { ask, folder, hands, server, server_id: server_id as string }
})

type World = Effect.Success<typeof world>

/** Looks every tenth of a second. */
const until = <A>(look: Effect.Effect<A>, isSo: (found: A) => boolean) =>
  Effect.gen(function* () {
    for (;;) {
      const found = yield* look
      if (isSo(found)) return found
      yield* Effect.sleep("100 millis")
    }
  })

/** The order to end a process, as its host's preview offers it. */
const offered = Effect.fnUntraced(function* ({ ask, server_id }: World, pid: number) {
  const { preview_id } = yield* ask("POST", `/api/servers/${server_id}/previews`, { target: { pid } })
  const { preview } = yield* until(
    ask("GET", `/api/previews/${preview_id}`),
    ({ state }) => state === "answered" || state === "expired"
  )
  if (preview === null) return undefined
  const { boot_id, offers } = preview as Preview
  assert.isNull(offers[0]?.refusal ?? null, JSON.stringify(preview))
  return { preview_id, order: orderFor(server_id, { boot_id, target: offers[0]!.target } as Partial<Order>) }
})

const round = Effect.fnUntraced(function* (world: World, n: number) {
  const { ask, folder, hands, server, server_id } = world
  const { pid, terms } = yield* stubborn(folder, n)
  let made: Effect.Success<ReturnType<typeof offered>>
  while (made === undefined) made = yield* offered(world, pid)
  const { order, preview_id } = made
  yield* ask("POST", `/api/servers/${server_id}/orders`, { preview_id, order, approval: signed(order, ada) })
  // One is ended at once, one while the other acts, one when all may be over.
  yield* Effect.sleep(Math.floor(Math.random() * 2_500))
  const victim = n % 2 === 0 ? hands : server
  victim.again()
  const shown = `/api/orders/${order.id}`
  // What its host has intended it tells; what it has not was lost on its way, or expired.
  const settled = yield* until(
    ask("GET", shown),
    ({ state }) => !["approved", "sent"].includes(state) || (state === "sent" && isLost(folder, order.id))
  )
  const { intents, outcomes } = journalIn(folder)
  const told = outcomes.filter(({ order: of }) => of === order.id)
  const what = `round ${n}: ${settled.state}, ${JSON.stringify(told)}`
  assert.isAtMost(terms(), 1, what)
  if (!intents.includes(order.id)) {
    assert.deepStrictEqual([terms(), told, settled.outcome], [0, [], null], what)
    return
  }
  const { outcome } = yield* until(ask("GET", shown), (found) => found.outcome !== null)
  assert.deepStrictEqual([outcome], told, what)
  if (outcome.result !== "interrupted") assert.strictEqual(terms(), 1, what)
})

/** Sent a while ago, and the host that asks again has no word of it. */
const lostSince = new Map<string, number>()
const isLost = (folder: string, orderId: string): boolean => {
  if (journalIn(folder).intents.includes(orderId)) return false
  const since = lostSince.get(orderId) ?? performance.now()
  lostSince.set(orderId, since)
  return performance.now() - since > 20_000
}

layer(TestDatabase.layer, { excludeTestServices: true, timeout: "5 minutes" })("an order on its way", (it) => {
  it.effect(
    "is carried out once or not at all, and both sides say the same, whoever of them is killed when",
    () =>
      Effect.gen(function* () {
        const made = yield* world
        for (let n = 0; n < ROUNDS; n++) yield* Effect.scoped(round(made, n))
        const { orders } = yield* made.ask("GET", "/api/orders")
        assert.strictEqual(orders.length, ROUNDS)
      }).pipe(Effect.scoped),
    280_000
  )
})
