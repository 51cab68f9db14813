import { describe, expect, test } from "vitest"
import { doubtful, fine, render, sizeText, wrong } from "./Diagnosis.ts"
import { skewOf } from "./DoctorAgent.ts"

describe("what the doctor says", () => {
  test("is one line for each check, and what to do below those that are not well", () => {
    const text = render([
      fine("config", "is valid"),
      doubtful("spool", "is in memory", "set buffer.path"),
      wrong("a", "b", "c")
    ])
    expect(text.split("\n")).toEqual([
      "ok    config  is valid",
      "warn  spool   is in memory",
      "              -> set buffer.path",
      "FAIL  a       b",
      "              -> c"
    ])
  })

  test("has sizes as people read them", () => {
    expect([0, 1, 1023, 1024, 1536, 1024 ** 2 * 256, 1024 ** 5].map(sizeText)).toEqual([
      "0 B",
      "1 B",
      "1023 B",
      "1.0 KiB",
      "1.5 KiB",
      "256 MiB",
      "1024 TiB"
    ])
  })

  test("is a failure where the clock is so far ahead that rows are refused, a doubt where it merely shows", () => {
    const date = "Thu, 30 Oct 2025 12:00:00 GMT"
    const at = (seconds: number) => skewOf(date, Date.parse(date) + seconds * 1000)[0]
    expect(at(700)).toMatchObject({ state: "failure", saw: expect.stringContaining("ahead of") })
    expect(at(60)?.state).toBe("warning")
    expect(at(-3600)).toMatchObject({ state: "warning", saw: expect.stringContaining("behind") })
    expect(at(1)?.state).toBe("ok")
    expect(skewOf(undefined, 0)).toEqual([])
    expect(skewOf("yesterday", 0)).toEqual([])
  })
})
