/** Brings a message to a receiver, whatever it is. It remembers nothing: that is the outbox's (`OutboxPostgres.ts`). */
import { Effect, Result } from "effect"
import { askHook } from "./HookClient.ts"
import type { Message } from "./Message.ts"
import { type NotDelivered, notDelivered, secretIn, urlOf } from "./NotDelivered.ts"
import type { Receiver } from "./NotifyFile.ts"
import { chatOf } from "./receivers/Chats.ts"
import { runCommand } from "./receivers/Command.ts"
import { sendMail } from "./receivers/Mail.ts"
import { ntfyOf } from "./receivers/Ntfy.ts"
import { eventsOf } from "./receivers/PagerDuty.ts"
import { webhookOf } from "./receivers/Webhook.ts"

/** Of mails and events that are several requests; one request has less. */
const WITHIN = "40 seconds"

export const deliver = (receiver: Receiver, message: Message): Effect.Effect<void, NotDelivered> =>
  Effect.suspend(() => brought(receiver, message)).pipe(
    Effect.timeoutOrElse({
      duration: WITHIN,
      orElse: () => Effect.fail(notDelivered(`it takes longer than ${WITHIN}`))
    }),
    // Whatever a receiver makes of a message, it is no reason for the others not to be told.
    Effect.catchDefect(() => Effect.fail(notDelivered("an unexpected error, of which the log may say more")))
  )

const brought = ({ allowed, way }: Receiver, message: Message): Effect.Effect<void, NotDelivered> => {
  if (way.kind === "email") return sendMail(message, way.mail)
  if (way.kind === "command") return runCommand(message, way.argv, way.timeout)
  return Effect.gen(function* () {
    const url = yield* Effect.fromResult(urlOf(way.address))
    const post = (body: string, headers: Readonly<Record<string, string>> = {}) =>
      askHook({ url, method: "POST", allowed, body, headers: { "content-type": "application/json", ...headers } })
    switch (way.kind) {
      case "webhook": {
        const { body, headers } = webhookOf(message, yield* optional(way.secretFile))
        return yield* post(body, headers)
      }
      case "ntfy": {
        const token = yield* optional(way.tokenFile)
        const headers = token === undefined ? {} : { authorization: `Bearer ${token}` }
        return yield* post(JSON.stringify(ntfyOf(message, way.topic)), headers)
      }
      case "pagerduty": {
        const key = yield* Effect.fromResult(secretIn(way.keyFile))
        return yield* Effect.forEach(eventsOf(message, key), (event) => post(JSON.stringify(event)), { discard: true })
      }
      default:
        return yield* post(JSON.stringify(chatOf(way.kind, message)))
    }
  })
}

const optional = (file: string | undefined): Effect.Effect<string | undefined, NotDelivered> =>
  file === undefined ? Effect.succeed(undefined) : Effect.fromResult(Result.map(secretIn(file), (secret) => secret))
