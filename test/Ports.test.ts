/** Ports that tests are given: each to one, also among processes. */
import { execFile } from "node:child_process"
import { type AddressInfo, createServer, type Server } from "node:net"
import { join } from "node:path"
import { promisify } from "node:util"
import { expect, test } from "vitest"
import { claimPort } from "./Ports.ts"

const MANY = 300

/** Those that another process is given while this one has its own. */
const ofAnotherProcess = async (): Promise<ReadonlyArray<number>> => {
  const program = `const { claimPort } = await import(${JSON.stringify(join(import.meta.dirname, "Ports.ts"))})
    const ports = []
    for (let n = 0; n < ${MANY}; n++) ports.push(await claimPort())
    console.log(JSON.stringify(ports))`
  const { stdout } = await promisify(execFile)(process.execPath, ["--input-type=module", "--eval", program])
  return JSON.parse(stdout)
}

test("a port is given to one test only, in whichever process it is", async () => {
  const own: Array<number> = []
  for (let n = 0; n < MANY; n++) own.push(await claimPort())
  const all = [...own, ...(await ofAnotherProcess())]
  expect(all).toHaveLength(2 * MANY)
  expect(new Set(all).size).toBe(2 * MANY)
})

test("a port is none that somebody listens on, nor one that connections are given", async () => {
  const taken = await Promise.all(
    Array.from(
      { length: 500 },
      (_, n) =>
        new Promise<Server | undefined>((resolve) => {
          const server = createServer().once("error", () => resolve(undefined))
          server.listen(20_000 + n * 20, "127.0.0.1", () => resolve(server))
        })
    )
  )
  const ports = new Set(taken.map((server) => (server?.address() as AddressInfo | null | undefined)?.port))
  try {
    for (let n = 0; n < MANY; n++) {
      const port = await claimPort()
      expect(ports).not.toContain(port)
      expect(port).toBeLessThan(32_768)
    }
  } finally {
    for (const server of taken) server?.close()
  }
})
