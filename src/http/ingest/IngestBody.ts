/**
 * The body of an ingest request: collected once from Node's stream, unpacked, checked and parsed.
 *
 * Guarantee: never more bytes than the limits allow, neither as sent nor unpacked (a gzip bomb stops at its bound); the
 * text is exactly what was sent (bytes that are not UTF-8 are refused, not replaced; a name given twice is refused, not
 * dropped); and what is parsed was counted before (`BodyShape.ts`), so that it cannot cost many times its size. Unpacking and parsing are synchronous: at bodies of this size that is four times cheaper than handing
 * them to a thread, and the bound on size is the bound on how long it holds up the others.
 *
 * It does not know what is in a payload (`Payload.ts`).
 */
import { isUtf8 } from "node:buffer"
import type { IncomingMessage } from "node:http"
import { gunzipSync } from "node:zlib"
import { Effect, Result } from "effect"
import { BodyTooLarge, MalformedBody, UnsupportedMedia } from "../api/Problem.ts"
import type { LimitsShape } from "../server/Limits.ts"
import { type Excess, keysOf, shapeOf } from "./BodyShape.ts"

export type Encoding = "identity" | "gzip"

/** How the body is packed, from its headers, or why that is not supported. */
export const encodingOf = (headers: IncomingMessage["headers"]): Result.Result<Encoding, UnsupportedMedia> => {
  const contentType = headers["content-type"]
  if (contentType !== undefined && contentType !== "application/json" && !isJson(contentType)) {
    return Result.fail(
      new UnsupportedMedia({
        detail: `content-type ${JSON.stringify(contentType.slice(0, 100))} is not supported, application/json is`
      })
    )
  }
  const encoding = headers["content-encoding"]
  if (encoding === undefined) return Result.succeed("identity")
  const name = encoding.trim().toLowerCase()
  if (name === "gzip" || name === "x-gzip") return Result.succeed("gzip")
  if (name === "identity" || name === "") return Result.succeed("identity")
  return Result.fail(
    new UnsupportedMedia({
      detail: `content-encoding ${JSON.stringify(encoding.slice(0, 100))} is not supported, gzip and identity are`
    })
  )
}

/** By its parts, each looked at once: a pattern with blanks in several places takes the square of their number. */
const isJson = (contentType: string): boolean => {
  const [type = "", charset = "", ...rest] = contentType.toLowerCase().split(";")
  return (
    type.trim() === "application/json" &&
    CHARSETS.has(charset.replaceAll(/[\s"]/g, "")) &&
    rest.every((parameter) => parameter.trim() === "")
  )
}

const CHARSETS = new Set(["", "charset=utf-8", "charset=utf8"])

/**
 * Collects the body. `take` is asked for each chunk and may refuse it with an error of its own. Fails
 * with `BodyTooLarge`, or `MalformedBody` where the client goes away in the middle (it will not see it).
 */
export const collect = <E>(
  source: IncomingMessage,
  limits: LimitsShape,
  take: (bytes: number) => E | undefined
): Effect.Effect<Buffer, BodyTooLarge | MalformedBody | E> =>
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
      resume(Effect.succeed(chunks.length === 1 ? chunks[0]! : Buffer.concat(chunks, length)))
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
  new BodyTooLarge({ detail: `more than ${limit} bytes ${form}`, limit_of: "bytes", limit })

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
  const shape = shapeOf(body, limits)
  if (Result.isFailure(shape)) return Result.fail(tooMuch(shape.failure))
  let value: unknown
  try {
    value = JSON.parse(body.toString("utf8"))
  } catch (cause) {
    return Result.fail(new MalformedBody({ detail: `the body is not JSON: ${(cause as Error).message.slice(0, 200)}` }))
  }
  // Which of the two would count nobody could know.
  return keysOf(value) === shape.success.keys
    ? Result.succeed(value)
    : Result.fail(new MalformedBody({ detail: TWICE }))
}

const TWICE = "a name is given twice in one object: an exporter in the body, or a field in a row"

/** What fewer rows a request would mend is too large; what nobody sends who means well is malformed. */
const tooMuch = ({ detail, limit, what }: Excess): BodyTooLarge | MalformedBody =>
  what === "rows" || what === "values"
    ? new BodyTooLarge({ detail, limit_of: what, limit })
    : new MalformedBody({ detail })
