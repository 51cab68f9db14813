import { describe, expect, it } from "@effect/vitest"
import { Schema } from "effect"
import config from "../../plugins.config.ts"
import { answerFields, Catalog, catalog, historyFields } from "./Catalog.ts"
import { isMoment } from "./Column.ts"

const entry = (name: string) => catalog(config.exporters).exporters.find((exporter) => exporter.name === name)!
const exporter = (name: string) => config.exporters.find((candidate) => candidate.name === name)!

describe("the catalog", () => {
  it("is what its schema says, in the order of plugins.config.ts", () => {
    const value = catalog(config.exporters)
    expect(Schema.decodeUnknownSync(Catalog)(JSON.parse(JSON.stringify(value)))).toEqual(value)
    expect(value.exporters.map(({ name }) => name)).toEqual(config.exporters.map(({ name }) => name))
  })

  it("tells a page what it needs to show an exporter that it never heard of", () => {
    expect(entry("process_exporter")).toMatchObject({
      title: "Processes",
      resource: "processes",
      table: "process_snapshots",
      interval_seconds: 15,
      retention_seconds: 604_800,
      stale_after_seconds: 300,
      top: {
        per: "process_name",
        default: "cpu",
        rankings: expect.arrayContaining([
          expect.objectContaining({
            key: "cpu",
            by: "rate",
            share: "cpu",
            unit: "percent",
            ranked_by: "cpu_seconds",
            fields: { now: "cpu_percent", average: "avg_cpu_percent", peak: "peak_cpu_percent", total: "cpu_seconds" }
          }),
          expect.objectContaining({
            key: "memory",
            on_demand: false,
            by: "peak",
            unit: "mb",
            ranked_by: "peak_memory_mb",
            fields: { now: "memory_mb", average: "avg_memory_mb", peak: "peak_memory_mb", total: null }
          }),
          expect.objectContaining({ key: "wait", on_demand: true, ranked_by: "wait_seconds", unit: "percent" })
        ]),
        also: expect.arrayContaining([
          expect.objectContaining({ field: "num_procs", column: "num_procs", unit: "", nullable: false }),
          expect.objectContaining({ field: "pss_bytes", column: "pss_bytes", unit: "bytes", nullable: true })
        ]),
        labels: [expect.objectContaining({ name: "unit", field: "units" })],
        monitoring: expect.arrayContaining(["nodepulse-agent"])
      }
    })
    expect(entry("process_exporter").columns[0]).toEqual({
      name: "process_name",
      wire_name: "name",
      kind: "label",
      type: "text",
      unit: null,
      nullable: false,
      optional: false,
      doc: "Command name of the group."
    })
  })

  it("shows a gauge that no ranking shows under its wire name", () => {
    expect(answerFields(exporter("process_exporter")).map(({ field }) => field)).toContain("num_procs")
    expect(answerFields(exporter("process_exporter")).map(({ field }) => field)).not.toContain("memory_bytes")
  })

  it("names the series of a history after what they show", () => {
    const fields = (name: string) => historyFields(exporter(name)).map(({ field, peak, unit }) => [field, peak, unit])
    expect(fields("process_exporter").slice(0, 7)).toEqual([
      ["cpu_percent", "peak_cpu_percent", "percent"],
      ["memory_mb", "peak_memory_mb", "mb"],
      ["read_mb_per_second", "peak_read_mb_per_second", "mb_per_second"],
      ["write_mb_per_second", "peak_write_mb_per_second", "mb_per_second"],
      ["swap_mb", "peak_swap_mb", "mb"],
      ["wait_percent", "peak_wait_percent", "percent"],
      ["num_procs", null, ""]
    ])
    for (const name of ["process_exporter", "node_exporter"]) {
      const numbers = Object.values(exporter(name).table.columns).filter((column) => /gauge|counter/.test(column.kind))
      expect(fields(name)).toHaveLength(numbers.filter((column) => !isMoment(column)).length)
    }
    expect(fields("node_exporter")).toEqual(
      expect.arrayContaining([
        ["cpu_user_seconds_per_second", null, "seconds_per_second"],
        ["memory_free_bytes", null, "bytes"],
        ["disk_read_bytes_per_second", null, "bytes_per_second"],
        ["network_receive_errs_per_second", null, "per_second"],
        ["load_1min", null, ""],
        ["uptime_seconds", null, "seconds"]
      ])
    )
    const names = fields("node_exporter").map(([field]) => field)
    expect(new Set(names).size).toBe(names.length)
  })
})
