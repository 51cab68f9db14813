/**
 * How a host that acts asks for work: one poll after the other, over the address, the token and the certificates that its agent has.
 *
 * Guarantees:
 * - The host's file is read anew before each poll and before what it brought is judged: a change holds from then on, and where the file
 *   cannot be used any more, this program ends.
 * - An outcome is sent until the server says that it has it. A preview is sent once: who still wants it asks again.
 * - Nothing that a server answers makes it ask more than once a second, or look at this host for more than {@link PREVIEWS_A_MINUTE}
 *   previews a minute: others are dropped, and that is said once.
 *
 * Bounds: `ORDER_LIMITS` for poll and answer; after a failure it waits up to 20 s (full jitter), 60 s where the server refuses.
 */
import { Duration, Effect, Random, Redacted, Result, Schema } from "effect"
import { Poll, PollAnswer, type Preview, PreviewRequest, type RuleShown, STRICT } from "../../src/protocol/Orders.ts"
import { ORDER_LIMITS } from "../../src/protocol/OrderText.ts"
import { clipped } from "../../src/protocol/PrintableText.ts"
import { type AgentServer, connectionOf } from "../config/AgentConfig.ts"
import { exchange } from "../scrape/HttpExchange.ts"
import { type HandsFile, type HandsFileInvalid, type HandsRule, readHandsFile } from "./HandsFile.ts"
import type { HandsHost } from "./HandsHost.ts"
import { handle } from "./HandsOrders.ts"
import { previewOf } from "./HandsPreview.ts"

/** The server cannot be asked, or does not answer as it should. Retryable: it is asked again. */
export class PollFailed extends Schema.TaggedError<PollFailed>()("PollFailed", {
  reason: Schema.String,
  /** Whether the server has refused, so that asking again soon is of no use. */
  refused: Schema.Boolean
}) {
  readonly retryable = true
  override get message(): string {
    return this.reason
  }
}

/** Each looks at every process, and asks systemd for each unit that depends on one. */
const PREVIEWS_A_MINUTE = 30
const PACE = Duration.seconds(1)
const BACKOFF_MILLIS = { from: 1_000, to: 20_000 }
const REFUSED_MILLIS = 60_000
/** Beside the time that the server may wait. */
const ANSWERS_WITHIN_SECONDS = 15

export interface HandsOptions {
  readonly host: HandsHost
  /** Reads the host's file anew. */
  readonly file: Effect.Effect<HandsFile, HandsFileInvalid>
  readonly server: AgentServer
}

/** The host's file, read whenever it is asked for. */
export const fileAt = (path: string): Effect.Effect<HandsFile, HandsFileInvalid> =>
  Effect.suspend(() => Effect.fromResult(readHandsFile(path)))

/** Asks for ever; fails where the host's file cannot be used any more. */
export const pollForEver = Effect.fnUntraced(function* (options: HandsOptions) {
  let previews: ReadonlyArray<Preview> = []
  let failures = 0
  let said = ""
  while (true) {
    const result = yield* Effect.result(pollOnce(options, previews))
    previews = []
    if (Result.isSuccess(result)) {
      if (failures > 0) yield* Effect.logInfo("the server answers again")
      failures = 0
      said = ""
      previews = result.success
      yield* Effect.sleep(PACE)
      continue
    }
    if (result.failure._tag !== "PollFailed") return yield* result.failure
    if (result.failure.message !== said) yield* Effect.logWarning(`no orders: ${result.failure.message}; trying again`)
    said = result.failure.message
    const most = Math.min(BACKOFF_MILLIS.to, BACKOFF_MILLIS.from * 2 ** Math.min(failures++, 10))
    const wait = result.failure.refused ? REFUSED_MILLIS : BACKOFF_MILLIS.from + (yield* Random.next) * most
    yield* Effect.sleep(Duration.millis(wait))
  }
})

/** One poll, and what it brought; the previews to send with the next. */
export const pollOnce = Effect.fnUntraced(function* (options: HandsOptions, previews: ReadonlyArray<Preview>) {
  const { file, host } = options
  const before = yield* file
  const answer = yield* ask(options, pollOf(host, before, previews))
  host.journal.recorded(answer.recorded)
  if (answer.server !== before.serverId) {
    return yield* new PollFailed({
      reason: `the server calls this host "${clipped(answer.server, 80)}", its file says server_id: "${before.serverId}"`,
      refused: true
    })
  }
  for (const raw of answer.orders) yield* handle(host, yield* file, raw)
  const told: Array<Preview> = []
  for (const raw of answer.previews) {
    const asked = decodePreview(raw)
    if (Result.isFailure(asked) || !(yield* mayLook(host))) continue
    told.push(yield* previewOf(host, yield* file, asked.success))
  }
  return told
})

/** Whether another preview may be made; counts it. */
const mayLook = Effect.fnUntraced(function* ({ looks, use }: HandsHost) {
  const { up } = yield* use
  while (up - (looks[0] ?? up) >= 60) looks.shift()
  if (looks.length > PREVIEWS_A_MINUTE) return false
  looks.push(up)
  if (looks.length <= PREVIEWS_A_MINUTE) return true
  yield* Effect.logWarning(
    `more than ${PREVIEWS_A_MINUTE} previews were asked for in a minute: no more until it is over`
  )
  return false
})

const decodePreview = Schema.decodeUnknownResult(PreviewRequest, STRICT)
const decodeAnswer = Schema.decodeUnknownResult(Schema.fromJsonString(PollAnswer), STRICT)
const encodePoll = Schema.encodeUnknownSync(Poll)

/** What is said with a poll. It waits only where there is nothing to say. */
const pollOf = (host: HandsHost, file: HandsFile, previews: ReadonlyArray<Preview>): Poll => {
  const outcomes = host.journal.unsent()
  return {
    version: 1,
    server: file.serverId,
    boot_id: host.processes.bootId(),
    wait_seconds: previews.length + outcomes.length > 0 ? 0 : ORDER_LIMITS.pollWaitSeconds,
    rules_digest: file.digest,
    rules: file.rules.map(shownRule),
    approvers: file.approvers.map(({ key, name, role }) => ({ key, name, role })),
    previews,
    outcomes
  }
}

const shownRule = ({ hours, names, perHour, roles, secondPerson, units, verbs }: HandsRule): RuleShown => ({
  ...{ verbs, units, names, roles, second_person: secondPerson, per_hour: perHour, hours: hours?.text ?? null }
})

const ask = Effect.fnUntraced(function* ({ server }: HandsOptions, poll: Poll) {
  const failed = (reason: string, refused = false) => new PollFailed({ reason, refused })
  const token = yield* server.token.pipe(Effect.mapError((error) => failed(error.message, true)))
  const connection = yield* connectionOf(server)
  const response = yield* exchange({
    ...connection,
    method: "POST",
    url: `${server.url}/api/hands/poll`,
    headers: { authorization: `Bearer ${Redacted.value(token)}`, "content-type": "application/json" },
    body: Buffer.from(JSON.stringify(encodePoll(poll))),
    timeout: Duration.seconds(poll.wait_seconds + ANSWERS_WITHIN_SECONDS),
    bodyLimit: ORDER_LIMITS.pollAnswerBytes
  }).pipe(Effect.mapError((error) => failed(error.message)))
  const text = Buffer.from(response.body).toString("utf8")
  if (response.status !== 200) {
    const refused = response.status >= 400 && response.status < 500 && ![408, 425, 429].includes(response.status)
    return yield* failed(`the server answers ${response.status}: ${clipped(text, 200)}`, refused)
  }
  const answer = decodeAnswer(text)
  if (Result.isFailure(answer)) return yield* failed("the server's answer is not one to a poll")
  return answer.success
})
