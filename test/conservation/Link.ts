/**
 * A TCP connection that can be cut: listens on a port of its own and passes on every byte, until the judge resets the
 * connections, or holds them up as a network does that loses everything.
 */
import { connect, createServer, type Socket } from "node:net"
import { Effect, Redacted, type Scope } from "effect"

export interface Link {
  readonly port: number
  /** Resets every connection; says how many there were. */
  readonly cut: () => number
  /** Passes nothing on from now, on connections old and new; nobody is told. */
  readonly hold: () => void
  /** Resets what was held, and passes on again. */
  readonly letGo: () => void
}

/** Ends a connection at once, by a reset where it can be: only an open TCP connection knows one, a socket in a folder does not. */
const drop = (socket: Socket): void => {
  if (socket.remoteFamily === undefined) socket.destroy()
  else socket.resetAndDestroy()
}

export const makeLink = (
  target: { readonly port: number } | { readonly path: string }
): Effect.Effect<Link, never, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.callback<Link & { readonly close: () => void }>((resume) => {
      const pairs = new Set<readonly [Socket, Socket]>()
      let held = false
      const reset = () => {
        const count = pairs.size
        for (const pair of pairs) for (const socket of pair) drop(socket)
        pairs.clear()
        return count
      }
      const server = createServer({ pauseOnConnect: true }, (near) => {
        const far = connect("path" in target ? target : { ...target, host: "127.0.0.1" })
        const pair = [near, far] as const
        pairs.add(pair)
        for (const [one, other] of [
          [near, far],
          [far, near]
        ] as const) {
          one.setNoDelay(true)
          one.on("error", () => {})
          one.on("close", () => {
            pairs.delete(pair)
            if (!other.destroyed) drop(other)
          })
          one.pipe(other)
          if (held) one.pause()
        }
      })
      server.listen(0, "127.0.0.1", () => {
        const address = server.address()
        resume(
          Effect.succeed({
            port: typeof address === "object" && address !== null ? address.port : 0,
            cut: reset,
            hold: () => {
              held = true
              for (const pair of pairs) {
                for (const socket of pair) {
                  socket.unpipe()
                  socket.pause()
                }
              }
            },
            letGo: () => {
              held = false
              reset()
            },
            close: () => {
              reset()
              server.close()
            }
          })
        )
      })
    }),
    (link) => Effect.sync(link.close)
  )

/** A link to a PostgreSQL that listens in a folder or at a port, and the address that leads through it. */
export const linkToDatabase = Effect.fnUntraced(function* (url: Redacted.Redacted<string>) {
  const to = new URL(Redacted.value(url))
  const folder = decodeURIComponent(to.hostname)
  const link = yield* makeLink(
    folder.startsWith("/") ? { path: `${folder}/.s.PGSQL.${to.port}` } : { port: Number(to.port) }
  )
  to.hostname = "127.0.0.1"
  to.port = String(link.port)
  return { link, url: Redacted.make(to.href) }
})
