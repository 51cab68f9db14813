import { describe, expect, test } from "vitest"
import { figure, share, signed, table } from "./Table.ts"

const lines = (columns: number, names: ReadonlyArray<string>) =>
  table(
    ["CPU%", "NAME"],
    names.map((text, n) => [{ text: String(10 ** n) }, { text }]),
    columns
  ).map((line) => line.map(({ text }) => text).join(""))

describe("a table", () => {
  test("aligns numbers to the right and cuts names, never numbers, to the width of the terminal", () => {
    expect(lines(14, ["postgres", "a-very-long-name", "ok"])).toEqual([
      "CPU%  NAME",
      "   1  postgres",
      "  10  a-very-…",
      " 100  ok"
    ])
    expect(lines(6, ["postgres"])).toEqual(["CPU%  …", "   1  …"])
  })

  test("is whole in a pipe", () => {
    expect(lines(Number.POSITIVE_INFINITY, ["x".repeat(5_000)])[1]).toHaveLength(5_006)
  })

  test("counts cells as a terminal does: wide characters are two, what is escaped is as wide as it is shown", () => {
    expect(lines(12, ["名前名前"])[1]).toBe("   1  名前…")
    expect(lines(12, ["a\u001bbc"])[1]).toBe("   1  a\\u00…")
  })
})

test("figures keep their digits aligned, and say what is not known", () => {
  expect([0, 0.04, 3.25, 400].map((value) => figure(value, "percent"))).toEqual(["0.0", "0.0", "3.3", "400.0"])
  expect([0, 9.96, 512, 2048, 3 * 1024 * 1024].map((value) => figure(value, "mb"))).toEqual([
    "0.0M",
    "10.0M",
    "512M",
    "2.0G",
    "3.0T"
  ])
  expect([3, 2.5, 123.4].map((value) => figure(value, ""))).toEqual(["3", "2.50", "123"])
  expect([null, undefined, "x"].map((value) => figure(value, "mb"))).toEqual(["–", "–", "–"])
  expect([signed(-3, "percent"), signed(3, "mb"), signed(0, "")]).toEqual(["-3.0", "+3.0M", "+0"])
  expect([share(1), share(0.996), share(-0.33), share(0)]).toEqual(["100 %", "99.6 %", "-33 %", "0 %"])
})
