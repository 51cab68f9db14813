/** An HTTP server on the loopback address that hears whole requests, and ends with the scope. */
import { createServer, type IncomingMessage, type ServerResponse } from "node:http"
import { Effect } from "effect"

/** Its address, without a slash at the end. */
export const hookServer = Effect.fnUntraced(function* (
  heard: (request: IncomingMessage, body: string, response: ServerResponse) => void
) {
  const server = createServer((request, response) => {
    const chunks: Array<Buffer> = []
    request.on("data", (chunk: Buffer) => chunks.push(chunk))
    request.on("end", () => heard(request, Buffer.concat(chunks).toString(), response))
  })
  yield* Effect.acquireRelease(
    Effect.callback<void>((resume) => void server.listen(0, "127.0.0.1", () => resume(Effect.void))),
    () =>
      Effect.sync(() => {
        server.closeAllConnections()
        server.close()
      })
  )
  const address = server.address()
  return `http://127.0.0.1:${typeof address === "object" && address !== null ? address.port : 0}`
})
