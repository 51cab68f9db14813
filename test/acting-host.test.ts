/**
 * The way of an order, with real programs: a person asks and signs, a server relays, a host acts. What both sides have written down
 * afterwards is the same.
 */
import { type ChildProcess, spawn } from "node:child_process"
import { generateKeyPairSync, randomBytes, randomUUID } from "node:crypto"
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterAll, beforeAll, describe, expect, test } from "vitest"
import { approve, rawPublicKeyOf } from "../src/protocol/Approvals.ts"
import type { Order, Preview } from "../src/protocol/Orders.ts"
import { type Json, type RunningServer, startServer, until } from "./roles/AgentInRoot.ts"

const main = join(import.meta.dirname, "..", "src", "main.ts")

describe("a host that acts, and its server", () => {
  let server: RunningServer
  let folder: string
  let id: string
  let hands: ChildProcess | undefined
  const victims: Array<ChildProcess> = []
  const { privateKey } = generateKeyPairSync("ed25519")

  const start = () => {
    const files = ["--file", "hands.yml", "--config", "nodepulse.yml", "--state", "state"].map((word) =>
      word.startsWith("--") ? word : join(folder, word)
    )
    hands = spawn(process.execPath, [main, "hands", ...files], { stdio: "ignore" })
  }
  const sleeper = async (): Promise<ChildProcess> => {
    const child = spawn("sleep", ["300"], { stdio: "ignore" })
    victims.push(child)
    await until("it sleeps", async () => readFileSync(`/proc/${child.pid}/comm`, "utf8") === "sleep\n", 10)
    return child
  }
  const preview = async (target: object): Promise<{ readonly preview_id: string; readonly preview: Preview }> => {
    const { body } = await server.request("POST", `/api/servers/${id}/previews`, { target })
    let found: Json
    await until(
      "the host has answered",
      async () => {
        found = await server.ask(`/api/previews/${body.preview_id}`)
        return found.state === "answered"
      },
      40
    )
    return found
  }
  const orderOf = ({ preview }: { readonly preview: Preview }): Order => {
    const { boot_id, offers } = preview
    const { target, verb } = offers.find((one) => one.verb === "terminate")!
    const nonce = randomBytes(16).toString("base64url")
    return {
      version: 1,
      id: randomUUID(),
      server: id,
      boot_id,
      verb,
      target,
      settings: {},
      reason: "it burns",
      nonce
    } as Order
  }
  const signed = (order: Order) => approve(order, "ada", Math.floor(Date.now() / 1_000) + 60, privateKey)
  const ended = async (order: Order): Promise<Json> => {
    let shown: Json
    await until(
      "the order has ended",
      async () => {
        shown = await server.ask(`/api/orders/${order.id}`)
        return !["waiting", "approved", "sent"].includes(shown.state)
      },
      60
    )
    return shown
  }

  beforeAll(async () => {
    server = await startServer()
    folder = mkdtempSync(join(tmpdir(), "nodepulse-acting-"))
    const { body } = await server.request("POST", "/api/servers", { name: "acting" })
    id = body.server_id
    const key = Buffer.from(rawPublicKeyOf(privateKey)).toString("base64")
    const put = (name: string, text: string) => writeFileSync(join(folder, name), text, { mode: 0o600 })
    put("token", body.token)
    put("nodepulse.yml", `server: {url: "${server.url}", token_file: "${join(folder, "token")}"}\n`)
    put(
      "hands.yml",
      `server_id: "${id}"\napprovers: [{name: ada, role: admin, key: "${key}"}]\nallow: [{verbs: [terminate], names: [sleep]}]\n`
    )
    start()
  }, 120_000)

  afterAll(async () => {
    hands?.kill("SIGKILL")
    for (const victim of victims) victim.kill("SIGKILL")
    await server?.stop()
    rmSync(folder, { recursive: true, force: true })
  })

  test("does what a person has seen and signed, and both sides tell the same of it", async () => {
    const victim = await sleeper()
    const seen = await preview({ pid: victim.pid })
    expect(seen.preview.offers[0]).toMatchObject({ verb: "terminate", refusal: null })
    const order = orderOf(seen)
    const { status } = await server.request("POST", `/api/servers/${id}/orders`, {
      ...{ preview_id: seen.preview_id, order, approval: signed(order) }
    })
    expect(status).toBeLessThan(300)
    const shown = await ended(order)
    expect(shown).toMatchObject({
      state: "done",
      outcome: { by: ["ada"], message: "it was sent SIGTERM and has ended" }
    })
    await until("it has ended", async () => victim.signalCode === "SIGTERM", 10)
    const journal = readFileSync(join(folder, "state", "journal"), "utf8").split("\n")
    const lines = journal.filter((line) => line !== "").map((line) => JSON.parse(line) as Json)
    expect(lines.find(({ kind }) => kind === "intent").order).toEqual(order)
    expect(lines.find(({ kind }) => kind === "outcome").outcome).toEqual(shown.outcome)
    expect(shown.events.map(({ event }: Json) => event)).toEqual(["asked", "approved", "sent", "done"])
  }, 120_000)

  test("acts on nothing for another's signature, which the server passes on, and says so on both sides", async () => {
    const victim = await sleeper()
    const seen = await preview({ pid: victim.pid })
    const order = orderOf(seen)
    const foreign = generateKeyPairSync("ed25519").privateKey
    const approval = approve(order, "ada", Math.floor(Date.now() / 1_000) + 60, foreign)
    const asked = { preview_id: seen.preview_id, order, approval }
    const { body, status } = await server.request("POST", `/api/servers/${id}/orders`, asked)
    if (status < 300) expect(await ended(order)).toMatchObject({ state: "refused", outcome: { code: "unknown-key" } })
    else expect(body).toMatchObject({ status })
    expect(victim.exitCode ?? victim.signalCode).toBeNull()
  }, 120_000)

  test("goes on after it was killed, with what it had not told yet", async () => {
    hands?.kill("SIGKILL")
    start()
    const victim = await sleeper()
    const seen = await preview({ pid: victim.pid })
    const order = orderOf(seen)
    await server.request("POST", `/api/servers/${id}/orders`, {
      preview_id: seen.preview_id,
      order,
      approval: signed(order)
    })
    // Wherever it was then: what it had begun it does not do again, and what it had not begun expires or is done once.
    await until("it has been told", async () => (await server.ask(`/api/orders/${order.id}`)).state !== "approved", 60)
    hands?.kill("SIGKILL")
    start()
    const shown = await ended(order)
    expect(["done", "interrupted", "unanswered", "failed"]).toContain(shown.state)
    const intents = readFileSync(join(folder, "state", "journal"), "utf8").split(`"kind":"intent"`).length - 1
    expect(intents).toBeLessThanOrEqual(2)
  }, 240_000)
})
