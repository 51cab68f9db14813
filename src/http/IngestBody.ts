/**
 * The body of an ingest request: collected once from Node's stream, unpacked, checked and parsed.
 *
 * Guarantee: never more bytes than the limits allow, neither as sent nor unpacked (a gzip bomb stops at its bound); the
 * text is exactly what was sent (bytes that are not UTF-8 are refused, not replaced); and what is parsed cannot cost many
 * times its size. Unpacking and parsing are synchronous: at bodies of this size that is four times cheaper than handing
 * them to a thread, and the bound on size is the bound on how long it holds up the others.
 *
 * It does not know what is in a payload (`Payload.ts`).
 */
import { isUtf8 } from "node:buffer"
import type { IncomingMessage } from "node:http"
import { gunzipSync } from "node:zlib"
import { Effect, Result } from "effect"
import type { LimitsShape } from "./Limits.ts"
import { BodyTooLarge, MalformedBody, UnsupportedMedia } from "./Problem.ts"

export type Encoding = "identity" | "gzip"

/** How the body is packed, from its headers, or why that is not supported. */
export const encodingOf = (headers: IncomingMessage["headers"]): Result.Result<Encoding, UnsupportedMedia> => {
  const contentType = headers["content-type"]
  if (contentType !== undefined && contentType !== "application/json" && !isJson(contentType)) {
    return Result.fail(
      new UnsupportedMedia({ detail: `content-type ${JSON.stringify(contentType.slice(0, 100))}: application/json is` })
    )
  }
  const encoding = headers["content-encoding"]
  if (encoding === undefined) return Result.succeed("identity")
  const name = encoding.trim().toLowerCase()
  if (name === "gzip" || name === "x-gzip") return Result.succeed("gzip")
  if (name === "identity" || name === "") return Result.succeed("identity")
  return Result.fail(
    new UnsupportedMedia({
      detail: `content-encoding ${JSON.stringify(encoding.slice(0, 100))}: gzip and identity are`
    })
  )
}

const isJson = (contentType: string): boolean =>
  /^application\/json\s*(;\s*charset\s*=\s*"?utf-?8"?\s*)?;?\s*$/i.test(contentType.trim())

/**
 * Collects the body and reads it at once. `take` is asked for each chunk and may refuse it with an error of its own. Fails
 * with `BodyTooLarge`, or `MalformedBody` where the client goes away in the middle (it will not see it).
 */
export const collect = <A, E>(
  source: IncomingMessage,
  limits: LimitsShape,
  take: (bytes: number) => E | undefined,
  read: (body: Buffer) => Result.Result<A, E>
): Effect.Effect<A, BodyTooLarge | MalformedBody | E> =>
  Effect.callback((resume) => {
    const chunks: Array<Buffer> = []
    let length = 0
    const stop = () => {
      source.off("data", onData)
      source.off("end", onEnd)
      source.off("error", onLost)
      source.off("close", onLost)
    }
    const onData = (chunk: Buffer) => {
      length += chunk.length
      const refused = length > limits.bodyBytesMax ? tooLarge(limits.bodyBytesMax, "as sent") : take(chunk.length)
      if (refused !== undefined) {
        stop()
        source.pause()
        resume(Effect.fail(refused))
      } else {
        chunks.push(chunk)
      }
    }
    const onEnd = () => {
      stop()
      // In an Effect, so that a defect in reading is this request's and not the process's.
      resume(
        Effect.suspend(() => Effect.fromResult(read(chunks.length === 1 ? chunks[0]! : Buffer.concat(chunks, length))))
      )
    }
    const onLost = () => {
      stop()
      resume(Effect.fail(new MalformedBody({ detail: "the connection was closed before the body was complete" })))
    }
    source.on("data", onData)
    source.on("end", onEnd)
    source.on("error", onLost)
    source.on("close", onLost)
    return Effect.sync(stop)
  })

/** The problem of a body that exceeds its bound. */
export const tooLarge = (limit: number, form: "as sent" | "unpacked"): BodyTooLarge =>
  new BodyTooLarge({ detail: `more than ${limit} bytes ${form}`, limit_bytes: limit })

/** What gzip packed, at most `jsonBytesMax` bytes. */
export const unpack = (body: Buffer, limits: LimitsShape): Result.Result<Buffer, BodyTooLarge | MalformedBody> => {
  try {
    return Result.succeed(gunzipSync(body, { maxOutputLength: limits.jsonBytesMax }))
  } catch (cause) {
    const code = (cause as NodeJS.ErrnoException).code
    return Result.fail(
      code === "ERR_BUFFER_TOO_LARGE"
        ? tooLarge(limits.jsonBytesMax, "unpacked")
        : new MalformedBody({ detail: `the body is not gzip: ${code ?? "it cannot be unpacked"}` })
    )
  }
}

/** The JSON value of a body, or why there is none. */
export const parseJson = (body: Buffer, limits: LimitsShape): Result.Result<unknown, BodyTooLarge | MalformedBody> => {
  if (body.length > limits.jsonBytesMax) return Result.fail(tooLarge(limits.jsonBytesMax, "unpacked"))
  if (!isUtf8(body)) return Result.fail(new MalformedBody({ detail: "the body is not UTF-8" }))
  const excess = body.length > SMALL_BYTES ? excessOf(body, limits) : undefined
  if (excess !== undefined) return Result.fail(new MalformedBody({ detail: excess }))
  try {
    return Result.succeed(JSON.parse(body.toString("utf8")))
  } catch (cause) {
    return Result.fail(new MalformedBody({ detail: `the body is not JSON: ${(cause as Error).message.slice(0, 200)}` }))
  }
}

/** Below this, 30 times the size is still little. */
const SMALL_BYTES = 256 * 1024

const QUOTE = 0x22
const BACKSLASH = 0x5c

/**
 * Brackets are the expensive part of JSON: 32 MiB of them make 1 GiB of objects. One pass over the bytes (1 ns each)
 * counts them before anything is made; what is within texts does not count.
 */
const excessOf = (body: Buffer, limits: LimitsShape): string | undefined => {
  let depth = 0
  let containers = 0
  for (let at = 0; at < body.length; at++) {
    const byte = body[at]!
    if (byte === QUOTE) {
      for (at++; at < body.length && body[at] !== QUOTE; at++) if (body[at] === BACKSLASH) at++
    } else if (byte === 0x5b || byte === 0x7b) {
      if (++depth > limits.depthMax) return `the body is nested more than ${limits.depthMax} deep`
      if (++containers > limits.containersMax)
        return `the body has more than ${limits.containersMax} arrays and objects`
    } else if (byte === 0x5d || byte === 0x7d) {
      depth--
    }
  }
  return undefined
}
