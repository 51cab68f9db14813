/**
 * What agents tell about themselves, in PostgreSQL: one row a server, a JSON text in ASCII. A state that another version of
 * NodePulse has written, and that cannot be read, is as good as none: agents tell it again.
 */
import { PgClient } from "@effect/sql-pg"
import { Effect, Layer, Result, Schema } from "effect"
import { answering } from "../sinks/postgres/Database.ts"
import { type AgentState, NO_AGENT } from "./AgentHolder.ts"
import { type AgentStore, Agents, makeAgents } from "./Agents.ts"

interface Row {
  readonly server_id: string
  readonly version: number
  readonly state: string
}

export const layer: Layer.Layer<Agents, never, PgClient.PgClient> = Layer.effect(
  Agents,
  Effect.flatMap(PgClient.PgClient, (sql) => makeAgents(storeIn(sql)))
)

/** The store in the table `admiral.agents`. */
export const storeIn = (sql: PgClient.PgClient): AgentStore => ({
  read: Effect.fnUntraced(function* (serverId: string) {
    const [row] = yield* sql<Row>`
      select s.server_id, a.version::float8 as version, a.state
      from admiral.agents a join admiral.servers s on s.id = a.server_id where s.server_id = ${serverId}`
    return row === undefined ? { state: NO_AGENT, version: 0 } : { state: decodeState(row.state), version: row.version }
  }, answering("read what an agent tells")),
  write: Effect.fnUntraced(function* (serverId: string, version: number, state: AgentState) {
    const text = encodeState(state)
    const rows =
      version === 0
        ? yield* sql`
            insert into admiral.agents (server_id, state)
            select id, ${text} from admiral.servers where server_id = ${serverId} on conflict do nothing returning version`
        : yield* sql`
            update admiral.agents a set state = ${text}, version = a.version + 1 from admiral.servers s
            where s.id = a.server_id and s.server_id = ${serverId} and a.version = ${version} returning a.version`
    return rows.length > 0
  }, answering("note what an agent tells")),
  all: sql<Row>`
    select s.server_id, a.version::float8 as version, a.state
    from admiral.agents a join admiral.servers s on s.id = a.server_id`.pipe(
    Effect.map((rows) => new Map(rows.map(({ server_id, state }) => [server_id, decodeState(state)]))),
    answering("list agents")
  )
})

const Moment = Schema.Struct({ seconds: Schema.Finite, at: Schema.Finite })
const StateText = Schema.fromJsonString(
  Schema.Struct({
    holder: Schema.NullOr(
      Schema.Struct({ machine: Schema.String, boot: Schema.String, start: Schema.String, name: Schema.String })
    ),
    since: Schema.Finite,
    seenAt: Schema.Finite,
    intervalSeconds: Schema.Finite,
    sequence: Schema.Finite,
    contended: Schema.NullOr(
      Schema.Struct({ since: Schema.Finite, at: Schema.Finite, name: Schema.String, machine: Schema.String })
    ),
    conflict: Schema.NullOr(
      Schema.Struct({ since: Schema.Finite, at: Schema.Finite, name: Schema.String, sameMachine: Schema.Boolean })
    ),
    clock: Schema.NullOr(Schema.Struct({ skewSeconds: Schema.Finite, at: Schema.Finite })),
    step: Schema.NullOr(Moment),
    corrected: Schema.NullOr(Moment),
    unmatched: Schema.optionalKey(Schema.Array(Schema.String)),
    refused: Schema.optionalKey(
      Schema.Array(
        Schema.Struct({
          exporter: Schema.String,
          limit: Schema.Literals(["body", "series"]),
          most: Schema.Finite
        })
      )
    ),
    restrained: Schema.optionalKey(
      Schema.Struct({
        causes: Schema.Array(Schema.Literals(["cpu", "memory"])),
        interval: Schema.Literals([1, 2, 4]),
        groups: Schema.NullOr(Schema.Finite),
        recorder: Schema.Boolean
      })
    ),
    unknown: Schema.Array(Schema.Struct({ exporter: Schema.String, at: Schema.Finite }))
  })
)
const decodeText = Schema.decodeUnknownResult(StateText)

const decodeState = (text: string): AgentState => Result.getOrElse(decodeText(text), () => NO_AGENT)

/** What is not ASCII as JSON's escapes: the database may have any encoding. */
const encodeState = (state: AgentState): string =>
  JSON.stringify(state).replace(/[\u007f-\uffff]/g, (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, "0")}`)
