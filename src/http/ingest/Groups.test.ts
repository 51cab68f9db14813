import { describe, expect, it } from "@effect/vitest"
import { nodeExporter } from "../../plugins/node-exporter/NodeExporter.ts"
import { processExporter } from "../../plugins/process-exporter/ProcessExporter.ts"
import { makeWires } from "../../plugins/Wire.ts"
import { makeGroups } from "./Groups.ts"

const HOUR = 3_600_000
const wires = makeWires([nodeExporter(), processExporter()])

const started = (groupsMax: number, newGroupsPerHour: number) => {
  let millis = 0
  const groups = makeGroups({ groupsMax, newGroupsPerHour }, () => millis)
  const send = (name: string, serverId = "web-1") => groups.of(serverId)("process_exporter", name)?.code
  return {
    groups,
    send,
    all: (prefix: string, count: number, serverId?: string) =>
      Array.from({ length: count }, (_, index) => send(`${prefix} ${index}`, serverId)).filter(
        (code) => code === undefined
      ).length,
    pass: (time: number) => {
      millis += time
    }
  }
}

describe("a server's groups are bounded", () => {
  it("so many within a day are let in, whatever their names, and the next is told why", () => {
    const { all, send } = started(100, 1_000)
    expect(all("a", 100)).toBe(100)
    expect(send("x".repeat(10_000))).toBe("too_many_groups")
    expect(all("a", 100)).toBe(100)
  })

  it("so many new ones are let in an hour, and those that are known cost nothing", () => {
    const { all, pass } = started(1_000, 10)
    expect(all("a", 600)).toBe(600)
    expect(all("b", 500)).toBe(400)
    pass(HOUR)
    expect(all("a", 600)).toBe(600)
    expect(all("c", 100)).toBe(0)
    pass(25 * HOUR)
    expect(all("d", 1_000)).toBe(250 + 10)
  })

  it("one that was refused stays refused while it is sent, though there is room again, and one let in stays let in", () => {
    const { all, pass, send } = started(10, 3_600)
    expect(all("a", 10)).toBe(10)
    expect(send("late")).toBe("too_many_groups")
    for (let hours = 0; hours < 48; hours += 6) {
      pass(6 * HOUR)
      expect(send("late")).toBe("too_many_groups")
      expect(send("a 0")).toBeUndefined()
    }
    expect(send("other")).toBeUndefined()
    pass(25 * HOUR)
    expect(send("late")).toBeUndefined()
  })

  it("two hundred thousand names cost no more memory than twice the bound, and a neighbour nothing", () => {
    const { all, pass, send } = started(100, 1_000)
    expect(all("hostile", 200_000)).toBe(100)
    pass(HOUR)
    expect(send("hostile 1")).toBeUndefined()
    expect(send("hostile 199999")).toBe("too_many_groups")
    expect(all("quiet", 100, "web-2")).toBe(100)
  })

  it("an exporter without labels has no groups", () => {
    const { groups } = started(1, 1)
    const at = Date.parse("2025-10-30T12:00:00Z")
    const refuse = groups.of("web-1")
    const node = wires.get("node_exporter")!.reader({ serverId: "web-1", nowMicros: at * 1_000, refuse })
    const process = wires.get("process_exporter")!.reader({ serverId: "web-1", nowMicros: at * 1_000, refuse })
    const row = (index: number) => ({
      timestamp: new Date(at).toISOString(),
      cpu_user_seconds_total: index,
      name: `group ${index}`,
      num_procs: 1,
      cpu_seconds_total: index,
      memory_bytes: 4096
    })
    const codes = Array.from({ length: 10 }, (_, index) => [node.add(row(index))?.code, process.add(row(index))?.code])
    expect(codes.map(([code]) => code)).toEqual(Array(10).fill(undefined))
    expect(codes.map(([, code]) => code)).toEqual([undefined, ...Array(9).fill("too_many_groups")])
    expect(process.snapshots().columns[0]).toEqual(["group 0"])
  })
})
