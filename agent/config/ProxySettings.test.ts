import { assert, describe, it } from "@effect/vitest"
import { Redacted, Result } from "effect"
import { type ProxyEnvironment, proxyFor, shownProxy } from "./ProxySettings.ts"

const SERVER = "https://pulse.example.org/base"
const PROXY = { HTTPS_PROXY: "http://proxy:3128" }

const shown = (address: string, environment: ProxyEnvironment, configured?: string): string | undefined => {
  const proxy = Result.getOrThrow(proxyFor(address, environment, configured))
  return proxy === undefined ? undefined : `${proxy.secure ? "https" : "http"} ${shownProxy(proxy)}`
}

describe("the proxy for an address", () => {
  it("is that of its scheme, lower case first, and none where there is none", () => {
    assert.strictEqual(shown(SERVER, {}), undefined)
    assert.strictEqual(shown(SERVER, { HTTPS_PROXY: " " }), undefined)
    assert.strictEqual(shown(SERVER, PROXY), "http proxy:3128")
    assert.strictEqual(shown(SERVER, { ...PROXY, https_proxy: "other:8080" }), "http other:8080")
    assert.strictEqual(shown(SERVER, { HTTP_PROXY: "http://proxy:3128" }), undefined)
    assert.strictEqual(shown("http://pulse.example.org", { HTTP_PROXY: "https://proxy" }), "https proxy:443")
    assert.strictEqual(shown("http://pulse.example.org", PROXY), undefined)
    assert.strictEqual(shown(SERVER, { HTTPS_PROXY: "http://[fd00::1]:3128/" }), "http [fd00::1]:3128")
  })

  it("is what nodepulse.yml says, whatever the environment says", () => {
    assert.strictEqual(shown(SERVER, PROXY, "none"), undefined)
    assert.strictEqual(shown(SERVER, { ...PROXY, NO_PROXY: "*" }, "http://mine:1"), "http mine:1")
  })

  it("is none for what NO_PROXY excepts", () => {
    const direct: ReadonlyArray<readonly [list: string, address: string]> = [
      ["*", SERVER],
      ["example.org", SERVER],
      [".example.org", SERVER],
      ["*.example.org", SERVER],
      ["a, pulse.example.org. ,b", SERVER],
      ["PULSE.example.org", SERVER],
      ["a b example.org", SERVER],
      ["pulse.example.org:443", SERVER],
      ["10.0.0.0/8", "https://10.1.2.3"],
      ["10.1.2.3", "https://10.1.2.3:8443"],
      ["fd00::/8", "https://[fd12::1]"],
      ["[fd12::1]:8443", "https://[fd12::1]:8443"],
      ["::2", "https://[::2]"]
    ]
    for (const [list, address] of direct) {
      assert.strictEqual(shown(address, { ...PROXY, NO_PROXY: list }), undefined, `${list} ${address}`)
      assert.strictEqual(shown(address, { ...PROXY, no_proxy: list }), undefined, `${list} ${address}`)
    }
    const led: ReadonlyArray<readonly [list: string, address: string]> = [
      ["", SERVER],
      [" , ", SERVER],
      ["ample.org", SERVER],
      ["pulse.example.org:8443", SERVER],
      ["10.0.0.0/8", "https://11.1.2.3"],
      ["10.0.0.0/99", "https://10.1.2.3"],
      ["10.1.2.3", "https://10.1.2.34"],
      ["fd00::/8", "https://10.1.2.3"]
    ]
    for (const [list, address] of led) {
      assert.strictEqual(shown(address, { ...PROXY, NO_PROXY: list }), "http proxy:3128", `${list} ${address}`)
    }
  })

  it("is none for this machine's own addresses", () => {
    for (const host of ["localhost", "127.0.0.1", "127.9.9.9", "[::1]", "db.localhost"]) {
      assert.strictEqual(shown(`https://${host}:8080`, PROXY), undefined, host)
    }
  })

  it("keeps user and password to itself, their escapes resolved", () => {
    const proxy = Result.getOrThrow(proxyFor(SERVER, { HTTPS_PROXY: "http://scott:ti%40ger@proxy:3128" }))!
    assert.notInclude(`${JSON.stringify(proxy)}${String(proxy.authorization)}`, btoa("scott:ti@ger"))
    assert.strictEqual(Redacted.value(proxy.authorization!), `Basic ${btoa("scott:ti@ger")}`)
  })

  it("is refused with the setting's name where it is no http proxy, and never shows it", () => {
    for (const value of [
      "socks5://scott:tiger@proxy:1080",
      "http://scott:tiger@",
      "http://scott:%zz-tiger@proxy",
      "a b:tiger"
    ]) {
      const failure = Result.getOrThrow(Result.flip(proxyFor(SERVER, { HTTPS_PROXY: value })))
      assert.match(failure, /^HTTPS_PROXY .*must be an address such as "http:\/\/proxy\.example\.org:3128"$/)
      assert.notInclude(failure, "tiger")
    }
    assert.match(
      Result.getOrThrow(Result.flip(proxyFor(SERVER, {}, "ftp://p"))),
      /^server\.proxy names a proxy of the kind "ftp"/
    )
  })
})
