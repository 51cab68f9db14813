/** Which message is sent next: by the rate of its route, and what its receiver has at hand. */
import { assert, describe, it } from "@effect/vitest"
import { type Load, nextOf, type Waiting } from "./Turn.ts"

/** Messages as "route receiver", with their places as ids. */
const waiting = (...all: ReadonlyArray<string>): ReadonlyArray<Waiting> =>
  all.map((one, n) => {
    const [route = "", receiver = ""] = one.split(" ")
    return { id: String(n), route, receiver }
  })

const load = (route: string, receiver: string, sent: number, underWay = 0): Load => ({
  route,
  receiver,
  sent,
  underWay
})

const next = (all: ReadonlyArray<Waiting>, loads: ReadonlyArray<Load> = [], rate = 3) =>
  nextOf(all, loads, () => rate).map(({ id }) => Number(id))

describe("the next message", () => {
  it("is the first one that its route's rate allows, alone while there is more to come of it", () => {
    const two = waiting("a ops", "a ops", "b ops")
    assert.deepStrictEqual(next([]), [])
    assert.deepStrictEqual(next(two), [0])
    assert.deepStrictEqual(next(two, [load("a", "ops", 1)]), [0])
    assert.deepStrictEqual(next(two, [load("a", "ops", 3)]), [2])
    assert.deepStrictEqual(next(two, [load("a", "ops", 3), load("b", "ops", 3)]), [])
    // What is being sent counts, too, and what another receiver got of the route does not.
    assert.deepStrictEqual(next(two, [load("a", "ops", 2, 1)]), [2])
    assert.deepStrictEqual(next(two, [load("a", "mail", 3)]), [0])
  })

  it("takes all that wait for the same route and receiver along where it is the last that the rate allows", () => {
    const all = waiting("a ops", "b ops", "a mail", "a ops", "a ops")
    assert.deepStrictEqual(next(all, [load("a", "ops", 2)]), [0, 3, 4])
    assert.deepStrictEqual(next(all, [], 1), [0, 3, 4])
    const many = waiting(...Array.from({ length: 150 }, () => "a ops"))
    assert.lengthOf(next(many, [], 1), 100)
  })

  it("is another receiver's where the first has two at hand, of whichever routes", () => {
    const all = waiting("a ops", "a mail")
    assert.deepStrictEqual(next(all, [load("a", "ops", 0, 1)]), [0])
    assert.deepStrictEqual(next(all, [load("b", "ops", 0, 1), load("c", "ops", 0, 1)]), [1])
    assert.deepStrictEqual(next(all, [load("b", "ops", 0, 2), load("b", "mail", 0, 2)]), [])
  })
})
