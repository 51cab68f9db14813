/** Marks as the page keeps, bundles and tells them, without a browser. */
import { describe, expect, test } from "vitest"
import { bundlesOf, bundleText, countsOf, type Mark, taken, whatOf, withAlerts } from "../web/src/marks/Happened.ts"

const T = Date.parse("2025-10-30T12:00:00Z")
const iso = (seconds: number) => new Date(T + seconds * 1_000).toISOString()
const restart = (seconds: number): Mark => ({ kind: "restart", at: iso(seconds), exporter: "e" })
const note = (seconds: number, text: string): Mark => ({
  kind: "note",
  note_id: text,
  server_id: null,
  at: iso(seconds),
  text,
  author: "admin"
})
const outage = (seconds: number, until: number | null): Mark => ({
  kind: "outage",
  at: iso(seconds),
  exporter: "e",
  until: until === null ? null : iso(until)
})

describe("marks that are known", () => {
  test("are those of the latest answer in its window, and those known before in any other time", () => {
    const held = taken([], {
      window: { from: iso(0), to: iso(3_600) },
      marks: [restart(10), note(3_000, "gone since")]
    })
    const later = taken(held, { window: { from: iso(2_700), to: iso(3_660) }, marks: [restart(3_650)] })
    expect(later).toEqual([restart(10), restart(3_650)])
    expect(taken(later, { window: { from: iso(2_700), to: iso(3_660) }, marks: [restart(3_650)] })).toEqual(later)
  })

  test("an outage that began before the latest window ends when that says so, and is there once", () => {
    const held = taken([], { window: { from: iso(0), to: iso(3_600) }, marks: [outage(100, null)] })
    expect(taken(held, { window: { from: iso(3_000), to: iso(3_900) }, marks: [outage(100, 3_700)] })).toEqual([
      outage(100, 3_700)
    ])
  })
})

describe("marks under an axis", () => {
  const place = (time: number) => (time - T) / 1_000
  test("that are too close to be told apart are one, others are not", () => {
    const marks = [...Array.from({ length: 12 }, (_, n) => restart(n)), restart(100), note(101, "deploy")]
    const bundles = bundlesOf(marks, T, T + 200_000, place, 24)
    expect(bundles.map(({ marks, place }) => [place, marks.length])).toEqual([
      [0, 12],
      [100, 2]
    ])
    expect(bundleText(bundles[0]!, T)).toMatch(/^12 restarts, /)
    expect(countsOf(bundles[1]!.marks)).toBe("1 note, 1 restart")
  })

  test("outside of the chart are left out, but for what still lasts in it", () => {
    const marks = [outage(-500, 50), restart(-10), outage(-900, -800), restart(20), restart(900)]
    expect(bundlesOf(marks, T, T + 200_000, place, 5).map(({ place }) => place)).toEqual([0, 20])
  })

  test("have the alerts among them, but for those that tell of an act", () => {
    const alert = (resource: string, seconds: number) =>
      ({ ...{ alert_id: resource, fired_at: iso(seconds), resolved_at: null, rule: "r" }, resource }) as never
    const all = withAlerts([restart(20)], [alert("node", 10), alert("acts", 12), alert("signatures", 14)])
    expect(all.map(({ kind }) => kind)).toEqual(["alert", "restart"])
  })

  test("say what happened in words", () => {
    const plain = (mark: Mark) => whatOf(mark).replaceAll("\u202f", " ")
    expect(plain({ kind: "clock", at: iso(0), exporter: "e", by_seconds: -40 })).toBe("The clock was set back by 40 s")
    expect(plain(outage(0, 720))).toBe("e said nothing for 12 min")
    expect(plain(outage(0, null))).toBe("e said nothing from then on")
    expect(plain(note(0, "n\u043ede moved"))).toContain("look-alike")
  })
})
