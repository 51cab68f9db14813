/**
 * Everything that can go wrong with a request, as RFC 9457 problems: the one place where an error becomes a status.
 *
 * Each class is part of the API's definition (so it is in the OpenAPI document and in the typed client) and can be
 * failed with from a handler. `fromFailure` turns the errors of the ports into them. A problem never carries the inside
 * of the server: no stack, no SQL, no address. What nobody foresaw is `Unexpected`, and the log has the cause.
 *
 * Loaded by clients as well: it imports no port, only their types.
 */
import { Schema } from "effect"
import { HttpApiError } from "effect/http-api"
import { Rejection } from "../plugins/Payload.ts"
import type { UnknownDeadLetter } from "../sinks/DeadLetters.ts"
import type { UnknownServer, UnknownToken } from "../sinks/Servers.ts"
import type { RowsUnavailable } from "../sinks/SnapshotRows.ts"
import type { StreamFull, StreamUnavailable } from "../sinks/SnapshotStream.ts"

const type = <const T extends string>(name: T) => `urn:nodepulse:problem:${name}` as const

/** A parameter has a value that is not allowed: names it, its value and what is. */
export class InvalidParameter extends HttpApiError.Problem<InvalidParameter>()(
  "InvalidParameter",
  { type: type("invalid-parameter"), status: 400, title: "A parameter has a value that is not allowed." },
  { parameter: Schema.String, value: Schema.Unknown, allowed: Schema.String }
) {}

/** The body is not what it should be. */
export class MalformedBody extends HttpApiError.Problem<MalformedBody>()("MalformedBody", {
  type: type("malformed-body"),
  status: 400,
  title: "The body cannot be read."
}) {}

/** No token or session, or one that is not known. */
export class Unauthorized extends HttpApiError.Problem<Unauthorized>()("Unauthorized", {
  type: type("unauthorized"),
  status: 401,
  title: "A token or session is needed."
}) {}

/** The token or session is known, and may not do this. */
export class Forbidden extends HttpApiError.Problem<Forbidden>()("Forbidden", {
  type: type("forbidden"),
  status: 403,
  title: "This token or session may not do this."
}) {}

/** There is no such server, resource, token or page. */
export class NotFound extends HttpApiError.Problem<NotFound>()(
  "NotFound",
  { type: type("not-found"), status: 404, title: "There is no such thing." },
  { known: Schema.optionalKey(Schema.Array(Schema.String)) }
) {}

/** The page exists, and not for this method. */
export class MethodNotAllowed extends HttpApiError.Problem<MethodNotAllowed>()(
  "MethodNotAllowed",
  { type: type("method-not-allowed"), status: 405, title: "This method is not allowed here." },
  { allowed: Schema.Array(Schema.String) }
) {}

/** The body, or what it unpacks to, exceeds its bound. */
export class BodyTooLarge extends HttpApiError.Problem<BodyTooLarge>()(
  "BodyTooLarge",
  { type: type("body-too-large"), status: 413, title: "The body is too large." },
  { limit_bytes: Schema.optionalKey(Schema.Int) }
) {}

/** The content type or encoding is not one that is understood. */
export class UnsupportedMedia extends HttpApiError.Problem<UnsupportedMedia>()("UnsupportedMedia", {
  type: type("unsupported-media"),
  status: 415,
  title: "This content type or encoding is not supported."
}) {}

/** Of a payload nothing could be accepted; the reasons are given for each snapshot. */
export class NothingAcceptable extends HttpApiError.Problem<NothingAcceptable>()(
  "NothingAcceptable",
  { type: type("nothing-acceptable"), status: 422, title: "Nothing of the payload could be accepted." },
  { accepted: Schema.Int, rejected: Schema.Array(Rejection) }
) {}

/** The stream is at its bound. Try again after `Retry-After` seconds. */
export class Backpressure extends HttpApiError.Problem<Backpressure>()(
  "Backpressure",
  { type: type("backpressure"), status: 429, title: "The stream is full." },
  { retry_after_seconds: Schema.optionalKey(Schema.Number) }
) {}

/** A part that is needed cannot be reached, or there is too much at once. Try again after `Retry-After` seconds. */
export class Unavailable extends HttpApiError.Problem<Unavailable>()(
  "Unavailable",
  { type: type("unavailable"), status: 503, title: "This is not possible now." },
  { retry_after_seconds: Schema.optionalKey(Schema.Number) }
) {}

/** A part that the server needs is missing: which, and why. */
export class NotReady extends HttpApiError.Problem<NotReady>()(
  "NotReady",
  { type: type("not-ready"), status: 503, title: "The server cannot do its work now." },
  {
    checks: Schema.Array(
      Schema.Struct({ name: Schema.String, ready: Schema.Boolean, reason: Schema.NullOr(Schema.String) })
    )
  }
) {}

/** What nobody foresaw. The log has the cause. */
export class Unexpected extends HttpApiError.Problem<Unexpected>()("Unexpected", {
  type: type("unexpected"),
  status: 500,
  title: "Something went wrong inside the server."
}) {}

export type Problem =
  | InvalidParameter
  | MalformedBody
  | Unauthorized
  | Forbidden
  | NotFound
  | MethodNotAllowed
  | BodyTooLarge
  | UnsupportedMedia
  | NothingAcceptable
  | Backpressure
  | Unavailable
  | NotReady
  | Unexpected

/** The errors of the ports. */
export type Failure =
  | UnknownServer
  | UnknownToken
  | UnknownDeadLetter
  | RowsUnavailable
  | StreamFull
  | StreamUnavailable

type FromFailure<E extends Failure> = E extends StreamFull
  ? Backpressure
  : E extends RowsUnavailable | StreamUnavailable
    ? Unavailable
    : NotFound

/** The problem that an error of a port is to the outside. The causes of an unreachable part stay inside. */
export const fromFailure = <E extends Failure>(failure: E): FromFailure<E> => problemOf(failure) as FromFailure<E>

const problemOf = (failure: Failure): Problem => {
  switch (failure._tag) {
    case "UnknownServer":
    case "UnknownToken":
    case "UnknownDeadLetter":
      return new NotFound({ detail: failure.message })
    case "StreamFull":
      return new Backpressure({ detail: failure.message, retry_after_seconds: failure.retryAfterSeconds })
    case "StreamUnavailable":
      return new Unavailable({ detail: "the stream cannot be reached" })
    case "RowsUnavailable":
      return new Unavailable({ detail: "the database cannot be reached" })
  }
}
