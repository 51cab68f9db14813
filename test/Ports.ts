/**
 * A port of 127.0.0.1 for a program that a test starts and that cannot be told to take any, or that has to come back at the same one.
 *
 * Listening on port 0 and closing again is not enough: until the program listens, the system may give the same port to another
 * test's server, or to any connection that goes out. A client that asks an address again and again before anybody listens there can even be
 * connected to itself. So ports are taken from below those that the system gives to whoever does not ask for one, and each is claimed by a
 * name that only one process of the machine can have. The claim ends with the process, however it ends.
 */
import { createServer, type ListenOptions, type Server } from "node:net"
import { Effect } from "effect"

/** Linux gives 32 768 and above to connections that go out; browsers refuse none of these. */
const FIRST = 20_000
const COUNT = 10_000

const listening = (where: ListenOptions): Promise<Server | undefined> =>
  new Promise((resolve) => {
    const server = createServer()
    server.once("error", () => resolve(undefined))
    server.listen(where, () => resolve(server))
  })

/** A name without a file, known to this machine's network as ports are; other systems than Linux have none. */
const claim = async (port: number): Promise<boolean> => {
  if (process.platform !== "linux") return true
  const claimed = await listening({ path: `\0nodepulse-test-port-${port}` })
  claimed?.unref()
  return claimed !== undefined
}

/** For tests that are promises. */
export const claimPort = async (): Promise<number> => {
  for (let tries = 0; tries < COUNT; tries++) {
    const port = FIRST + Math.floor(Math.random() * COUNT)
    if (!(await claim(port))) continue
    const probe = await listening({ port, host: "127.0.0.1" })
    if (probe === undefined) continue
    await new Promise((resolve) => probe.close(resolve))
    return port
  }
  throw new Error(`no port from ${FIRST} to ${FIRST + COUNT - 1} of 127.0.0.1 is free`)
}

/** A port that nobody listens on and no other test is given. */
export const freePort: Effect.Effect<number> = Effect.promise(claimPort)
