import { describe, expect, it } from "vitest"
import { isNetwork, makeNetworks } from "./Networks.ts"

describe("networks", () => {
  it("are addresses, with or without a number of bits", () => {
    for (const text of ["10.0.0.0/8", "10.1.2.3", "2001:db8::/32", "::1", "0.0.0.0/0"])
      expect(isNetwork(text)).toBe(true)
    for (const text of [
      "",
      "10.0.0",
      "10.0.0.0/33",
      "::1/129",
      "10.0.0.0/8/8",
      "10.0.0.0/-1",
      "host",
      "fe80::1%eth0"
    ]) {
      expect(isNetwork(text)).toBe(false)
    }
  })

  it("hold what is within them, whichever way it is written", () => {
    const within = makeNetworks(["10.0.0.0/8", "2001:db8::/32", "192.0.2.7"])
    for (const address of ["10.255.0.1", "::ffff:10.0.0.1", "2001:db8:ffff::1", "192.0.2.7"]) {
      expect([address, within(address)]).toEqual([address, true])
    }
    for (const address of ["11.0.0.1", "2001:db9::1", "192.0.2.8", "", "nonsense"]) {
      expect([address, within(address)]).toEqual([address, false])
    }
  })
})
