import { assert, describe, it } from "@effect/vitest"
import { type AgentHello, formatHello, hashOf, parseHello } from "./AgentHello.ts"

const hello: AgentHello = {
  name: "web-1",
  machine: hashOf("machine", "m"),
  boot: hashOf("boot", "b"),
  start: hashOf("start", "1"),
  after: [hashOf("start", "0")],
  sequence: 12,
  intervalSeconds: 15,
  sent: 1_764_378_549.123,
  step: { seconds: -60.002, at: 1_764_378_500.001 },
  corrected: -1_200
}

describe("what an agent says of itself", () => {
  it("arrives as it was sent", () => assert.deepStrictEqual(parseHello(formatHello(hello)), hello))

  it("names exporters that match nothing, and nothing that is no exporter's name", () => {
    const told = { ...hello, unmatched: ["process_exporter", "redis_exporter"] }
    assert.deepStrictEqual(parseHello(formatHello(told)), told)
    const odd = formatHello({ ...hello, unmatched: ["a;b", "x\r\n", "", "Ünmatched", ...Array(99).fill("many")] })
    assert.deepStrictEqual(parseHello(odd)?.unmatched, Array(8).fill("many"))
    assert.isUndefined(parseHello(formatHello({ ...hello, unmatched: [] }))?.unmatched)
  })

  it("names exporters that are over a limit, with the limit, and believes no other text", () => {
    const refused = [
      { exporter: "process_exporter", limit: "series", most: 50_000 },
      { exporter: "redis_exporter", limit: "body", most: 4_194_304 }
    ] as const
    assert.deepStrictEqual(parseHello(formatHello({ ...hello, refused }))?.refused, refused)
    const told = (text: string) => parseHello(`${formatHello(hello)}; refused=${text}`)?.refused
    for (const odd of [
      "",
      "x",
      "x/body",
      "x/body/",
      "x/body/0",
      "x/body/-1",
      "x/body/1e9",
      "x/label/5",
      "x/body/5/6"
    ]) {
      assert.isUndefined(told(odd), odd)
    }
    assert.isUndefined(told(`x/body/${"9".repeat(13)}`))
    assert.isUndefined(told(`${"x".repeat(41)}/body/5`))
    assert.lengthOf(told(Array(99).fill("x/body/5").join()) ?? [], 1)
    assert.lengthOf(told(Array.from({ length: 99 }, (_, n) => `x/body/${n + 1}`).join()) ?? [], 8)
    const evil = { exporter: "a;b\r\nx-evil: 1", limit: "body", most: 1 } as const
    assert.notInclude(formatHello({ ...hello, refused: [evil, { ...evil, most: Number.NaN }] }), "refused")
  })

  it("says what it does without to keep within its budget, and is believed in nothing else", () => {
    for (const restrained of [
      { causes: ["cpu"], interval: 2, groups: null, recorder: true },
      { causes: ["cpu", "memory"], interval: 4, groups: 500, recorder: false },
      { causes: ["memory"], interval: 1, groups: 250, recorder: true }
    ] as const) {
      assert.deepStrictEqual(parseHello(formatHello({ ...hello, restrained }))?.restrained, restrained)
    }
    assert.include(
      formatHello({ ...hello, restrained: { causes: ["cpu"], interval: 4, groups: 500, recorder: false } }),
      "; restrained=cpu,interval:4,groups:500,recorder:off"
    )
    const told = (text: string) => parseHello(`${formatHello(hello)}; restrained=${text}`)?.restrained
    for (const odd of ["", "interval:4", "disk,interval:4", "CPU", "cpu:1"]) assert.isUndefined(told(odd), odd)
    assert.deepStrictEqual(told("cpu,interval:3,groups:-1,groups:1e9,groups:0,recorder:maybe,x"), {
      ...{ causes: ["cpu"], interval: 1, groups: null, recorder: true }
    })
    assert.isUndefined(told(`${"x,".repeat(99)}cpu`))
  })

  it("fits into a header, and tells no id but its hash, whatever the machine is called", () => {
    const text = formatHello({
      ...hello,
      name: "Büro\r\nx-evil: 1; start=…".repeat(99),
      after: Array(99).fill(hello.start),
      unmatched: Array(99).fill("x".repeat(40)),
      refused: Array(99).fill({ exporter: "x".repeat(40), limit: "series", most: 999_999_999_999 })
    })
    assert.match(text, /^[\x20-\x7e]{1,1500}$/)
    assert.strictEqual(parseHello(text)?.start, hello.start)
    assert.notInclude(formatHello({ ...hello, machine: hashOf("machine", "secret-id") }), "secret-id")
    assert.notStrictEqual(hashOf("machine", "x"), hashOf("boot", "x"))
  })

  it("is as good as absent where it names nobody, and loses only the part that cannot be read", () => {
    for (const header of [undefined, "", ";;;=", "machine=x; boot=y; start=z", "a".repeat(9_999), ["a", "b"]]) {
      assert.isUndefined(parseHello(header))
    }
    const odd = parseHello(
      `machine=${hello.machine}; boot=${hello.boot}; start=${hello.start}; seq=-4; interval=1e9; sent=NaN; step=1; corrected=Infinity; after=x,,${hello.boot}; future=1`
    )
    assert.deepStrictEqual(odd, {
      ...hello,
      name: "",
      after: [hello.boot],
      sequence: 0,
      sent: undefined,
      step: undefined,
      corrected: undefined
    })
  })
})
