/** Recordings in PostgreSQL: `admiral.recordings`, with their content as gzip, and `admiral.recording_requests`. */
import { randomBytes } from "node:crypto"
import { gunzip, gzip } from "node:zlib"
import { PgClient, PgTypes } from "@effect/sql-pg"
import { Clock, Effect, Layer } from "effect"
import { CurrentAuthor } from "../access/Audit.ts"
import { record } from "../access/AuditPostgres.ts"
import { getServer } from "../access/ServersPostgres.ts"
import type { Wanted } from "../protocol/AgentWants.ts"
import type { OomKill, Recording, RecordingReason } from "../protocol/Recording.ts"
import { answering } from "../sinks/postgres/Database.ts"
import { micros, moment } from "../sinks/postgres/Moments.ts"
import {
  RECORDINGS_DAYS,
  RECORDINGS_MAX,
  REQUEST_MINUTES,
  type RecordingHead,
  type RecordingRequest,
  Recordings,
  UnknownRecording
} from "./Recordings.ts"

const REFRESH_EVERY = "5 seconds"
/** In how many refreshes what is too old is dropped once. */
const PRUNE_EVERY = 120
const DAY_MICROS = 86_400_000_000
/** A request is shown for so long, also one that nobody answered. */
const REQUESTS_DAYS = 1
const UNPACKED_BYTES_MAX = 16 * 1024 * 1024

export const layer: Layer.Layer<Recordings, never, PgClient.PgClient> = Layer.effect(
  Recordings,
  Effect.gen(function* () {
    const sql = yield* PgClient.PgClient
    let wanted: ReadonlyMap<string, Wanted> = new Map()
    let refreshes = 0

    const put = Effect.fnUntraced(function* (serverId: string, recording: Recording, packed: Uint8Array) {
      yield* getServer(sql, serverId)
      const { at, ended, id: key, kills, reason } = recording
      const [row] = yield* sql.unsafe<{ readonly id: string }>(PUT, [
        PgTypes.text(serverId),
        PgTypes.text(key),
        PgTypes.text(reason),
        PgTypes.float8((ended + at[0]!) * 1e6),
        PgTypes.float8(ended * 1e6),
        PgTypes.json(kills),
        PgTypes.bytea(packed)
      ])
      yield* sql.unsafe(ANSWER, [PgTypes.text(serverId), PgTypes.text(key)])
      if (row === undefined) return false
      yield* sql.unsafe(EVICT, [PgTypes.text(serverId), PgTypes.int8(BigInt(row.id)), PgTypes.int4(RECORDINGS_MAX)])
      return true
    })

    const ask = Effect.fnUntraced(function* (serverId: string) {
      // Two who ask at once get one request.
      yield* sql`select from admiral.servers server where server.server_id = ${serverId} for no key update`
      const { name } = yield* getServer(sql, serverId)
      const now = yield* Clock.currentTimeMillis
      const latest = yield* latestOf(serverId)
      if (latest !== undefined && latest.answeredAt === null && latest.expiresAt > now) return latest
      const { name: by } = yield* CurrentAuthor
      const [row] = yield* sql.unsafe<RequestRow>(ASK, [
        PgTypes.text(serverId),
        PgTypes.text(randomBytes(16).toString("hex")),
        PgTypes.text(by),
        PgTypes.float8(now * 1_000)
      ])
      yield* record(sql, "recording.ask", `server ${name}`, "")
      return requestOf(row!)
    })

    const latestOf = (serverId: string) =>
      Effect.map(sql.unsafe<RequestRow>(LATEST, [PgTypes.text(serverId)]), ([row]) =>
        row === undefined ? undefined : requestOf(row)
      )

    const prune = Effect.gen(function* () {
      const now = (yield* Clock.currentTimeMillis) * 1_000
      yield* sql.unsafe(PRUNE, [PgTypes.float8(now - RECORDINGS_DAYS * DAY_MICROS)])
      yield* sql.unsafe(PRUNE_REQUESTS, [PgTypes.float8(now - REQUESTS_DAYS * DAY_MICROS)])
    })

    const refresh = Effect.gen(function* () {
      const now = (yield* Clock.currentTimeMillis) * 1_000
      const rows = yield* sql.unsafe<WantedRow>(WANTED, [PgTypes.float8(now)])
      wanted = new Map(rows.map(({ key, reason, server_id }) => [server_id, { id: key, reason }]))
      if (refreshes++ % PRUNE_EVERY === 0) yield* prune
    }).pipe(answering("look for recordings that are wanted"))

    const forget = (serverId: string, key: string) =>
      Effect.sync(() => {
        if (wanted.get(serverId)?.id === key) wanted = new Map([...wanted].filter(([id]) => id !== serverId))
      })

    return Recordings.of({
      put: Effect.fn("Recordings.put")(function* (serverId, recording, json) {
        const packed = yield* packedOf(json)
        const isNew = yield* sql.withTransaction(put(serverId, recording, packed))
        yield* forget(serverId, recording.id)
        return isNew
      }, answering("store a recording")),
      of: Effect.fn("Recordings.of")(function* (serverId) {
        yield* getServer(sql, serverId)
        const rows = yield* sql.unsafe<HeadRow>(OF_SERVER, [PgTypes.text(serverId)])
        return { recordings: rows.map(headOf), request: yield* latestOf(serverId) }
      }, answering("list recordings")),
      between: Effect.fn("Recordings.between")(function* (serverId, { from, to }) {
        const rows = yield* sql.unsafe<HeadRow>(BETWEEN, [
          PgTypes.text(serverId),
          PgTypes.float8(from),
          PgTypes.float8(to)
        ])
        return rows.map(headOf)
      }, answering("list recordings")),
      get: Effect.fn("Recordings.get")(function* (recordingId) {
        const id = /^\d{1,18}$/.test(recordingId) ? BigInt(recordingId) : -1n
        const [row] = yield* sql.unsafe<HeadRow & { readonly packed: Uint8Array }>(GET, [PgTypes.int8(id)])
        if (row === undefined) return yield* new UnknownRecording({ recordingId })
        return { head: headOf(row), json: yield* unpackedOf(row.packed) }
      }, answering("read a recording")),
      ask: Effect.fn("Recordings.ask")(function* (serverId) {
        const request = yield* sql.withTransaction(ask(serverId))
        wanted = new Map([...wanted, [serverId, { id: request.id, reason: request.reason }]])
        return request
      }, answering("ask for a recording")),
      wanted: (serverId) => wanted.get(serverId),
      refresh,
      run: Effect.forever(
        refresh.pipe(
          Effect.catch((error) => Effect.logWarning(error.message)),
          Effect.andThen(Effect.sleep(REFRESH_EVERY))
        )
      )
    })
  })
)

/** Each in a thread of its own. */
const packedOf = (text: string): Effect.Effect<Uint8Array> =>
  Effect.callback((resume) => {
    gzip(text, (error, packed) => resume(error === null ? Effect.succeed(packed) : Effect.die(error)))
  })

const unpackedOf = (packed: Uint8Array): Effect.Effect<string> =>
  Effect.callback((resume) => {
    gunzip(packed, { maxOutputLength: UNPACKED_BYTES_MAX }, (error, text) =>
      resume(error === null ? Effect.succeed(text.toString("utf8")) : Effect.die(error))
    )
  })

interface HeadRow {
  readonly id: string
  readonly server_id: string
  readonly server_name: string
  readonly reason: RecordingReason
  readonly from: number
  readonly to: number
  readonly received: number
  readonly kills: ReadonlyArray<OomKill>
}

const headOf = (row: HeadRow): RecordingHead => ({
  id: row.id,
  serverId: row.server_id,
  serverName: row.server_name,
  reason: row.reason,
  from: row.from,
  to: row.to,
  receivedAt: row.received,
  kills: row.kills
})

interface WantedRow {
  readonly key: string
  readonly server_id: string
  readonly reason: Wanted["reason"]
}

interface RequestRow {
  readonly key: string
  readonly reason: Wanted["reason"]
  readonly author: string | null
  readonly asked: number
  readonly expires: number
  readonly answered: number | null
}

const requestOf = (row: RequestRow): RecordingRequest => ({
  id: row.key,
  reason: row.reason,
  by: row.author,
  askedAt: row.asked,
  expiresAt: row.expires,
  answeredAt: row.answered
})

const idOf = "(select server.id from admiral.servers server where server.server_id = $1::text)"

const head = `recording.id::text as id, server.server_id, server.name as server_name, recording.reason,
  ${micros("recording.begins_at")} / 1000 as from, ${micros("recording.ends_at")} / 1000 as to,
  ${micros("recording.received_at")} / 1000 as received, recording.kills`

const from = "from admiral.recordings as recording join admiral.servers as server on server.id = recording.server_id"

const request = `request.key, request.reason, request.author, ${micros("request.asked_at")} / 1000 as asked,
  ${micros("request.expires_at")} / 1000 as expires, ${micros("request.answered_at")} / 1000 as answered`

const PUT = `insert into admiral.recordings (server_id, key, reason, begins_at, ends_at, kills, packed)
values (${idOf}, $2::text, $3::text, ${moment("$4::float8")}, ${moment("$5::float8")}, $6::json, $7::bytea)
on conflict (server_id, key) do nothing returning id::text as id`

const ANSWER = `update admiral.recording_requests as request set answered_at = now()
where request.server_id = ${idOf} and request.key = $2::text and request.answered_at is null`

/** All but the one that was just stored and the others that stay: those of alerts and kills before those that somebody asked for. */
const EVICT = `delete from admiral.recordings as recording where recording.id in (
  select kept.id from admiral.recordings as kept where kept.server_id = ${idOf}
  order by kept.id = $2::int8 desc, kept.reason = 'asked', kept.ends_at desc, kept.id desc offset $3::int4
)`

const OF_SERVER = `select ${head} ${from} where server.server_id = $1::text order by recording.ends_at desc, recording.id desc`

const BETWEEN = `select ${head} ${from} where server.server_id = $1::text
  and recording.ends_at > ${moment("$2::float8")} and recording.begins_at <= ${moment("$3::float8")}
order by recording.ends_at, recording.id`

const GET = `select ${head}, recording.packed ${from} where recording.id = $1::int8`

const LATEST = `select ${request} from admiral.recording_requests as request
where request.server_id = ${idOf} order by request.asked_at desc limit 1`

const ASK = `insert into admiral.recording_requests as request (server_id, key, reason, author, asked_at, expires_at)
values (${idOf}, $2::text, 'asked', $3::text, ${moment("$4::float8")}, ${moment("$4::float8")} + interval '${REQUEST_MINUTES} minutes')
returning ${request}`

/** The oldest of each server. */
const WANTED = `select distinct on (request.server_id) request.key, request.reason, server.server_id
from admiral.recording_requests as request join admiral.servers as server on server.id = request.server_id
where request.answered_at is null and request.expires_at > ${moment("$1::float8")}
order by request.server_id, request.asked_at`

const PRUNE = `delete from admiral.recordings as recording where recording.ends_at < ${moment("$1::float8")}`

const PRUNE_REQUESTS = `delete from admiral.recording_requests as request where request.expires_at < ${moment("$1::float8")}`

/**
 * Alerts that fire ask for one of each server, in the transaction in which they are noted: not where they fire late, nor where others of
 * that server have just asked. $1: what fires, $2: now, epoch microseconds.
 */
export const ASK_FOR_ALERTS = `insert into admiral.recording_requests (server_id, key, reason, asked_at, expires_at)
select fires.server_id, replace(gen_random_uuid()::text, '-', ''), 'alert', ${moment("$2::float8")}, ${moment("$2::float8")} + interval '${REQUEST_MINUTES} minutes'
from (
  select distinct turn.server_id from json_to_recordset($1::json) as turn(server_id int, at float8)
  where turn.server_id is not null and turn.at * 1000 > $2::float8 - 300e6
) as fires
where exists (select from admiral.servers server where server.id = fires.server_id) and not exists (
  select from admiral.recording_requests as request
  where request.server_id = fires.server_id and request.reason = 'alert'
    and request.asked_at > ${moment("$2::float8")} - interval '${REQUEST_MINUTES} minutes'
)`

/** The statements by name, as `docs/sql` has them. */
export const recordingStatements = {
  PUT,
  ANSWER,
  EVICT,
  OF_SERVER,
  BETWEEN,
  GET,
  LATEST,
  ASK,
  WANTED,
  PRUNE,
  PRUNE_REQUESTS,
  ASK_FOR_ALERTS
}
