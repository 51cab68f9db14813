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
const parse = (samples: ReadonlyArray<Sample>) => Result.getOrThrow(processExporter().parse(samples, new Date(60_000)))

describe("a process group's row", () => {
  it("sums the CPU time of all modes", () => {
    const system = { name: `${PREFIX}cpu_seconds_total`, labels: { groupname: "a", mode: "system" }, value: 0.5 }
    expect(parse([...group("a", 1, 2, 3), system]).rows).toEqual([
      { process_name: "a", num_procs: 3, cpu_seconds_total: 1.5, memory_bytes: 2 }
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
    expect(rows).toEqual([{ process_name: "a", num_procs: 3, cpu_seconds_total: 33, memory_bytes: 300 }])
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
