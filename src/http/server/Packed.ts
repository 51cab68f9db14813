/**
 * Packs answers for whoever takes gzip: what a page asks for every few seconds is mostly names of fields, again and again.
 *
 * Only JSON, only from `BYTES_MIN`; level 6 costs a third of a millisecond for 8 kB. Nothing here mixes a secret with
 * what a stranger sent into one answer, so its length tells nothing.
 */
import { gzipSync } from "node:zlib"
import { HttpBody, type HttpServerRequest, HttpServerResponse } from "effect/http"

const BYTES_MIN = 400

/** Whether an `Accept-Encoding` names the encoding, without a weight. */
export const takes = (encoding: string, accepted: string | undefined): boolean =>
  accepted?.split(",").some((one) => one.trim() === encoding) ?? false

/** The same answer, packed where that helps. */
export const packed = (
  response: HttpServerResponse.HttpServerResponse,
  request: HttpServerRequest.HttpServerRequest
): HttpServerResponse.HttpServerResponse => {
  const { body } = response
  if (body._tag !== "Uint8Array" || body.body.length < BYTES_MIN || !/json/.test(body.contentType)) return response
  if (response.headers["content-encoding"] !== undefined) return response
  const vary = HttpServerResponse.setHeader(response, "vary", "accept-encoding")
  if (!takes("gzip", request.headers["accept-encoding"])) return vary
  return HttpServerResponse.setBody(
    HttpServerResponse.setHeader(vary, "content-encoding", "gzip"),
    HttpBody.uint8Array(gzipSync(body.body, { level: 6 }), body.contentType)
  )
}
