import { describe, expect, it } from "vitest"
import { IN_ALL, makeGuesses, PER_ADDRESS } from "./Guesses.ts"

const start = () => {
  let now = 1_000_000
  const guesses = makeGuesses(() => now)
  return {
    ...guesses,
    pass: (millis: number) => {
      now += millis
    },
    fail: (address: string, times: number) => {
      for (let index = 0; index < times; index++) guesses.failed(address)
    }
  }
}

describe("guesses", () => {
  it("from one address are counted, and it has to wait when it has used its tries up; others do not", () => {
    const { fail, pass, wait } = start()
    fail("10.0.0.1", PER_ADDRESS.burst - 1)
    expect(wait("10.0.0.1")).toBe(0)
    fail("10.0.0.1", 1)
    expect(wait("10.0.0.1")).toBeCloseTo(1 / PER_ADDRESS.perSecond)
    expect(wait("10.0.0.2")).toBe(0)
    pass(1_000 / PER_ADDRESS.perSecond)
    expect(wait("10.0.0.1")).toBe(0)
  })

  it("from a whole IPv6 network of 64 bits are those of one address", () => {
    const { fail, wait } = start()
    fail("2001:db8:1:2::1", PER_ADDRESS.burst / 2)
    fail("2001:db8:1:2:ffff:0:0:9", PER_ADDRESS.burst / 2)
    expect(wait("2001:0db8:0001:0002::5")).toBeGreaterThan(0)
    expect(wait("2001:db8:1:3::1")).toBe(0)
    expect(wait("2001:db8::1")).toBe(0)
  })

  it("an IPv4 address is the same however the system writes it", () => {
    const { fail, wait } = start()
    fail("::ffff:10.0.0.1", PER_ADDRESS.burst)
    expect(wait("10.0.0.1")).toBeGreaterThan(0)
  })

  it("from everywhere together have a bound too", () => {
    const { fail, pass, wait } = start()
    for (let index = 0; index < IN_ALL.burst; index++) fail(`10.1.${index >> 8}.${index & 255}`, 1)
    expect(wait("192.0.2.1")).toBeCloseTo(1 / IN_ALL.perSecond)
    pass(10_000)
    expect(wait("192.0.2.1")).toBe(0)
  })
})
