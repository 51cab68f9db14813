import { describe, expect, it } from "@effect/vitest"
import { Duration, Effect, Result } from "effect"
import config from "../../plugins.config.ts"
import { type Columns, counter, gauge, label } from "./Column.ts"
import { defineExporter, type Exporter } from "./Exporter.ts"
import { defineConfig, EXPORTERS_MAX, makeRegistry, Registry } from "./Registry.ts"
import { peak, rate } from "./TopQuery.ts"

const valid = defineExporter({
  name: "disk_exporter",
  title: "Disks",
  scrape: { endpoint: "http://127.0.0.1:1/metrics", interval: "15 seconds", timeout: "5 seconds" },
  table: {
    name: "disk_snapshots",
    retention: "7 days",
    columns: {
      device: label({ doc: "Device." }),
      reads_total: counter({ doc: "Reads." }),
      busy_total: counter({ unit: "seconds", doc: "Busy time." }),
      cores: gauge({ type: "integer", doc: "Cores." }),
      size_bytes: gauge({ unit: "bytes", doc: "Size." })
    }
  },
  parse: () => Result.succeed({ rows: [], skipped: [], countersSince: null }),
  top: {
    resource: "disks",
    per: "device",
    rankings: { reads: rate("reads_total"), size: peak("size_bytes") },
    default: "reads"
  },
  host: { cores: "cores", memoryTotal: "size_bytes", cpuBusy: ["busy_total"] }
})()

/** A declaration whose types were lost on the way, as from a package built without them. */
const broken = (change: object): Exporter => ({ ...valid, ...change })
const withColumns = (columns: Columns) =>
  broken({ table: { ...valid.table, columns }, top: undefined, host: undefined })
const withTop = (change: object) => broken({ top: { ...valid.top, ...change } })
const withTable = (change: object) => broken({ table: { ...valid.table, ...change } })
const withScrape = (change: object) => broken({ scrape: { ...valid.scrape, ...change } })
const GAUGE = gauge({ doc: "Gauge." })
const BY_CPU = { ...valid.top, rankings: { reads: rate("busy_total", { share: "cpu" }) } }
const asUnits = (units: object) => broken({ top: BY_CPU, units })

describe("a registry", () => {
  it.effect("finds exporters by name and by resource, and the one that knows the host", () =>
    Effect.gen(function* () {
      const registry = yield* Registry
      expect(registry.exporters).toBe(config.exporters)
      expect(registry.get("process_exporter")?.table.name).toBe("process_snapshots")
      expect(registry.byResource("processes")?.name).toBe("process_exporter")
      expect(registry.byResource("node")?.name).toBe("node_exporter")
      expect(registry.host?.name).toBe("node_exporter")
      expect(registry.get("constructor")).toBeUndefined()
    }).pipe(Effect.provide(Registry.layer(config)))
  )

  it("knows whose groups are members of whose: by a label that the others rank by", () => {
    const columns = { shelf: label({ doc: "Shelf." }), ...valid.table.columns }
    const shelves = { ...valid.table, name: "shelves", columns }
    const of = broken({ name: "b", resource: "b", host: undefined, table: { ...valid.table, name: "b" } })
    const members = broken({
      name: "a",
      resource: "a",
      host: undefined,
      table: shelves,
      top: { ...valid.top, per: "shelf" }
    })
    const { memberships } = Result.getOrThrow(makeRegistry({ exporters: [members, of] }))
    expect(memberships).toEqual([{ members, label: "device", of }])
    expect(Result.getOrThrow(makeRegistry({ exporters: [of, valid] })).memberships).toEqual([])
  })

  it("may be without a host, and without exporters", () => {
    expect(Result.getOrThrow(makeRegistry({ exporters: [] })).host).toBeUndefined()
    expect(Result.isSuccess(makeRegistry({ exporters: [valid] }))).toBe(true)
  })

  it.effect("that breaks a rule does not start, and says which", () =>
    Effect.gen(function* () {
      const failing = Registry.layer(defineConfig({ exporters: [broken({ title: " " })] }))
      const error = yield* Effect.flip(Effect.provide(Registry, failing))
      expect(error._tag).toBe("InvalidExporter")
      expect(error.message).toBe('exporter "disk_exporter": title " " must not be empty')
    })
  )
})

describe("a declaration is refused", () => {
  it.each<[string, string, string, Exporter]>([
    ["a name that is no identifier", "name", "snake_case", broken({ name: "disk-exporter" })],
    ["a name that is too long", "name", "40 characters", broken({ name: "d".repeat(41) })],
    ["a resource that is no identifier", "resource", "snake_case", broken({ resource: "../tokens" })],
    ["a table that is no identifier", "table.name", "snake_case", withTable({ name: 'x"; drop' })],
    ["a table of the core", "table.name", "NodePulse's own", withTable({ name: "dead_letters" })],
    ["no columns", "table.columns", "at least one", withColumns({})],
    ["a column of every table", "table.columns.server_id", "every table", withColumns({ server_id: GAUGE })],
    ["a column called timestamp", "table.columns.timestamp", "every table", withColumns({ timestamp: GAUGE })],
    ["a column called constructor", "table.columns.constructor", "every", withColumns({ constructor: GAUGE })],
    ["a column that is no identifier", "table.columns.cpu%", "snake_case", withColumns({ "cpu%": GAUGE })],
    [
      "a wire name of every row",
      "table.columns.begin.from",
      "every row",
      withColumns({ begin: gauge({ from: "counters_since", doc: "Begin." }) })
    ],
    [
      "a wire name twice",
      "table.columns.b.from",
      "another column",
      withColumns({ a: GAUGE, b: gauge({ from: "a", doc: "A." }) })
    ],
    ["a column of PostgreSQL's", "table.columns.xmin", "every table", withColumns({ xmin: GAUGE })],
    ["a table called like an index of the core", "table.name", "NodePulse's own", withTable({ name: "tokens_pkey" })],
    ["the dictionary's table", "table.name", "NodePulse's own", withTable({ name: "label_values" })],
    ["a column without a doc", "table.columns.a.doc", "empty", withColumns({ a: gauge({ doc: "" }) })],
    ["per that is no label", "top.per", "label", withTop({ per: "cores" })],
    [
      "per that a row may lack",
      "top.per",
      "not optional",
      broken({
        table: {
          ...valid.table,
          columns: { ...valid.table.columns, unit: label({ optional: true, doc: "Unit." }) }
        },
        top: { ...valid.top, per: "unit" }
      })
    ],
    ["per that does not exist", "top.per", "label", withTop({ per: "constructor" })],
    ["presence that is no gauge", "top.presence", "gauge", withTop({ presence: "device" })],
    ["a share of memory that is no gauge of bytes", "top.proportional", "bytes", withTop({ proportional: "device" })],
    ["a default that does not exist", "top.default", "rankings", withTop({ default: "writes" })],
    ["no rankings", "top.rankings", "at least one", withTop({ rankings: {} })],
    ["a ranking of a label", "top.rankings.reads.column", "counter", withTop({ rankings: { reads: rate("device") } })],
    ["a counter by peak", "top.rankings.reads.column", "gauge", withTop({ rankings: { reads: peak("reads_total") } })],
    [
      "two rankings whose answer fields are the same",
      "top.rankings.avg_load",
      "has already",
      withTop({
        rankings: { reads: rate("reads_total"), load: peak("cores"), avg_load: peak("cores") }
      })
    ],
    ["cores of a counter", "host.cores", "gauge", broken({ host: { ...valid.host, cores: "reads_total" } })],
    [
      "busy time that is no time",
      "host.cpuBusy",
      "seconds",
      broken({ host: { ...valid.host, cpuBusy: ["reads_total"] } })
    ],
    ["units that nobody ranks by CPU", "units", "by CPU", broken({ units: {} })],
    ["an unnamed kernel", "units.kernel", "empty", asUnits({ kernel: "" })],
    ["throttling that is no time", "units.throttledSeconds", "seconds", asUnits({ throttledSeconds: "reads_total" })],
    ["a quota that counts", "units.cpuLimit", "gauge", asUnits({ cpuLimit: "reads_total" })],
    ["a limit of memory in cores", "units.memoryLimit", "bytes", asUnits({ memoryLimit: "cores" })],
    ["pressure that is a level", "units.pressure.io.full", "counter", asUnits({ pressure: { io: { full: "cores" } } })],
    [
      "short-lived CPU that is no time",
      "shortLived.cpu",
      "seconds",
      broken({ shortLived: { cpu: "reads_total", runs: "reads_total" } })
    ],
    [
      "runs that do not count",
      "shortLived.runs",
      "counter",
      broken({ shortLived: { cpu: "busy_total", runs: "cores" } })
    ],
    ["an endpoint that is no address", "scrape.endpoint", "http", withScrape({ endpoint: "localhost:9100" })],
    ["an endpoint that is a file", "scrape.endpoint", "http", withScrape({ endpoint: "file:///etc/passwd" })],
    ["no time between scrapes", "scrape.interval", "1 second", withScrape({ interval: Duration.zero })],
    [
      "a scrape that may outlast its interval",
      "scrape.timeout",
      "shorter than scrape.interval (15s)",
      withScrape({ timeout: Duration.seconds(15) })
    ],
    ["every pair of scrapes a hole", "table.staleAfter", "longer", withTable({ staleAfter: Duration.seconds(15) })],
    ["rows dropped before they are used", "table.retention", "longer", withTable({ retention: Duration.minutes(5) })]
  ])("for %s", (_, field, reason, exporter) => {
    const invalid = Result.getOrThrow(Result.flip(makeRegistry({ exporters: [exporter] })))
    expect(invalid.field).toBe(field)
    expect(invalid.reason).toContain(reason)
  })

  it.each<[string, object]>([
    ["name", { resource: "a", host: undefined }],
    ["resource", { name: "a", host: undefined }],
    ["table.name", { name: "a", resource: "a", host: undefined }],
    ["host", { name: "a", resource: "a", table: { ...valid.table, name: "a" } }],
    ["units", { name: "a", resource: "a", host: undefined, table: { ...valid.table, name: "a" } }],
    [
      "shortLived",
      { name: "a", resource: "a", host: undefined, units: undefined, table: { ...valid.table, name: "a" } }
    ]
  ])("for a %s that another exporter has", (field, change) => {
    const roles = { top: BY_CPU, units: {}, shortLived: { cpu: "busy_total", runs: "reads_total" } }
    const exporters = [broken(roles), broken({ ...roles, ...change })]
    const invalid = Result.getOrThrow(Result.flip(makeRegistry({ exporters })))
    expect(invalid.field).toBe(field)
  })

  it("for a table that is called like one that is made from another's", () => {
    for (const name of ["disk_snapshots_scrapes", "disk_snapshots_scrapes_20251122", "disk_snapshots_5m"]) {
      const other = broken({ name: "a", resource: "a", host: undefined, table: { ...valid.table, name } })
      for (const exporters of [
        [valid, other],
        [other, valid]
      ]) {
        const invalid = Result.getOrThrow(Result.flip(makeRegistry({ exporters })))
        expect(invalid.field).toBe("table.name")
        expect(invalid.reason).toBe(`is one of the table "${exporters[0]!.table.name}"'s own`)
      }
    }
  })

  it("never for a name that is free: visits, or disk_id beside the label disk", () => {
    const columns = { ...valid.table.columns, disk: label({ doc: "A disk." }), disk_id: GAUGE }
    const free = broken({ table: { ...valid.table, name: "visits", columns } })
    expect(Result.isSuccess(makeRegistry({ exporters: [free] }))).toBe(true)
  })

  it("for being one too many", () => {
    const many = Array.from({ length: EXPORTERS_MAX + 1 }, (_, at) =>
      broken({ name: `e${at}`, resource: `e${at}`, host: undefined, table: { ...valid.table, name: `e${at}` } })
    )
    expect(Result.isSuccess(makeRegistry({ exporters: many.slice(1) }))).toBe(true)
    expect(Result.isFailure(makeRegistry({ exporters: many }))).toBe(true)
  })
})

describe("an exporter's parse", () => {
  const parsing = (value: number, countersSince: number | null) =>
    Result.getOrThrow(
      defineExporter({
        name: "x_exporter",
        title: "X",
        scrape: { endpoint: "http://127.0.0.1:1/metrics", interval: "15 seconds", timeout: "5 seconds" },
        table: {
          name: "x_snapshots",
          retention: "7 days",
          columns: { must: gauge({ doc: "Must." }), may: gauge({ nullable: true, doc: "May." }) }
        },
        parse: () =>
          Result.succeed({
            rows: [
              { must: 1, may: value },
              { must: value, may: 1 }
            ],
            skipped: [],
            countersSince
          })
      })().parse([], new Date(1_000_000))
    )

  it("lets no number out that its column cannot hold: null where it may be, else no row, and a note", () => {
    for (const value of [Number.NaN, Infinity, -Infinity, -1]) {
      const { rows, skipped } = parsing(value, null)
      expect(rows).toEqual([{ must: 1, may: null }])
      expect(skipped).toHaveLength(2)
    }
  })

  it("lets no beginning out that is no time, or lies after the scrape", () => {
    expect(parsing(1, 1_000_000).countersSince).toBe(1_000_000)
    for (const since of [Number.NaN, Infinity, -1, 2_000_000]) expect(parsing(1, since).countersSince).toBeNull()
  })
})
