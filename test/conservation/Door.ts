/**
 * The judge's door: what agents push goes through it to ingest, and every push and its answer is written into the books. What else
 * they send (a recording, where the kernel of this machine has killed something) goes through it unread.
 *
 * An answer is in the books before the agent hears of it; the judge may then lose it, which is what a crash between
 * publishing and answering looks like from outside.
 */
import { Agent, createServer, type IncomingMessage, request, type ServerResponse } from "node:http"
import type { Socket } from "node:net"
import { gunzipSync } from "node:zlib"
import { Effect, type Scope } from "effect"
import type { Books, Payload, RejectedRow } from "./Books.ts"

export interface Door {
  readonly url: string
  /** Cuts all connections of agents, whatever is on its way. */
  readonly cut: () => number
  /** Loses the next so many answers of ingest: it has answered, nobody hears it. */
  readonly loseAnswers: (count: number) => void
  /** How many requests had which status; `lost`: ingest was away or died, `unheard`: its answer was lost. */
  readonly statuses: () => Readonly<Record<string, number>>
}

const PUSHES = "/metrics/prometheus"

const payloadOf = ({ headers }: IncomingMessage, body: Buffer): Payload =>
  JSON.parse((headers["content-encoding"] === "gzip" ? gunzipSync(body) : body).toString())

export const makeDoor = (options: {
  readonly books: Books
  /** Asked in turn, as a balancer does. */
  readonly ingestPorts: ReadonlyArray<number>
  /** The server that a token belongs to. */
  readonly serverOf: (token: string) => string | undefined
}): Effect.Effect<Door, never, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.callback<Door & { readonly close: () => void }>((resume) => {
      const { books } = options
      const agent = new Agent({ keepAlive: true, maxSockets: 64 })
      const sockets = new Set<Socket>()
      const statuses: Record<string, number> = {}
      let toLose = 0
      let turn = 0
      const count = (status: string) => {
        statuses[status] = (statuses[status] ?? 0) + 1
      }
      const server = createServer((incoming, outgoing) => {
        const chunks: Array<Buffer> = []
        incoming.on("error", () => {})
        incoming.on("data", (chunk: Buffer) => chunks.push(chunk))
        incoming.on("end", () => {
          const body = Buffer.concat(chunks)
          const token = /^Bearer (.+)$/.exec(incoming.headers.authorization ?? "")?.[1] ?? ""
          const id = options.serverOf(token)
          const pushed =
            incoming.url === PUSHES && id !== undefined ? { id, payload: payloadOf(incoming, body) } : undefined
          if (pushed !== undefined) books.sending(pushed.id, pushed.payload)
          const lost = () => {
            count("lost")
            outgoing.socket?.resetAndDestroy()
          }
          const onward = request(
            {
              agent,
              port: options.ingestPorts[turn++ % options.ingestPorts.length],
              host: "127.0.0.1",
              method: "POST",
              path: incoming.url,
              headers: incoming.headers
            },
            (answer) => {
              const parts: Array<Buffer> = []
              answer.on("data", (part: Buffer) => parts.push(part))
              answer.on("error", lost)
              answer.on("end", () => {
                const status = answer.statusCode ?? 0
                const text = Buffer.concat(parts)
                if (status >= 200 && status < 300 && pushed !== undefined) {
                  const { rejected } = JSON.parse(text.toString()) as { readonly rejected: ReadonlyArray<RejectedRow> }
                  books.answered(pushed.id, pushed.payload, rejected)
                }
                if (toLose > 0) {
                  toLose--
                  count("unheard")
                  outgoing.socket?.resetAndDestroy()
                  return
                }
                count(String(status))
                pass(outgoing, status, answer.headers, text)
              })
            }
          )
          onward.on("error", lost)
          onward.end(body)
        })
      })
      server.on("connection", (socket) => {
        sockets.add(socket)
        socket.on("error", () => {})
        socket.on("close", () => sockets.delete(socket))
      })
      const cut = () => {
        const open = sockets.size
        for (const socket of sockets) socket.resetAndDestroy()
        return open
      }
      server.listen(0, "127.0.0.1", () => {
        const address = server.address()
        const port = typeof address === "object" && address !== null ? address.port : 0
        resume(
          Effect.succeed({
            url: `http://127.0.0.1:${port}`,
            cut,
            loseAnswers: (answers) => {
              toLose += answers
            },
            statuses: () => statuses,
            close: () => {
              cut()
              agent.destroy()
              server.close()
            }
          })
        )
      })
    }),
    (door) => Effect.sync(door.close)
  )

const pass = (
  outgoing: ServerResponse,
  status: number,
  headers: Readonly<Record<string, string | ReadonlyArray<string> | undefined>>,
  body: Buffer
) => {
  if (outgoing.destroyed) return
  const retryAfter = headers["retry-after"]
  outgoing.writeHead(status, {
    "content-type": String(headers["content-type"] ?? "application/json"),
    "content-length": body.length,
    ...(typeof retryAfter === "string" ? { "retry-after": retryAfter } : {})
  })
  outgoing.end(body)
}
