import { describe, expect, it } from "@effect/vitest"
import { formatWanted, parseWanted } from "./AgentWants.ts"

const id = "0123456789abcdef0123456789abcdef"

describe("what a server wants of an agent", () => {
  it("is read as it was written", () => {
    for (const reason of ["alert", "asked"] as const) {
      expect(parseWanted(formatWanted({ id, reason }))).toEqual({ id, reason })
    }
  })

  it("is nothing where a header is anything else, or comes twice", () => {
    for (const header of [
      undefined,
      "",
      "recording",
      `recording;id=${id}`,
      `recording; id=${id}; reason=asked`,
      `recording;id=${id};reason=oom_kill`,
      `recording;id=${id.slice(1)};reason=asked`,
      `recording;id=${id.toUpperCase()};reason=asked`,
      `recording;id=${id};reason=asked;run=sh`,
      `recording;id=${id};reason=asked\n`,
      `command;id=${id};reason=asked`,
      [`recording;id=${id};reason=asked`, `recording;id=${id};reason=asked`]
    ]) {
      expect(parseWanted(header)).toBeUndefined()
    }
  })
})
