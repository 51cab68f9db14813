import { describe, expect, it } from "@effect/vitest"
import { Effect } from "effect"
import { makeTurns } from "./Turns.ts"

const pauses: Array<number> = []
/** Notes the pause instead of making one. */
const soon = (run: () => void, millis: number) => {
  pauses.push(millis)
  setImmediate(run)
}

describe("time is shared fairly", () => {
  it.effect("a server that used much waits for each turn, and one that used little never does", () =>
    Effect.gen(function* () {
      let millis = 0
      const turns = makeTurns(
        () => millis,
        () => false,
        soon
      )
      const order: Array<string> = []
      const work = (name: string, costs: number) => () => {
        millis += costs
        order.push(name)
      }
      const busy = ["busy 1", "busy 2", "busy 3"].map((name) => turns.take("busy", work(name, 200)))
      const quiet = Effect.andThen(
        Effect.sync(() => order.push("quiet comes")),
        turns.take("quiet", work("quiet", 1))
      )
      yield* Effect.all([...busy, turns.take("middling", work("middling", 30)), quiet], { concurrency: "unbounded" })
      // The first of each is at once: nobody knew them. Then one a turn.
      expect(order).toEqual(["busy 1", "middling", "quiet comes", "quiet", "busy 2", "busy 3"])
      // In between the event loop is the others' for as long as the one before took.
      expect(pauses).toEqual([0, 200])
    })
  )

  it.effect(
    "what takes long by its nature waits for its turn also the first time, and a small thing of another is never behind it",
    () =>
      Effect.gen(function* () {
        let millis = 0
        const turns = makeTurns(
          () => millis,
          () => false,
          soon
        )
        const order: Array<string> = []
        const work = (name: string, costs: number) => () => {
          millis += costs
          order.push(name)
        }
        pauses.length = 0
        const large = ["one", "two"].map((name) => turns.queue(name, work(name, 200)))
        yield* Effect.all([...large, turns.take("quiet", work("quiet", 1))], { concurrency: "unbounded" })
        expect(order).toEqual(["quiet", "one", "two"])
        expect(pauses).toEqual([0, 200])
      })
  )

  it.effect("of those who wait the one that used least comes first, and what was used is forgotten", () =>
    Effect.gen(function* () {
      let millis = 0
      const turns = makeTurns(
        () => millis,
        () => false,
        soon
      )
      const order: Array<string> = []
      const take = (serverId: string, costs: number) =>
        turns.take(serverId, () => {
          millis += costs
          order.push(serverId)
        })
      yield* take("a", 500)
      yield* take("b", 100)
      order.length = 0
      yield* Effect.all([take("a", 1), take("a", 1), take("b", 1)], { concurrency: "unbounded" })
      expect(order).toEqual(["b", "a", "a"])
      millis += 10_000
      order.length = 0
      yield* Effect.all([take("a", 1), take("b", 1)], { concurrency: "unbounded" })
      expect(order).toEqual(["a", "b"])
    })
  )

  it.effect("a defect is its own request's, and who goes away leaves the queue", () =>
    Effect.gen(function* () {
      let millis = 0
      const turns = makeTurns(
        () => millis,
        () => false,
        soon
      )
      yield* turns.take("a", () => {
        millis += 500
      })
      const [broken, fine] = yield* Effect.all(
        [
          Effect.exit(
            turns.take("a", () => {
              throw new Error("broken")
            })
          ),
          Effect.exit(turns.take("a", () => "fine"))
        ],
        { concurrency: "unbounded" }
      )
      expect(broken._tag).toBe("Failure")
      expect(fine).toMatchObject({ _tag: "Success", value: "fine" })
      let ran = false
      const gone = turns.take("a", () => {
        ran = true
      })
      yield* Effect.raceFirst(gone, Effect.void)
      yield* turns.take("a", () => undefined)
      expect(ran).toBe(false)
    })
  )
})
