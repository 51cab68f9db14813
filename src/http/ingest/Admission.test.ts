import { describe, expect, it } from "@effect/vitest"
import { makeAdmission, type Ticket } from "./Admission.ts"

/** A small generator of numbers below `n`, the same for the same seed. */
const seeded = (seed: number) => (n: number) => {
  seed = (seed * 1_103_515_245 + 12_345) % 2_147_483_648
  return Math.floor((seed / 2_147_483_648) * n)
}

describe("the bounds hold whatever comes and goes", () => {
  for (const seed of [1, 42, 20_251_030]) {
    it(`10 000 random steps, seed ${seed}`, () => {
      const random = seeded(seed)
      const admission = makeAdmission(16, 1_000)
      const held: Array<Ticket> = []
      for (let step = 0; step < 10_000; step++) {
        const what = random(3)
        if (what === 0) {
          const ticket = admission.enter(`server-${random(5)}`)
          if (typeof ticket !== "string") held.push(ticket)
        } else if (what === 1 && held.length > 0) {
          admission.grow(held[random(held.length)]!, random(200))
        } else if (held.length > 0) {
          admission.leave(held.splice(random(held.length), 1)[0]!)
        }
        const now = admission.inFlight()
        expect(now.requests).toBe(held.length)
        expect(now.requests).toBeLessThanOrEqual(16)
        expect(now.bytes).toBeLessThanOrEqual(1_000)
        expect(now.bytes).toBe(held.reduce((sum, { bytes }) => sum + bytes, 0))
      }
      for (const ticket of held) admission.leave(ticket)
      expect(admission.inFlight()).toEqual({ requests: 0, bytes: 0, servers: 0 })
    })
  }
})

describe("no sender can take the others' share of the server", () => {
  it("it may take half of the places when nobody else is there, and then makes room for others", () => {
    const admission = makeAdmission(8, 1_000)
    for (let index = 0; index < 4; index++) expect(admission.enter("busy")).toBeTypeOf("object")
    expect(admission.enter("busy")).toBe("server_share")
    for (const quiet of ["a", "b", "c", "d"]) expect(admission.enter(quiet)).toBeTypeOf("object")
    expect(admission.enter("e")).toBe("requests")
  })

  it("many servers with one request each all come in", () => {
    const admission = makeAdmission(100, 1_000)
    for (let index = 0; index < 100; index++) expect(admission.enter(`server-${index}`)).toBeTypeOf("object")
  })
})
