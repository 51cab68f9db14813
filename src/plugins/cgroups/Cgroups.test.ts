import { describe, expect, it } from "@effect/vitest"
import { Result } from "effect"
import { conformance } from "../Conformance.ts"
import type { Sample } from "../Exposition.ts"
import { cgroups } from "./Cgroups.ts"

conformance(cgroups, { fixtures: new URL("./fixtures/", import.meta.url) })

const CPU = "container_cpu_usage_seconds_total"
const cpu = (id: string, value: number, labels: Readonly<Record<string, string>> = {}): Sample => ({
  name: CPU,
  labels: { id, cpu: "total", ...labels },
  value
})
const of = (name: string, id: string, value: number): Sample => ({ name: `container_${name}`, labels: { id }, value })
const parse = (samples: ReadonlyArray<Sample>) => Result.getOrThrow(cgroups().parse(samples, new Date(60_000)))
const rowsOf = (samples: ReadonlyArray<Sample>) =>
  new Map(parse(samples).rows.map((row) => [`${row.slice}/${row.unit}`, row]))

describe("the rows of a scrape", () => {
  it("add up to the root, whatever the tree: a partition", () => {
    let seed = 7
    const random = () => {
      seed = (seed * 48_271) % 0x7fffffff
      return seed / 0x7fffffff
    }
    const segments = [
      "a.slice",
      "b.service",
      "docker",
      "user.slice",
      "user-1.slice",
      "session-2.scope",
      "c",
      "kubepods"
    ]
    for (let round = 0; round < 200; round++) {
      const used = new Map<string, number>([["/", Math.floor(random() * 1e6)]])
      for (let made = 0; made < 40; made++) {
        const paths = [...used.keys()]
        const parent = paths[Math.floor(random() * paths.length)]!
        const path = `${parent === "/" ? "" : parent}/${segments[Math.floor(random() * segments.length)]}`
        if (used.has(path)) continue
        const micros = Math.floor(random() * 1e6)
        for (let at = path; ; at = at.slice(0, at.lastIndexOf("/")) || "/") {
          used.set(at, (used.get(at) ?? 0) + micros)
          if (at === "/") break
        }
      }
      const rows = parse([...used].map(([id, micros]) => cpu(id, micros / 1e6))).rows
      const sum = rows.reduce((total, row) => total + Math.round(Number(row.cpu_seconds_total) * 1e6), 0)
      expect(sum).toBe(used.get("/"))
      expect(new Set(rows.map(({ slice, unit }) => `${slice}/${unit}`)).size).toBe(rows.length)
    }
  })

  it("take a cgroup off the nearest one above it that is listed", () => {
    const rows = rowsOf([cpu("/", 10), cpu("/system.slice/system-x.slice/x@1.service", 4)])
    expect(rows.get("/(kernel)")).toMatchObject({ cpu_seconds_total: 6 })
    expect(rows.get("system-x.slice/x@1.service")).toMatchObject({ cpu_seconds_total: 4 })
  })

  it("are never below zero where a cgroup was read before those in it", () => {
    const rows = rowsOf([cpu("/", 10), cpu("/system.slice", 3.9), cpu("/system.slice/x.service", 4)])
    expect(rows.get("/system.slice")).toMatchObject({ cpu_seconds_total: 0 })
  })

  it("sum a user's sessions, and count what no session used, too", () => {
    const user = "/user.slice/user-1000.slice"
    const rows = rowsOf([
      ...[cpu("/user.slice", 10), cpu(user, 9), cpu(`${user}/session-1.scope`, 3), cpu(`${user}/session-2.scope`, 4)],
      ...[of("processes", `${user}/session-1.scope`, 2), of("processes", `${user}/session-2.scope`, 3)]
    ])
    expect(rows.get("user.slice/user 1000")).toMatchObject({ cpu_seconds_total: 9, num_procs: 5 })
  })

  it("say by their fingerprint whether they are made of the same cgroups", () => {
    const members = (...ids: ReadonlyArray<string>) => rowsOf(ids.map((id) => cpu(id, 1))).get("/system.slice")?.members
    const before = members("/system.slice", "/system.slice/a.service")
    expect(members("/system.slice/a.service", "/system.slice")).toBe(before)
    expect(members("/system.slice", "/system.slice/a.service", "/system.slice/b.service")).not.toBe(before)
    expect(members("/system.slice", "/system.slice/b.service")).not.toBe(before)
  })

  it("have the limit of a unit, the quota in cores, and no pressure of a slice whose units are rows of their own", () => {
    const told = (id: string): ReadonlyArray<Sample> => [
      cpu(id, 1),
      of("spec_memory_limit_bytes", id, 1024),
      of("spec_cpu_quota", id, 50_000),
      of("spec_cpu_period", id, 100_000),
      of("pressure_cpu_waiting_seconds_total", id, 7)
    ]
    const rows = rowsOf([...told("/system.slice"), ...told("/system.slice/a.service")])
    expect(rows.get("system.slice/a.service")).toMatchObject({
      memory_limit_bytes: 1024,
      cpu_limit_cores: 0.5,
      cpu_pressure_seconds_total: 7
    })
    expect(rows.get("/system.slice")).toMatchObject({ cpu_limit_cores: 0.5, cpu_pressure_seconds_total: null })
    expect(
      rowsOf([cpu("/a.service", 1), of("spec_memory_limit_bytes", "/a.service", 0)]).get("/a.service")
    ).toMatchObject({
      memory_limit_bytes: null
    })
  })

  it("tell no longer wait than there was time: of several cgroups that wait at the same time, no pressure", () => {
    const waiting = (id: string, waited: number): ReadonlyArray<Sample> => [
      cpu(id, 1),
      of("pressure_io_waiting_seconds_total", id, waited)
    ]
    const runs = ["/system.slice/run-u1.scope", "/system.slice/run-u2.scope"]
    const before = rowsOf(runs.flatMap((id) => waiting(id, 100)))
    const after = rowsOf(runs.flatMap((id) => waiting(id, 115)))
    expect(before.size).toBe(1)
    for (const [unit, row] of after) {
      expect([unit, row.cpu_seconds_total, row.io_pressure_seconds_total]).toEqual([unit, 2, null])
    }
    const user = "/user.slice/user-1000.slice"
    const whole = rowsOf([...waiting(user, 20), ...waiting(`${user}/a.scope`, 15), ...waiting(`${user}/b.scope`, 15)])
    expect(whole.get("user.slice/user 1000")).toMatchObject({ io_pressure_seconds_total: 20 })
  })

  it("lack what this cAdvisor does not tell: null, never 0", () => {
    const [row] = parse([cpu("/a.service", 1)]).rows
    const told = Object.entries(row!).filter(([, value]) => value !== null)
    expect(Object.fromEntries(told)).toEqual({
      ...{ unit: "a.service", slice: "", cpu_seconds_total: 1 },
      members: row!.members
    })
  })
})

describe("a unit", () => {
  it("without CPU time is left out with a note, and its neighbours are kept", () => {
    const { rows, skipped } = parse([cpu("/a.service", 1), of("processes", "/b.service", 1)])
    expect(rows.map(({ unit }) => unit)).toEqual(["a.service"])
    expect(skipped).toEqual([{ reason: `unit "b.service" has no ${CPU}` }])
  })

  it("has the CPU time of all CPUs where each is told", () => {
    const each = ["cpu00", "cpu01"].map((name) => cpu("/a.service", 2, { cpu: name }))
    expect(parse(each).rows[0]).toMatchObject({ cpu_seconds_total: 4 })
  })

  it("is told by what its path is, not by a sample without one", () => {
    const { rows, skipped } = parse([cpu("/a.service", 1), { name: CPU, labels: { name: "web" }, value: 1 }])
    expect(rows).toHaveLength(1)
    expect(skipped).toEqual([{ reason: `${CPU} without the label id, or with one that is no path` }])
  })
})

describe("since when the counters count", () => {
  it("is the root cgroup's start, so that a fall of a sum is no restart; or what the collector says", () => {
    expect(parse([cpu("/", 1)]).countersSince).toBeNull()
    expect(
      parse([cpu("/", 1), of("start_time_seconds", "/", 5), of("start_time_seconds", "/a", 9)]).countersSince
    ).toBe(5_000)
    const since = { name: "nodepulse_counters_since_seconds", labels: {}, value: 7 }
    expect(parse([{ name: CPU, labels: { unit: "a", slice: "" }, value: 1 }, since]).countersSince).toBe(7_000)
  })
})

describe("the default address", () => {
  it("is not the port of NodePulse's own server, nor cAdvisor's, which is the same", () => {
    expect(new URL(cgroups().scrape.endpoint).port).toBe("4194")
  })
})
