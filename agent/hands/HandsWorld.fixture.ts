/**
 * A host that acts, for tests: two people with keys, a file that allows, a state folder, and processes of this machine that are asked to
 * end. systemd is played by {@link FakeSystemd}; the real one is in `test/roles/Hands.roles.ts`.
 */
import { type ChildProcess, spawn } from "node:child_process"
import { generateKeyPairSync, type KeyObject, randomBytes, randomUUID } from "node:crypto"
import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { Clock, Effect, Result } from "effect"
import { approve, rawPublicKeyOf } from "../../src/protocol/Approvals.ts"
import type { Approval, Order, ProcessTarget, SignedOrder } from "../../src/protocol/Orders.ts"
import { ORDER_LIMITS } from "../../src/protocol/OrderText.ts"
import { namesByComm } from "../collector/names/ProcessNames.ts"
import { type HandsFile, readHandsFile } from "./HandsFile.ts"
import { makeHandsHost } from "./HandsHost.ts"
import { HostProcesses } from "./HostProcesses.ts"

export const processes = new HostProcesses()

export interface Person {
  readonly name: string
  readonly key: KeyObject
  /** As it stands in the file. */
  readonly publicKey: string
}

export const person = (name: string): Person => {
  const key = generateKeyPairSync("ed25519").privateKey
  return { name, key, publicKey: Buffer.from(rawPublicKeyOf(key)).toString("base64") }
}

export const ada = person("ada")
export const bob = person("bob")
export const eve = person("eve")

/** A folder that is gone after the test. */
export const folder = Effect.acquireRelease(
  Effect.sync(() => mkdtempSync(join(tmpdir(), "nodepulse-hands-"))),
  (path) => Effect.sync(() => rmSync(path, { recursive: true, force: true }))
)

export const approvers = `approvers:
  - {name: ada, role: admin, key: "${ada.publicKey}"}
  - {name: bob, role: operator, key: "${bob.publicKey}"}
`

/** Writes the file, and reads it as the program does. */
export const fileOf = (at: string, allow: string): HandsFile => {
  const path = join(at, "hands.yml")
  writeFileSync(path, `server_id: web-1\n${approvers}allow:\n${allow}`, { mode: 0o600 })
  return Result.getOrThrow(readHandsFile(path))
}

export const hostIn = (at: string) => makeHandsHost(join(at, "state"), namesByComm)

/** A process of this machine that does nothing, and ends when the scope does; there when it is called by the name, if one is given. */
export const sleeper = (script = "exec sleep 300", name = script === "exec sleep 300" ? "sleep" : undefined) =>
  Effect.acquireRelease(
    Effect.promise(async () => {
      const child = spawn("/bin/sh", ["-c", script], { stdio: "ignore", detached: true })
      await new Promise((resolve) => child.once("spawn", resolve))
      await waitUntil(() => name === undefined || processes.of(child.pid!)?.name === name)
      return child
    }),
    (child: ChildProcess) => Effect.sync(() => child.kill("SIGKILL"))
  )

/** Looks again every few real milliseconds; what must come does come, or the test's own time-out ends it. */
export const waitUntil = async (isSo: () => boolean): Promise<void> => {
  while (!isSo()) await new Promise((resolve) => setTimeout(resolve, 5))
}

export const targetOf = (pid: number): ProcessTarget => {
  const seen = processes.of(pid)
  if (seen === undefined) throw new Error(`there is no process ${pid}`)
  return { pid, start_ticks: seen.startTicks, name: seen.name }
}

export const orderOf = (more: Pick<Order, "verb" | "target" | "settings"> & Partial<Order>): Order =>
  ({
    ...{ version: 1, id: randomUUID(), server: "web-1", boot_id: processes.bootId(), reason: "it burns" },
    nonce: randomBytes(16).toString("base64url"),
    ...more
  }) as Order

export const terminating = (pid: number, more: Partial<Order> = {}): Order =>
  orderOf({ verb: "terminate", target: targetOf(pid), settings: {}, ...more } as never)

/** Signed by these, now. */
export const signed = Effect.fnUntraced(function* (order: Order, ...people: ReadonlyArray<Person>) {
  const now = Math.floor((yield* Clock.currentTimeMillis) / 1_000)
  const approvals = people.map(
    ({ key, name }): Approval => approve(order, name, now + ORDER_LIMITS.approvalSeconds, key)
  )
  const signedOrder: SignedOrder = { order, approvals }
  return signedOrder
})
