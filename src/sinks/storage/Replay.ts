/**
 * Replays dead letters: what could not be stored once is tried again, as digest does it.
 *
 * Guarantee: what it calls stored is committed, and a row that is there already changes nothing; so a replay that is cut off
 * anywhere is simply run again. One letter that still cannot be stored harms no other: the reason of today is told. It drops
 * no letter: whoever replays does, and says so in the audit.
 *
 * It goes straight to the rows and not through the stream: it then also works where the stream is in another process, and
 * the outcome of every letter is known when it returns. Bound: the letters it is given.
 */
import { Context, Effect, Layer, Result } from "effect"
import { Registry } from "../../plugins/Registry.ts"
import type { Snapshot } from "../../plugins/Snapshot.ts"
import { makeSnapshotCodec } from "../../plugins/SnapshotCodec.ts"
import { makeWires } from "../../plugins/Wire.ts"
import type { DatabaseUnavailable } from "./DatabaseUnavailable.ts"
import type { DeadLetter } from "./DeadLetters.ts"
import { SnapshotRows } from "./SnapshotRows.ts"

export interface Replayed {
  /** These are rows now. */
  readonly stored: ReadonlyArray<DeadLetter>
  readonly failed: ReadonlyArray<{ readonly letter: DeadLetter; readonly reason: string }>
}

export class Replay extends Context.Service<
  Replay,
  { readonly replay: (letters: ReadonlyArray<DeadLetter>) => Effect.Effect<Replayed, DatabaseUnavailable> }
>()("nodepulse/sinks/Replay") {
  static readonly layer: Layer.Layer<Replay, never, Registry | SnapshotRows> = Layer.effect(
    Replay,
    Effect.suspend(() => make)
  )
}

interface Decoded {
  readonly letter: DeadLetter
  readonly snapshot: Snapshot
}

const make = Effect.gen(function* () {
  const { exporters } = yield* Registry
  const rows = yield* SnapshotRows
  const codec = makeSnapshotCodec(makeWires(exporters))

  /** Stores all, or halves them until the guilty one is alone. */
  const store = (exporter: string, batch: ReadonlyArray<Decoded>): Effect.Effect<Replayed, DatabaseUnavailable> =>
    rows
      .insert(
        exporter,
        batch.map(({ snapshot }) => snapshot)
      )
      .pipe(
        Effect.as<Replayed>({ stored: batch.map(({ letter }) => letter), failed: [] }),
        Effect.catchTag("RowsRefused", ({ message }) => {
          const [first] = batch
          if (batch.length === 1)
            return Effect.succeed({ stored: [], failed: [{ letter: first!.letter, reason: message }] })
          const middle = batch.length >> 1
          return Effect.zipWith(store(exporter, batch.slice(0, middle)), store(exporter, batch.slice(middle)), both)
        }),
        // Those stay letters; the others are tried without them.
        Effect.catchTag("ServersWait", ({ reason, servers }) => {
          const isWaiting = ({ letter }: Decoded) => servers.has(letter.serverId)
          const failed = batch.filter(isWaiting).map(({ letter }) => ({ letter, reason }))
          const rest = batch.filter((one) => !isWaiting(one))
          const waiting: Replayed = { stored: [], failed }
          return rest.length === 0
            ? Effect.succeed(waiting)
            : Effect.map(store(exporter, rest), (stored) => both(waiting, stored))
        }),
        // They come from no stream.
        Effect.catchTag("LeaseLost", Effect.die)
      )

  return Replay.of({
    replay: Effect.fn("Replay.replay")(function* (given) {
      const byExporter = new Map<string, Array<Decoded>>()
      const failed: Array<Replayed["failed"][number]> = []
      for (const letter of given) {
        const decoded = codec.decode({
          serverId: letter.serverId,
          exporterName: letter.exporter,
          snapshot: letter.payload
        })
        if (Result.isFailure(decoded)) {
          failed.push({ letter, reason: decoded.failure })
          continue
        }
        const batch = byExporter.get(letter.exporter)
        if (batch === undefined) byExporter.set(letter.exporter, [{ letter, snapshot: decoded.success }])
        else batch.push({ letter, snapshot: decoded.success })
      }
      let replayed: Replayed = { stored: [], failed }
      for (const [exporter, batch] of byExporter) replayed = both(replayed, yield* store(exporter, batch))
      return replayed
    })
  })
})

const both = (a: Replayed, b: Replayed): Replayed => ({
  stored: [...a.stored, ...b.stored],
  failed: [...a.failed, ...b.failed]
})
