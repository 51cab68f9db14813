import { describe, expect, it } from "vitest"
import { makeNetworks } from "../../access/Networks.ts"
import { clientOf } from "./ClientAddress.ts"

const trusts = makeNetworks(["127.0.0.1", "10.0.0.0/8"])

describe("the client's address", () => {
  it("is the other end of the connection where no proxy is trusted, whatever the header says", () => {
    expect(clientOf("192.0.2.1", "198.51.100.1", undefined)).toBe("192.0.2.1")
    expect(clientOf("192.0.2.1", "198.51.100.1", trusts)).toBe("192.0.2.1")
  })

  it("is what the nearest trusted proxy has seen: what stands before that, anybody can have written", () => {
    expect(clientOf("::ffff:127.0.0.1", "203.0.113.9, 198.51.100.1", trusts)).toBe("198.51.100.1")
    expect(clientOf("127.0.0.1", "203.0.113.9, 198.51.100.1, 10.0.0.3", trusts)).toBe("198.51.100.1")
    expect(clientOf("127.0.0.1", "[2001:db8::1]", trusts)).toBe("2001:db8::1")
  })

  it("is the proxy's where the header holds no address", () => {
    expect(clientOf("127.0.0.1", "unknown", trusts)).toBe("127.0.0.1")
    expect(clientOf("127.0.0.1", "198.51.100.1, nonsense", trusts)).toBe("127.0.0.1")
  })
})
