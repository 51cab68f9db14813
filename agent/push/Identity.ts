/**
 * Who this agent is to the server: machine, boot and start, with a sequence that ascends with each request.
 *
 * The starts before are kept beside the spool, so that an agent that is restarted follows itself at once: the one that the
 * server accepted last, and those since that never got through. A copy of the file on another machine is of no use
 * (`src/access/AgentHolder.ts`).
 */
import { randomUUID } from "node:crypto"
import { Effect, Schema } from "effect"
import { AFTER_MAX, type AgentHello, hashOf } from "../../src/protocol/AgentHello.ts"
import { readMachine } from "../Machine.ts"
import { stateFile } from "../spool/StateFile.ts"

const FILE = "identity.json"

export interface Identity {
  /** For one request: the sequence goes on. */
  readonly next: () => Pick<AgentHello, "machine" | "boot" | "start" | "after" | "sequence">
  /** The server has accepted a request of this start. */
  readonly accepted: Effect.Effect<void>
  /** Begins again under another start, which follows nobody: another machine has gone on under this one. */
  readonly renew: Effect.Effect<void>
}

const Starts = Schema.Struct({ starts: Schema.Array(Schema.String.check(Schema.isPattern(/^[0-9a-f]{32}$/))) })

export const makeIdentity = (folder: string | undefined): Effect.Effect<Identity> =>
  Effect.gen(function* () {
    const { boot, machine } = yield* readMachine
    const file = stateFile(folder, FILE, Starts)
    const drawn = () => hashOf("start", randomUUID())
    let start = drawn()
    let after: ReadonlyArray<string> = (yield* file.read)?.starts.slice(-AFTER_MAX) ?? []
    let sequence = 0
    let known = false
    // The first of them is the one that the server knows.
    yield* file.write({ starts: [...after.slice(0, 1), ...after.slice(1).slice(2 - AFTER_MAX), start] })
    return {
      next: () => ({ machine, boot, start, after, sequence: ++sequence }),
      accepted: Effect.suspend(() => {
        if (known) return Effect.void
        known = true
        after = []
        return file.write({ starts: [start] })
      }),
      renew: Effect.suspend(() => {
        start = drawn()
        after = []
        sequence = 0
        known = false
        return file.write({ starts: [start] })
      })
    }
  })
