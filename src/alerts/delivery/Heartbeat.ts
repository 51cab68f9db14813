/**
 * A dead man's switch: an address is asked as long as the rules are. Whoever watches it tells somebody when nothing comes any more,
 * also where nothing of NodePulse is left that could.
 *
 * Guarantee: it stops once no moment was asked for {@link ALIVE_FOR_MILLIS}, whatever the reason: also where a clock that was ahead has
 * asked moments that are yet to come. Of several processes one sends it.
 */
import { PgClient, PgTypes } from "@effect/sql-pg"
import { Clock, Duration, Effect } from "effect"
import { answering } from "../../sinks/postgres/Database.ts"
import { moment } from "../../sinks/postgres/Moments.ts"
import { askHook } from "./HookClient.ts"
import { urlOf } from "./NotDelivered.ts"
import { NotifyBook } from "./NotifyBook.ts"
import type { Heartbeat } from "./NotifyFile.ts"

const ALIVE_FOR_MILLIS = 120_000
const LOOK_EVERY = Duration.seconds(5)

export const makeHeartbeat = Effect.gen(function* () {
  const sql = yield* PgClient.PgClient
  const book = yield* NotifyBook
  let told = ""

  const beat = Effect.fnUntraced(function* ({ address, allowed, every, method }: Heartbeat) {
    const now = yield* Clock.currentTimeMillis
    const parameters = [PgTypes.float8(now * 1_000), PgTypes.float8(every * 1_000)]
    const [mine] = yield* sql.unsafe(BEAT, parameters).pipe(answering("send a heartbeat"))
    if (mine === undefined) return false
    const url = yield* Effect.fromResult(urlOf(address))
    yield* askHook({ url, method, allowed, body: "", headers: {} })
    return true
  })

  /** Sends one where it is time to, and the rules are asked; whether it did. */
  const pass = Effect.gen(function* () {
    const { config } = yield* book.state
    if (config?.heartbeat === undefined) return false
    const sent = yield* Effect.result(beat(config.heartbeat))
    if (sent._tag === "Success") {
      if (sent.success) told = ""
      return sent.success
    }
    const { message } = sent.failure
    if (message !== told) yield* Effect.logWarning(`the heartbeat was not sent: ${message}`)
    told = message
    return false
  })

  /** For the supervisor. */
  return { pass, run: Effect.forever(Effect.andThen(pass, Effect.sleep(LOOK_EVERY))) }
})

/** Takes the turn of all processes, where the rules were asked. */
const BEAT = `insert into admiral.delivery_progress as progress (began_at, heartbeat_at)
select ${moment("$1::float8")}, ${moment("$1::float8")} from admiral.alert_progress as asked
where asked.asked_until > ${moment("$1::float8")} - interval '${ALIVE_FOR_MILLIS} milliseconds'
  and asked.asked_until < ${moment("$1::float8")} + interval '${ALIVE_FOR_MILLIS} milliseconds'
on conflict (single) do update set heartbeat_at = excluded.heartbeat_at
where progress.heartbeat_at is null or progress.heartbeat_at > excluded.heartbeat_at
  or progress.heartbeat_at <= excluded.heartbeat_at - $2::float8 * interval '1 microsecond'
returning true as mine`
