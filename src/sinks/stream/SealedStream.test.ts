import { createSecretKey, type KeyObject, randomBytes } from "node:crypto"
import { describe, expect, it } from "@effect/vitest"
import { Effect } from "effect"
import { FORGED, sealed, UNSEALED } from "./SealedStream.ts"
import { Delivery, type SnapshotStream } from "./SnapshotStream.ts"
import type { StreamContent } from "./StreamEntry.ts"

const key = () => createSecretKey(randomBytes(32))

/** A stream that stores what is published, and hands out what it is given; sealed with these keys. */
const makeStream = (keys: ReadonlyArray<KeyObject>) => {
  const stored: Array<StreamContent> = []
  const handedOut: Array<Delivery> = []
  const bare: SnapshotStream["Service"] = {
    entry: "snapshot",
    publish: (contents) => Effect.sync(() => void stored.push(...contents)),
    subscribe: () =>
      Effect.succeed({
        read: () => Effect.sync(() => handedOut.splice(0)),
        acknowledge: () => Effect.void,
        release: () => Effect.void,
        postpone: () => Effect.void
      }),
    stats: Effect.die("not asked"),
    statsWith: () => Effect.die("not asked"),
    durability: Effect.succeed("memory")
  }
  const stream = sealed(bare, { fresh: Effect.succeed(keys), readFrom: () => {} })
  return {
    stored,
    publish: (...contents: ReadonlyArray<StreamContent>) => stream.publish(contents),
    read: (...contents: ReadonlyArray<StreamContent>) =>
      Effect.gen(function* () {
        handedOut.push(...contents.map((content) => new Delivery(content, 1, {})))
        const subscription = yield* stream.subscribe("test")
        return yield* subscription.read(100)
      }).pipe(Effect.scoped)
  }
}

const snapshots = (serverId: string, ...texts: ReadonlyArray<string>): StreamContent => ({
  serverId,
  exporterName: "suite",
  snapshots: texts
})
const scrape: StreamContent = { serverId: "a", exporterName: "suite", rows: 3, scrape: "[[1,2,3]]" }

describe("a sealed stream", () => {
  it.effect("hands out what was published as it was, with any of its keys", () =>
    Effect.gen(function* () {
      const [old, now] = [key(), key()]
      const before = makeStream([old])
      yield* before.publish(snapshots("a", '["x"]', '["é🦀"]'), scrape)
      expect(JSON.stringify(before.stored)).not.toContain('"snapshots":["[')
      const [one, other] = yield* makeStream([now, old]).read(...before.stored)
      expect(one!.content).toEqual(snapshots("a", '["x"]', '["é🦀"]'))
      expect([one!.from, one!.to]).toEqual([0, 2])
      expect(other!.content).toEqual(scrape)
    })
  )

  it.effect("refuses what has no seal, and what was sealed with another key", () =>
    Effect.gen(function* () {
      const other = makeStream([key()])
      yield* other.publish(snapshots("a", '["x"]'), scrape)
      const stream = makeStream([key()])
      const [forged, forgedScrape, bare, bareScrape] = yield* stream.read(
        ...other.stored,
        snapshots("a", '["x"]'),
        scrape
      )
      // The text is as it was published: who has the right key lost can store it all the same, by hand.
      expect(forged!.content).toEqual({ ...snapshots("a", '["x"]'), refused: FORGED })
      expect(forgedScrape!.content).toEqual({ ...scrape, refused: FORGED })
      expect(bare!.content).toEqual({ ...snapshots("a", '["x"]'), refused: UNSEALED })
      expect(bareScrape!.content).toEqual({ ...scrape, refused: UNSEALED })
    })
  )

  it.effect("refuses an entry that was changed, or copied to another server, exporter or kind", () =>
    Effect.gen(function* () {
      const stream = makeStream([key()])
      yield* stream.publish(snapshots("a", '["x"]'), scrape)
      const [good, goodScrape] = stream.stored as [
        Extract<StreamContent, { readonly snapshots: unknown }>,
        Extract<StreamContent, { readonly scrape: string }>
      ]
      const changed: ReadonlyArray<StreamContent> = [
        { ...good, serverId: "b" },
        { ...good, exporterName: "other" },
        { ...good, serverId: "as", exporterName: "uite" },
        { ...good, snapshots: [good.snapshots[0]!.replace("x", "y")] },
        { ...goodScrape, rows: 2 },
        { ...goodScrape, serverId: "b" },
        { serverId: "a", exporterName: "suite", snapshots: [goodScrape.scrape] },
        { serverId: "a", exporterName: "suite", rows: 1, scrape: good.snapshots[0]! }
      ]
      for (const delivery of yield* stream.read(...changed)) expect(delivery.content.refused).toBe(FORGED)
      const hostile = ["~", `~${"A".repeat(22)}.`, `~${"!".repeat(22)}.["x"]`, "", "~.".repeat(500)]
      for (const delivery of yield* stream.read(snapshots("a", ...hostile))) {
        expect(delivery.content.refused).toBeDefined()
      }
    })
  )

  it.effect("parts what is forged from what is not, where both are handed out together", () =>
    Effect.gen(function* () {
      const stream = makeStream([key()])
      yield* stream.publish(snapshots("a", "1", "2", "3"))
      const [content] = stream.stored as [Extract<StreamContent, { readonly snapshots: unknown }>]
      const [one, two, three] = content.snapshots
      const pieces = yield* stream.read(snapshots("a", one!, "forged", two!, three!))
      expect(pieces.map(({ content, from, to }) => [from, to, content.refused])).toEqual([
        [0, 1, undefined],
        [1, 2, UNSEALED],
        [2, 4, undefined]
      ])
    })
  )
})
