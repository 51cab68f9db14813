/** The parts of the page that need no browser: numbers, columns, colours, what is taken away. */
import { describe, expect, test } from "vitest"
import type { Exporter, Group, Ranking } from "../web/src/ask/Api.ts"
import { SLOTS, slotsOf } from "../web/src/charts/Slots.ts"
import { beeswarm } from "../web/src/compare/Beeswarm.ts"
import { inUnit } from "../web/src/parts/Format.ts"
import { legible } from "../web/src/parts/Legible.ts"
import { cellsOf, tellsProportional } from "../web/src/server/Columns.ts"
import { csvOf, markdownOf } from "../web/src/server/TakeAway.ts"
import { pastSentence } from "../web/src/watch/Past.ts"

const rankingOf = (key: string, by: "rate" | "peak"): Ranking => ({
  key,
  column: key,
  by,
  share: null,
  unit: "bytes",
  ranked_by: key,
  on_demand: false,
  fields: { now: key, average: `avg_${key}`, peak: `peak_${key}`, total: null }
})

const exporterWith = (rankings: ReadonlyArray<Ranking>): Exporter => ({
  name: "e",
  title: "E",
  resource: "e",
  table: "e",
  endpoint: "",
  interval_seconds: 15,
  retention_seconds: null,
  opt_in: false,
  stale_after_seconds: 300,
  columns: [],
  history: [],
  host: null,
  top: {
    per: "name",
    default: rankings[0]!.key,
    presence: "count",
    rankings,
    labels: [],
    proportional: null,
    monitoring: [],
    also: [{ field: "count", column: "count", unit: "", doc: "", nullable: false }]
  }
})

describe("numbers", () => {
  test("a gauge below a second is shown in the unit that fits", () => {
    const shown = [0.25, 0.0031, 0.000_002, 2.5, 45, -0.02, 0].map((value) => inUnit(value, "seconds"))
    expect(shown.map((text) => text.replaceAll("\u202f", " "))).toEqual([
      "250 ms",
      "3.1 ms",
      "2 µs",
      "2.5 s",
      "45 s",
      "-20 ms",
      "0 s"
    ])
  })
})

describe("names", () => {
  test("what looks like another name says with which letters, in plain text too", () => {
    expect(legible("n\u043ede")).toBe("n\u043ede (look-alike letters: \u043e is U+043E)")
    expect(legible("\u0441\u043e\u0440\u0443")).toContain("U+0441")
    expect(legible("\uff4eginx")).toContain("U+FF4E")
  })
  test("an honest name of any alphabet is left alone", () => {
    for (const name of [
      "node",
      "\u0441\u0435\u0440\u0432\u0435\u0440",
      "\u65e5\u672c node",
      "\u03b4\u03b9\u03b1\u03ba\u03bf\u03bc\u03b9\u03c3\u03c4\u03ae\u03c2"
    ])
      expect(legible(name)).toBe(name)
  })
  test("blanks of every kind are seen", () => {
    expect(legible("   ")).toBe("␣␣␣")
    expect(legible("\u2800\u3164")).toBe("‹2800›‹3164›")
  })
})

describe("columns", () => {
  test("the ranking that is looked at comes first, and what it is ordered by is never left out", () => {
    const six = exporterWith(
      ["a", "b", "c", "d", "e", "f"].map((key, n) => rankingOf(key, n % 2 === 0 ? "rate" : "peak"))
    )
    for (const [metric, field] of [
      ["c", "avg_c"],
      ["d", "peak_d"]
    ] as const) {
      const cells = cellsOf(six, metric, { over: false, single: false })
      expect(cells.slice(0, 3).map((cell) => cell.of?.key)).toEqual([metric, metric, metric])
      expect(cells.find((cell) => cell.field === field)?.priority).toBe(0)
      // At 480 pixels those up to 1 are there: a name keeps half of that.
      expect(cells.filter(({ priority }) => priority <= 1).length).toBeLessThanOrEqual(3)
    }
  })
  test("what is over is called then, and of a single scrape there is one value", () => {
    const one = exporterWith([rankingOf("cpu", "rate"), rankingOf("memory", "peak")])
    const labels = (over: boolean, single: boolean) => cellsOf(one, "cpu", { over, single }).map(({ label }) => label)
    expect(labels(false, false)).toEqual(["CPU now", "avg", "peak", "Memory now", "peak", "Count"])
    expect(labels(true, true)).toEqual(["CPU then", "Memory then", "Count"])
  })
  test("memory that counts shared pages in each process is called RSS where PSS stands beside it", () => {
    const plain = exporterWith([rankingOf("cpu", "rate"), { ...rankingOf("memory", "peak"), share: "memory" }])
    const also = [...plain.top!.also, { field: "pss", column: "pss", unit: "bytes", doc: "", nullable: true }]
    const told: Exporter = { ...plain, top: { ...plain.top!, also, proportional: "pss" } }
    const labels = (rows: ReadonlyArray<Group>) =>
      cellsOf(told, "cpu", { over: false, single: false }, tellsProportional(told, rows)).map(({ label }) => label)
    expect(labels([{ name: "a", pss: null }])).toEqual(["CPU now", "avg", "peak", "Memory now", "peak", "Count"])
    expect(labels([{ name: "a", pss: 5 }])).toEqual(["CPU now", "avg", "peak", "RSS now", "peak", "Count", "PSS"])
  })
})

describe("colours", () => {
  test("a name keeps its colour in every company, and no two names of a view share one", () => {
    const names = Array.from({ length: 60 }, (_, n) => `process-${n}`)
    const first = slotsOf(names.slice(0, 8))
    expect(new Set(first.values()).size).toBe(8)
    expect(slotsOf(names.slice(0, 8).toReversed())).toEqual(first)
    for (let n = 0; n + 8 <= names.length; n += 4) {
      const view = slotsOf(names.slice(n, n + 8))
      expect(new Set(view.values()).size).toBe(8)
      for (const slot of view.values()) expect(slot).toBeLessThan(SLOTS)
    }
    expect(slotsOf(names.slice(0, 8))).toEqual(first)
  })
})

describe("what is taken away", () => {
  const sheet = {
    title: "web-1 | 14:00",
    address: "https://nodepulse.example/servers/web-1",
    name: "Process",
    columns: [
      { head: "CPU now", field: "cpu" },
      { head: "avg", field: "avg_cpu" }
    ],
    rows: [
      { name: `=cmd|"x",1`, shown: ["1.5", "2"], values: [1.5, 2] },
      { name: "<b>a|b</b>\n", shown: ["–", "1"], values: [null, 1] }
    ],
    rest: [{ name: "Total", shown: ["1.5", ""], values: [1.5, undefined] }]
  }
  test("a name breaks no Markdown table", () => {
    const lines = markdownOf(sheet).split("\n")
    expect(lines[0]).toBe("**web-1 \\| 14:00** · <https://nodepulse.example/servers/web-1>")
    expect(lines[5]).toBe("| \\<b\\>a\\|b\\</b\\>↵ | – | 1 |")
    expect(lines[6]).toBe("| *Total* | 1.5 |  |")
  })
  test("a name breaks no CSV, and is no formula in a spreadsheet", () => {
    expect(csvOf(sheet).split("\r\n")).toEqual([
      "Process,cpu,avg_cpu",
      `"'=cmd|""x"",1",1.5,2`,
      `"<b>a|b</b>\n",,1`,
      "Total,1.5,",
      ""
    ])
  })
})

describe("the dots of a strip plot", () => {
  const drawn = (values: ReadonlyArray<number | null>) =>
    beeswarm(values, { width: 400, height: 100, max: 100, radius: 5 })

  test("stand at their values, as exactly as a dot is wide, and what is not known has none", () => {
    const values = [0, 12.3, null, 50, 100]
    const dots = drawn(values)
    expect(dots.map(({ place }) => place).sort()).toEqual([0, 1, 3, 4])
    for (const { place, x } of dots) expect(Math.abs(x - (values[place] ?? 0) * 4)).toBeLessThanOrEqual(5)
    expect(drawn([])).toEqual([])
    expect(beeswarm([0, 0], { width: 400, height: 100, max: 0, radius: 5 }).map(({ x }) => x)).toEqual([0, 0])
  })

  test("stand beside each other where values are alike, and closer together where they would not fit", () => {
    for (const count of [3, 9, 1_000]) {
      const heights = drawn(Array.from({ length: count }, () => 50)).map(({ y }) => y)
      expect(new Set(heights).size).toBe(count)
      expect(Math.max(...heights.map(Math.abs))).toBeLessThanOrEqual(50)
    }
  })
})

describe("a back-test in a sentence", () => {
  const said = (tried: number, ...servers: ReadonlyArray<string>) =>
    pastSentence({
      window: { from: "2025-10-23T12:00:00.000000Z", to: "2025-10-30T12:00:00.000000Z" },
      rules: [
        {
          ...{ name: "r", sentence: "", severity: "warning", more: 0, servers: 9, tried },
          incidents: servers.map((server_id) => ({
            ...{ server_id, group: "g", value: 1 },
            from: "2025-10-29T12:00:00.000000Z",
            to: "2025-10-29T12:42:00.000000Z"
          }))
        }
      ]
    })

  test("says how often, how long, and where", () => {
    expect(said(9)).toBe("It would not have fired in the last 7 days.")
    expect(said(9, "a")).toBe("Once in the last 7 days, for 42\u202fmin, on a only")
    expect(said(9, "a", "b", "b")).toBe("3 times in the last 7 days, longest 42\u202fmin, on 2 of 9 servers")
  })

  test("says of how many servers it speaks, where there was no time for all, and what to do", () => {
    const only = "Only 4 of 9 servers could be tried in time: name fewer for all of them."
    expect(said(4)).toBe(`It would not have fired in the last 7 days. ${only}`)
    expect(said(4, "a", "b")).toBe(`2 times in the last 7 days, longest 42\u202fmin, on 2 of 4 servers. ${only}`)
    expect(said(0)).toBe("None of 9 servers could be tried in time: name fewer servers.")
  })
})
