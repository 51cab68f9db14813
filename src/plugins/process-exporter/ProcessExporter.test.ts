import { describe, expect, it } from "@effect/vitest"
import { Result } from "effect"
import { conformance } from "../Conformance.ts"
import type { Sample } from "../Exposition.ts"
import { processExporter } from "./ProcessExporter.ts"

conformance(processExporter, { fixtures: new URL("./fixtures/", import.meta.url) })

const PREFIX = "namedprocess_namegroup_"
const group = (groupname: string, cpu: number, memory: number, count: number): ReadonlyArray<Sample> => [
  { name: `${PREFIX}cpu_seconds_total`, labels: { groupname, mode: "user" }, value: cpu },
  { name: `${PREFIX}memory_bytes`, labels: { groupname, memtype: "resident" }, value: memory },
  { name: `${PREFIX}num_procs`, labels: { groupname }, value: count }
]
const OPTIONAL = Object.entries(processExporter().table.columns).flatMap(([name, column]) =>
  column.kind !== "label" && column.nullable ? [name] : []
)
/** What a row has of which no sample tells anything. */
const UNTOLD = { unit: "", ...Object.fromEntries(OPTIONAL.map((name) => [name, null])) }
/** A sample of a family without a label of its own. */
const sample = (family: string, groupname: string, value: number, labels: Sample["labels"] = {}): Sample => ({
  name: `${PREFIX}${family}`,
  labels: { groupname, ...labels },
  value
})
const parse = (samples: ReadonlyArray<Sample>) => Result.getOrThrow(processExporter().parse(samples, new Date(60_000)))

describe("a process group's row", () => {
  it("sums the CPU time of all modes", () => {
    const system = { name: `${PREFIX}cpu_seconds_total`, labels: { groupname: "a", mode: "system" }, value: 0.5 }
    expect(parse([...group("a", 1, 2, 3), system]).rows).toEqual([
      { ...UNTOLD, process_name: "a", num_procs: 3, cpu_seconds_total: 1.5, memory_bytes: 2 }
    ])
  })

  it("is left out with a note where a part is missing, and its neighbours are kept", () => {
    const [cpu, , count] = group("partial", 1, 2, 3)
    const { rows, skipped } = parse([cpu!, count!, ...group("whole", 1, 2, 3)])
    expect(rows.map(({ process_name }) => process_name)).toEqual(["whole"])
    expect(skipped).toEqual([
      { reason: 'group "partial" has no namedprocess_namegroup_memory_bytes{memtype="resident"}' }
    ])
  })

  it("is left out with a note where a value is no number", () => {
    const { rows, skipped } = parse([...group("bad", Number.NaN, 2, 3), ...group("good", 1, 2, 3)])
    expect(rows.map(({ process_name }) => process_name)).toEqual(["good"])
    expect(skipped).toEqual([
      { reason: 'process_name "bad": cpu_seconds_total is NaN, but must be a finite number, 0 or more' }
    ])
  })

  it("does not count a repeated sample twice", () => {
    const samples = group("a", 1, 2, 3)
    const { rows, skipped } = parse([...samples, ...samples])
    expect(rows).toEqual(parse(samples).rows)
    expect(skipped).toHaveLength(3)
  })

  it("is summed over the label sets that the group is there under: CPU time, memory and count alike", () => {
    const under = (user: string, samples: ReadonlyArray<Sample>) =>
      samples.map((sample) => ({ ...sample, labels: { ...sample.labels, user } }))
    const samples = [...under("root", group("a", 10, 100, 1)), ...under("www", group("a", 20, 200, 2))]
    const system = (user: string, value: number) => ({
      name: `${PREFIX}cpu_seconds_total`,
      labels: { user, mode: "system", groupname: "a" },
      value
    })
    const { rows, skipped } = parse([...samples, system("root", 1), system("www", 2), system("www", 4)])
    expect(rows).toEqual([{ ...UNTOLD, process_name: "a", num_procs: 3, cpu_seconds_total: 33, memory_bytes: 300 }])
    expect(skipped).toHaveLength(1)
  })

  it("takes a label set for a set: neither order nor a label without a value makes another series", () => {
    const [cpu, ...rest] = group("a", 10, 100, 1)
    const same = [
      { ...cpu!, labels: { mode: "user", groupname: "a" } },
      { ...cpu!, labels: { ...cpu!.labels, user: "" } }
    ]
    expect(parse([cpu!, ...same, ...rest]).rows[0]).toMatchObject({ cpu_seconds_total: 10 })
  })

  it("takes the beginning of its own exporter where a federation serves those of several", () => {
    const federated = group("a", 1, 2, 3).map((one) => ({ ...one, labels: { ...one.labels, job: "process" } }))
    const started = (job: string, value: number) => ({ name: "process_start_time_seconds", labels: { job }, value })
    expect(parse([...federated, started("node", 5), started("process", 7)]).countersSince).toBe(7_000)
    expect(parse([...federated, started("node", 5)]).countersSince).toBeNull()
    const two = federated.map((one) => ({ ...one, labels: { ...one.labels, job: "node" } }))
    expect(parse([...federated, ...two, started("node", 5), started("process", 7)]).countersSince).toBeNull()
  })

  it("does not know since when its counters count where the beginning is no time before the scrape", () => {
    for (const value of [0, -5, Number.NaN, Infinity, 121]) {
      const started = { name: "process_start_time_seconds", labels: {}, value }
      expect(parse([...group("a", 1, 2, 3), started]).countersSince, `${value}`).toBeNull()
    }
  })

  it("says since when its counters count, where the exporter tells", () => {
    expect(parse(group("a", 1, 2, 3)).countersSince).toBeNull()
    const started = { name: "process_start_time_seconds", labels: {}, value: 1.5 }
    expect(parse([...group("a", 1, 2, 3), started]).countersSince).toBe(1_500)
  })
})

describe("what else a process group tells", () => {
  it("is null where its family is missing, and never 0", () => {
    expect(OPTIONAL).toHaveLength(16)
    expect(parse(group("a", 1, 2, 3)).rows[0]).toMatchObject(UNTOLD)
  })

  it("is null with a note where it is no number, and the row is kept", () => {
    for (const value of [Number.NaN, Infinity, -1, 0.5]) {
      const { rows, skipped } = parse([...group("a", 1, 2, 3), sample("num_threads", "a", value)])
      expect(rows).toEqual([{ ...UNTOLD, process_name: "a", num_procs: 3, cpu_seconds_total: 1, memory_bytes: 2 }])
      expect(skipped).toEqual([
        {
          reason: `process_name "a": num_threads is ${value}, but must be a whole number from 0 to 2147483647, or null`
        }
      ])
    }
  })

  it("is summed over label sets, but for the oldest start, which is the earliest", () => {
    const two = (family: string, root: number, www: number, labels: Sample["labels"] = {}) => [
      sample(family, "a", root, { user: "root", ...labels }),
      sample(family, "a", www, { user: "www", ...labels })
    ]
    const samples = [
      ...two("cpu_seconds_total", 1, 2, { mode: "user" }),
      ...two("memory_bytes", 10, 20, { memtype: "resident" }),
      ...two("num_procs", 1, 2),
      ...two("read_bytes_total", 100, 200),
      ...two("oldest_start_time_seconds", 1_761_800_000, 1_761_700_000),
      ...two("states", 1, 2, { state: "Running" }),
      ...two("states", 3, 4, { state: "Other" }),
      ...two("states", 5, 6, { state: "Idle" })
    ]
    expect(parse([...samples, ...samples]).rows[0]).toMatchObject({
      num_procs: 3,
      read_bytes_total: 300,
      oldest_start_time_seconds: 1_761_700_000,
      states_running: 3,
      states_other: 18
    })
  })

  it("has a proportional share of memory only where each label set tells it, and it is no 0 that could not be read", () => {
    const memory = (memtype: string, user: string, value: number) =>
      sample("memory_bytes", "a", value, { memtype, user })
    const [cpu, , count] = group("a", 1, 2, 3)
    const resident = [cpu!, count!, memory("resident", "root", 100), memory("resident", "www", 200)]
    const pss = (...more: ReadonlyArray<Sample>) => parse([...resident, ...more]).rows[0]!.pss_bytes
    expect(pss(memory("proportionalResident", "root", 40), memory("proportionalResident", "www", 50))).toBe(90)
    expect(pss(memory("proportionalResident", "root", 40))).toBeNull()
    expect(pss(memory("proportionalResident", "root", 0), memory("proportionalResident", "www", 0))).toBeNull()
  })

  it("has no oldest start where it has no process: process_exporter tells the year 1 then", () => {
    const { rows, skipped } = parse([...group("a", 1, 0, 0), sample("oldest_start_time_seconds", "a", -6.21355968e10)])
    expect(rows[0]).toMatchObject({ num_procs: 0, oldest_start_time_seconds: null })
    expect(skipped).toEqual([])
  })

  it("is not known where process_exporter could not read the files and tells 0", () => {
    const partly = { name: "namedprocess_scrape_partial_errors", labels: {}, value: 4 }
    const files = (descriptors: number, count: number) => [
      ...group("a", 1, 2, count),
      sample("open_filedesc", "a", descriptors),
      sample("read_bytes_total", "a", 0),
      sample("write_bytes_total", "a", 0)
    ]
    const none = { open_filedesc: null, read_bytes_total: null, write_bytes_total: null }
    expect(parse([...files(0, 1), partly]).rows[0]).toMatchObject(none)
    for (const samples of [[...files(5, 1), partly], [...files(0, 0), partly], files(0, 1)]) {
      expect(parse(samples).rows[0]).toMatchObject({ read_bytes_total: 0, write_bytes_total: 0 })
    }
  })
})

describe("a group in several units", () => {
  it("has a row for each, whatever its name and theirs are made of", () => {
    const of = (name: string, unit: string, cpu: number) =>
      group(name, cpu, 1, 1).map((one) => ({ ...one, labels: { ...one.labels, unit } }))
    const named: ReadonlyArray<readonly [string, string]> = [
      ["a", ""],
      ["a", "web.service"],
      ["a", "web"],
      ["service", "a.web"],
      ["3:web", ""],
      ["", "3:web"]
    ]
    const { rows, skipped } = parse(named.flatMap(([name, unit], n) => of(name, unit, n)))
    expect(rows.map((row) => [row.process_name, row.unit, row.cpu_seconds_total])).toEqual(
      named.map(([name, unit], n) => [name, unit, n])
    )
    expect(skipped).toEqual([])
  })

  it("is told in notes with its unit", () => {
    const [, memory, count] = group("a", 1, 2, 3).map((one) => ({ ...one, labels: { ...one.labels, unit: "web" } }))
    expect(parse([...group("a", 1, 2, 3), memory!, count!]).skipped).toEqual([
      { reason: `group "a" of unit "web" has no ${PREFIX}cpu_seconds_total` }
    ])
  })
})

describe("a scrape", () => {
  it("without groups is empty, and without a sample of process_exporter is refused", () => {
    const idle = { name: "namedprocess_scrape_errors", labels: {}, value: 0 }
    const started = { name: "process_start_time_seconds", labels: {}, value: 1.5 }
    expect(parse([idle, started]).rows).toEqual([])
    const refused = processExporter().parse([started], new Date(0))
    expect(Result.isFailure(refused) && refused.failure.message).toContain("unsupported exporter")
  })

  it("of an exporter that is too old, or lacks what every group has, is refused with its cause", () => {
    const refusal = (samples: ReadonlyArray<Sample>) => {
      const parsed = processExporter().parse(samples, new Date(60_000))
      return Result.isFailure(parsed) ? parsed.failure.reason : ""
    }
    const [, memory, count] = group("a", 1, 2, 3)
    const old = { name: `${PREFIX}cpu_user_seconds_total`, labels: { groupname: "a" }, value: 1 }
    expect(refusal([old, memory!, count!])).toContain("too old: it tells CPU time as namedprocess_namegroup_cpu_user_")
    expect(refusal([memory!, count!])).toContain(`groups, but no ${PREFIX}cpu_seconds_total`)
  })
})
