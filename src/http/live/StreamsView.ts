/**
 * Each stream as people look at it: what waits in it, by the stream's own storage, and who reads it, by the database. Where one of
 * the two does not answer in time, for a stream or at all, what it would have said is null.
 */
import { Duration, Effect, Option } from "effect"
import { StreamOwners } from "../../sinks/stream/leases/StreamOwners.ts"
import { SnapshotStream, type StreamStats } from "../../sinks/stream/SnapshotStream.ts"
import type { StreamAnswer } from "../api/PipelineAnswer.ts"

const WITHIN = Duration.seconds(2)

/** A stream in process has one reader, which nobody can take it from. */
const IN_PROCESS = "this process"

export const makeStreamsView: Effect.Effect<
  Effect.Effect<ReadonlyArray<StreamAnswer> | null>,
  never,
  SnapshotStream
> = Effect.gen(function* () {
  const stream = yield* SnapshotStream
  const owners = yield* StreamOwners
  const orNull = <A, E>(self: Effect.Effect<A, E>) =>
    self.pipe(
      Effect.timeoutOption(WITHIN),
      Effect.map(Option.getOrNull),
      Effect.orElseSucceed(() => null)
    )
  return Effect.gen(function* () {
    const told = yield* orNull(Effect.map(owners, (owned) => ({ owned })))
    // Others may publish to more streams than this process, or have.
    const further = (told?.owned ?? []).map((one) => one.stream)
    return together(yield* orNull(stream.statsWith(further)), told)
  })
})

type Owned = { readonly owned: Effect.Success<typeof StreamOwners.Service> } | null

const together = (stats: StreamStats | null, told: Owned): ReadonlyArray<StreamAnswer> | null => {
  if (stats === null && told?.owned == null) return null
  const waiting = new Map((stats?.streams ?? []).map((one) => [one.stream, one]))
  const owned = new Map((told?.owned ?? []).map((one) => [one.stream, one]))
  const numbers = [...new Set([...waiting.keys(), ...owned.keys()])].sort((a, b) => a - b)
  const isInProcess = told !== null && told.owned === null
  return numbers.map((stream) => {
    const one = waiting.get(stream)
    const lease = owned.get(stream)
    return {
      stream,
      owner: isInProcess ? IN_PROCESS : (lease?.owner ?? null),
      isOwnerKnown: told !== null,
      ownedForSeconds: lease?.ownedFor ?? null,
      fence: lease?.fence ?? null,
      rows: one?.length ?? null,
      pending: one?.pending ?? null,
      waiting: one?.waiting ?? null,
      bound: one?.bound ?? null,
      bytes: one?.bytes ?? null,
      oldestSeconds: one?.oldestSeconds ?? null
    }
  })
}
