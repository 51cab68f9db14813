/**
 * Everything that can go wrong with a request, as RFC 9457 problems: the one place where an error becomes a status.
 *
 * Each class is part of the API's definition (so it is in the OpenAPI document and in the typed client) and can be
 * failed with from a handler. `fromFailure` turns the errors of the ports into them. A problem never carries the inside
 * of the server: no stack, no SQL, no address. An unexpected error is `Unexpected`, and the log has the cause.
 *
 * Loaded by clients as well: it imports no port, only their types.
 */
import { Schema } from "effect"
import { HttpApiError } from "effect/http-api"
import type { UnknownNote } from "../../access/Notes.ts"
import type { EnrolmentRefused, ServersFull, UnknownServer, UnknownToken } from "../../access/Servers.ts"
import type { UnknownSession } from "../../access/Sessions.ts"
import type { OrderClosed, OrderUnfit, TooMuchAsked, UnknownOrder, UnknownPreview } from "../../acting/Acting.ts"
import type { AlertIsOver, UnknownAlert } from "../../alerts/Alerts.ts"
import type { UnknownReceiver } from "../../alerts/delivery/Notifications.ts"
import type { RuleInFile } from "../../alerts/RuleLayers.ts"
import type { RuleConflict, TooManyRules, UnknownRule } from "../../alerts/StoredRules.ts"
import type { TooManySilences, UnknownSilence } from "../../alerts/silences/Silences.ts"
import { RejectedFields } from "../../plugins/Payload.ts"
import { formatTimestamp } from "../../plugins/Timestamp.ts"
import type { NothingToBreakDown } from "../../query/Breakdown.ts"
import type { GroupingConflict, TooManyGroupings, UnknownGrouping } from "../../query/grouping/Groupings.ts"
import type { RuleRefused } from "../../query/grouping/RuleSet.ts"
import type { UnknownRecording } from "../../recordings/Recordings.ts"
import type { DatabaseUnavailable } from "../../sinks/storage/DatabaseUnavailable.ts"
import type { UnknownDeadLetter } from "../../sinks/storage/DeadLetters.ts"
import type { StreamFull, StreamUnavailable } from "../../sinks/stream/SnapshotStream.ts"

const type = <const T extends string>(name: T) => `urn:nodepulse:problem:${name}` as const

/** A parameter has a value that is not allowed: names it, its value and what is. */
export class InvalidParameter extends HttpApiError.Problem<InvalidParameter>()(
  "InvalidParameter",
  { type: type("invalid-parameter"), status: 400, title: "Invalid parameter." },
  { parameter: Schema.String, value: Schema.Unknown, allowed: Schema.String }
) {}

/** Rules that cannot be read: every problem, a sentence each with its line. */
export class InvalidRules extends HttpApiError.Problem<InvalidRules>()(
  "InvalidRules",
  { type: type("invalid-rules"), status: 422, title: "The rules cannot be read." },
  { problems: Schema.Array(Schema.String) }
) {}

/** The body is not what it should be. */
export class MalformedBody extends HttpApiError.Problem<MalformedBody>()("MalformedBody", {
  type: type("malformed-body"),
  status: 400,
  title: "The body cannot be read."
}) {}

/** A rule cannot be used: which one (from 1 on), which of its texts, and at which character of that (from 1 on). */
export class InvalidRule extends HttpApiError.Problem<InvalidRule>()(
  "InvalidRule",
  { type: type("invalid-rule"), status: 400, title: "A rule cannot be used." },
  {
    rule: Schema.Int,
    field: Schema.Literals(["match", "name", "rules"]),
    value: Schema.String,
    position: Schema.NullOr(Schema.Int)
  }
) {}

/** Somebody else saved a version of the rule set in between: who, when, and which. */
export class GroupingChanged extends HttpApiError.Problem<GroupingChanged>()(
  "GroupingChanged",
  { type: type("grouping-changed"), status: 409, title: "Somebody else saved in between." },
  { version: Schema.Int, author: Schema.String, saved_at: Schema.String, comment: Schema.String }
) {}

/** Somebody else saved the rule in between: who, when, and which version. */
export class RuleChanged extends HttpApiError.Problem<RuleChanged>()(
  "RuleChanged",
  { type: type("rule-changed"), status: 409, title: "Somebody else saved in between." },
  { version: Schema.Int, by: Schema.String, at: Schema.String }
) {}

/** The rule is one of a file on the server, and is changed there. */
export class RuleOfFile extends HttpApiError.Problem<RuleOfFile>()(
  "RuleOfFile",
  { type: type("rule-of-file"), status: 409, title: "The rule is one of a file." },
  { file: Schema.String }
) {}

/** The alert does not fire any more. */
export class AlertResolved extends HttpApiError.Problem<AlertResolved>()(
  "AlertResolved",
  { type: type("alert-resolved"), status: 409, title: "The alert is over." },
  { resolved_at: Schema.String }
) {}

/** The order takes no approvals any more: what it is now. */
export class OrderSettled extends HttpApiError.Problem<OrderSettled>()(
  "OrderSettled",
  { type: type("order-settled"), status: 409, title: "The order takes no approvals any more." },
  { state: Schema.String }
) {}

/** There are as many as there may be, of what `detail` says. */
export class LimitReached extends HttpApiError.Problem<LimitReached>()(
  "LimitReached",
  { type: type("limit-reached"), status: 409, title: "There are as many as there may be." },
  { limit: Schema.Int }
) {}

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

/** Too many tokens, sessions or links that are nobody's came from there. Try again after `Retry-After` seconds. */
export class TooManyGuesses extends HttpApiError.Problem<TooManyGuesses>()(
  "TooManyGuesses",
  { type: type("too-many-guesses"), status: 429, title: "Too many failed tries." },
  { retry_after_seconds: Schema.Number }
) {}

/** There is no such server, resource, token or page. */
export class NotFound extends HttpApiError.Problem<NotFound>()(
  "NotFound",
  { type: type("not-found"), status: 404, title: "Not found." },
  { known: Schema.optionalKey(Schema.Array(Schema.String)) }
) {}

/** The page exists, and not for this method. */
export class MethodNotAllowed extends HttpApiError.Problem<MethodNotAllowed>()(
  "MethodNotAllowed",
  { type: type("method-not-allowed"), status: 405, title: "This method is not allowed here." },
  { allowed: Schema.Array(Schema.String) }
) {}

/**
 * Another agent writes with this token. The rows stay the sender's, to be sent again after `Retry-After` seconds.
 * `reason`: `waiting` (it takes over once the other is silent), `conflict` (both report: one needs a token of its own),
 * `replayed` (a copy of the sender has gone on from here: it begins again under another number).
 */
export class TokenInUse extends HttpApiError.Problem<TokenInUse>()(
  "TokenInUse",
  { type: type("token-in-use"), status: 409, title: "Another agent writes with this token." },
  { reason: Schema.Literals(["waiting", "conflict", "replayed"]), retry_after_seconds: Schema.Number }
) {}

/** The request names a host that this server is not known by. */
export class Misdirected extends HttpApiError.Problem<Misdirected>()("Misdirected", {
  type: type("misdirected"),
  status: 421,
  title: "This server is not known by that name."
}) {}

/** The body, what it unpacks to, or what it holds exceeds its bound: `limit`, of what `limit_of` says. */
export class BodyTooLarge extends HttpApiError.Problem<BodyTooLarge>()(
  "BodyTooLarge",
  { type: type("body-too-large"), status: 413, title: "The body is too large." },
  {
    limit_of: Schema.optionalKey(Schema.Literals(["bytes", "rows", "values"])),
    limit: Schema.optionalKey(Schema.Int)
  }
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
  { type: type("nothing-acceptable"), status: 422, title: "Nothing in the payload could be accepted." },
  { accepted: Schema.Int, ...RejectedFields }
) {}

/** The stream is at its bound. Try again after `Retry-After` seconds. */
export class Backpressure extends HttpApiError.Problem<Backpressure>()(
  "Backpressure",
  { type: type("backpressure"), status: 429, title: "The stream is full." },
  { retry_after_seconds: Schema.optionalKey(Schema.Number) }
) {}

/** More requests than one token, address or reader may send. Try again after `Retry-After` seconds. */
export class TooManyRequests extends HttpApiError.Problem<TooManyRequests>()(
  "TooManyRequests",
  { type: type("too-many-requests"), status: 429, title: "Too many requests." },
  {
    limit_of: Schema.Literals(["token", "address", "reader"]),
    limit: Schema.Int,
    retry_after_seconds: Schema.optionalKey(Schema.Number)
  }
) {}

/** There are as many servers as there may be: `limit`. */
export class TooManyServers extends HttpApiError.Problem<TooManyServers>()(
  "TooManyServers",
  { type: type("too-many-servers"), status: 409, title: "There are too many servers." },
  { limit: Schema.Int }
) {}

/** A part that is needed cannot be reached, or there is too much at once. Try again after `Retry-After` seconds. */
export class Unavailable extends HttpApiError.Problem<Unavailable>()(
  "Unavailable",
  { type: type("unavailable"), status: 503, title: "Temporarily unavailable." },
  { retry_after_seconds: Schema.optionalKey(Schema.Number) }
) {}

/** The question takes longer than the server gives it: a shorter window or fewer servers may help. */
export class AnswerTooSlow extends HttpApiError.Problem<AnswerTooSlow>()(
  "AnswerTooSlow",
  { type: type("answer-too-slow"), status: 504, title: "The answer took too long." },
  { limit_seconds: Schema.optionalKey(Schema.Number) }
) {}

/** The question is about more rows than one may read: a shorter window or fewer servers may help. */
export class QuestionTooLarge extends HttpApiError.Problem<QuestionTooLarge>()("QuestionTooLarge", {
  type: type("question-too-large"),
  status: 422,
  title: "The question is about too many rows."
}) {}

/** A part that the server needs is missing: which, and why. */
export class NotReady extends HttpApiError.Problem<NotReady>()(
  "NotReady",
  { type: type("not-ready"), status: 503, title: "The server is not ready." },
  {
    checks: Schema.Array(
      Schema.Struct({ name: Schema.String, ready: Schema.Boolean, reason: Schema.NullOr(Schema.String) })
    )
  }
) {}

/** An unexpected error. The log has the cause. */
export class Unexpected extends HttpApiError.Problem<Unexpected>()("Unexpected", {
  type: type("unexpected"),
  status: 500,
  title: "Unexpected error."
}) {}

/** The problem of a parameter: one that is missing (its value is null), or one with a value that is not allowed. */
export const invalidParameter = (parameter: string, value: unknown, allowed: string): InvalidParameter =>
  new InvalidParameter({
    detail:
      value === null
        ? `${parameter} is required: ${allowed}`
        : `${parameter}: ${JSON.stringify(value)?.slice(0, 200)} is not ${allowed}`,
    parameter,
    value,
    allowed
  })

export type Problem =
  | InvalidParameter
  | InvalidRule
  | GroupingChanged
  | RuleChanged
  | RuleOfFile
  | AlertResolved
  | OrderSettled
  | LimitReached
  | MalformedBody
  | Unauthorized
  | Forbidden
  | TooManyGuesses
  | NotFound
  | MethodNotAllowed
  | Misdirected
  | TokenInUse
  | BodyTooLarge
  | UnsupportedMedia
  | NothingAcceptable
  | Backpressure
  | TooManyRequests
  | TooManyServers
  | Unavailable
  | AnswerTooSlow
  | QuestionTooLarge
  | NotReady
  | Unexpected

/** The errors of the ports. */
export type Failure =
  | UnknownServer
  | UnknownNote
  | UnknownToken
  | UnknownSession
  | EnrolmentRefused
  | ServersFull
  | UnknownDeadLetter
  | UnknownReceiver
  | UnknownGrouping
  | RuleRefused
  | GroupingConflict
  | TooManyGroupings
  | UnknownRule
  | RuleConflict
  | RuleInFile
  | TooManyRules
  | UnknownSilence
  | TooManySilences
  | UnknownAlert
  | NothingToBreakDown
  | AlertIsOver
  | UnknownRecording
  | UnknownPreview
  | UnknownOrder
  | OrderUnfit
  | OrderClosed
  | TooMuchAsked
  | DatabaseUnavailable
  | StreamFull
  | StreamUnavailable

type FromFailure<E extends Failure> = E extends StreamFull
  ? Backpressure
  : E extends DatabaseUnavailable
    ? Unavailable | AnswerTooSlow | QuestionTooLarge
    : E extends StreamUnavailable
      ? Unavailable
      : E extends EnrolmentRefused
        ? Forbidden
        : E extends ServersFull
          ? TooManyServers
          : E extends RuleRefused
            ? InvalidRule
            : E extends GroupingConflict
              ? GroupingChanged
              : E extends TooManyGroupings
                ? InvalidParameter
                : E extends RuleConflict
                  ? RuleChanged
                  : E extends RuleInFile
                    ? RuleOfFile
                    : E extends TooManyRules | TooManySilences | TooMuchAsked
                      ? LimitReached
                      : E extends AlertIsOver
                        ? AlertResolved
                        : E extends OrderUnfit
                          ? InvalidParameter
                          : E extends OrderClosed
                            ? OrderSettled
                            : NotFound

/** The problem that an error of a port is to the outside. The causes of an unreachable part stay inside. */
export const fromFailure = <E extends Failure>(failure: E): FromFailure<E> => problemOf(failure) as FromFailure<E>

const problemOf = (failure: Failure): Problem => {
  switch (failure._tag) {
    case "UnknownServer":
    case "UnknownNote":
    case "UnknownToken":
    case "UnknownSession":
    case "UnknownDeadLetter":
    case "UnknownGrouping":
    case "UnknownReceiver":
    case "UnknownRule":
    case "UnknownSilence":
    case "UnknownAlert":
    case "UnknownRecording":
    case "UnknownPreview":
    case "UnknownOrder":
    case "NothingToBreakDown":
      return new NotFound({ detail: failure.message })
    case "EnrolmentRefused":
      return new Forbidden({ detail: failure.message })
    case "ServersFull":
      return new TooManyServers({
        detail: `${failure.message}; NODEPULSE_SERVERS_MAX sets how many`,
        limit: failure.most
      })
    case "RuleRefused": {
      const { field, message, position, rule, value } = failure
      return new InvalidRule({ detail: message, rule, field, value, position })
    }
    case "GroupingConflict": {
      const { author, comment, message, savedAt, version } = failure
      return new GroupingChanged({ detail: message, version, author, saved_at: formatTimestamp(savedAt), comment })
    }
    case "RuleConflict": {
      const { at, by, message, version } = failure
      return new RuleChanged({ detail: message, version, by, at: formatTimestamp(at * 1_000) })
    }
    case "RuleInFile":
      return new RuleOfFile({ detail: failure.message, file: failure.file })
    case "TooManyRules":
    case "TooManySilences":
    case "TooMuchAsked":
      return new LimitReached({ detail: failure.message, limit: failure.limit })
    case "AlertIsOver":
      return new AlertResolved({ detail: failure.message, resolved_at: formatTimestamp(failure.resolvedAt * 1_000) })
    case "OrderUnfit":
      return invalidParameter(failure.field, failure.value, failure.allowed)
    case "OrderClosed":
      return new OrderSettled({ detail: failure.message, state: failure.state })
    case "TooManyGroupings":
      return new InvalidParameter({
        detail: failure.message,
        parameter: "name",
        value: failure.limit,
        allowed: `at most ${failure.limit} ${failure.what}`
      })
    case "StreamFull":
      return new Backpressure({ detail: failure.message, retry_after_seconds: failure.retryAfterSeconds })
    case "StreamUnavailable":
      return new Unavailable({ detail: "the stream cannot be reached" })
    case "DatabaseUnavailable":
      // Our own words, which name the window.
      if (failure.because === "large") return new QuestionTooLarge({ detail: wordsOf(failure.cause) })
      return failure.because === "slow"
        ? new AnswerTooSlow({ detail: "the database took too long; ask for a shorter window, or for fewer servers" })
        : new Unavailable({ detail: DATABASE[failure.because] })
  }
}

const wordsOf = (cause: unknown): string => (cause instanceof Error ? cause.message : "there are too many rows")

const DATABASE: Readonly<Record<Exclude<DatabaseUnavailable["because"], "slow" | "large">, string>> = {
  away: "the database cannot be reached",
  "read-only": "the database is read-only",
  full: "the database has no room left",
  busy: "the database is too busy",
  failing: "the database reports an error; `nodepulse doctor` says more"
}
