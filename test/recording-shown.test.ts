/** What the page makes of a recording: who grew until a kill, and in which words. */
import { describe, expect, it } from "@effect/vitest"
import { grownBefore, mostBy, processesOf, type Recording, unitsOf, until } from "../web/src/recordings/Hottest.ts"
import { type Kill, limitText, shows, victimText } from "../web/src/recordings/RecordingWords.ts"

const END = Date.UTC(2025, 9, 30, 12)
const recording = {
  to: new Date(END).toISOString(),
  at: [-4, -3, -2, -1, 0],
  processes: [
    { name: "hog", pid: 9, unit: "hog.service", cpu: [null, 1, 2, 3, null], memory_bytes: [null, 10, 90, 100, null] },
    { name: "late", pid: 7, unit: "", cpu: [0, 0, 0, 0, 80], memory_bytes: [5, 5, 5, 5, 5_000] },
    { name: "still", pid: 8, unit: "", cpu: [null, null, null, null, null], memory_bytes: [50, 50, 50, 50, 50] }
  ],
  units: [{ name: "hog.service", limit_bytes: 100, cpu: [1, 1, 1, 1, 1], memory_bytes: [20, 30, 100, 100, 10] }]
} as unknown as Recording

const kill: Kill = {
  ...{ at: new Date(END).toISOString(), name: "hog", pid: 9, unit: "hog.service", memory_bytes: 66_060_288 },
  ...{ scope: "unit", limited: "hog.service", limit_bytes: 67_108_864, source: "kernel" }
}

describe("who grew", () => {
  it("is told by how much more they held at most than when they were first seen", () => {
    const grew = mostBy(processesOf(recording), "grew", 5)
    expect(grew.map(({ grew, name }) => [name, grew])).toEqual([
      ["late", 4_995],
      ["hog", 90]
    ])
    expect(mostBy(unitsOf(recording), "grew", 5)).toMatchObject([{ name: "hog.service", grew: 80, peakCpu: 1 }])
  })

  it("names those of the unit whose limit was reached before all others", () => {
    const names = (one: Kill) => grownBefore(processesOf(recording), one, 5).map(({ name }) => name)
    expect(names(kill)).toEqual(["hog", "late"])
    expect(names({ ...kill, pid: null })).toEqual(["hog", "late"])
    expect(names({ ...kill, scope: "host" })).toEqual(["late", "hog"])
  })

  it("until a kill leaves out what came after it", () => {
    const before = until(recording, END / 1_000 - 1)
    expect(mostBy(processesOf(before), "grew", 5).map(({ name }) => name)).toEqual(["hog"])
  })
})

describe("a kill", () => {
  it("is told with the victim, what it held, and whose limit was reached", () => {
    expect(victimText(kill)).toBe("hog (9) in hog.service")
    expect(limitText(kill)).toBe("It held 63\u202fMiB. The limit of hog.service, 64\u202fMiB, was reached.")
    const unknown: Kill = {
      ...kill,
      name: null,
      pid: null,
      unit: null,
      memory_bytes: null,
      scope: "host",
      limited: null
    }
    expect(victimText(unknown)).toBe("A process")
    expect(limitText(unknown)).toBe("The machine had no memory left.")
    expect(limitText({ ...kill, scope: "unknown" })).toContain("not known")
  })

  it("cannot repaint the page by its name", () => {
    expect(victimText({ ...kill, name: "a\u202eb\u001b[2J" })).not.toMatch(/[\u202e\u001b]/)
  })
})

describe("the recording of an alert", () => {
  it("is one whose time it fired in, or that was made right after", () => {
    const span = { from: new Date(END - 900_000).toISOString(), to: new Date(END).toISOString() }
    expect(shows(span, END - 60_000)).toBe(true)
    expect(shows(span, END + 10_000)).toBe(true)
    expect(shows(span, END + 60_000)).toBe(false)
    expect(shows(span, END - 1_000_000)).toBe(false)
  })
})
