/**
 * What the compiler refuses in a declaration, and what it lets through. Nothing here runs: `tsc --noEmit` is the test.
 * Each `@ts-expect-error` fails the check should the mistake below it ever compile.
 */
import { Result } from "effect"
import type { LedgerCounts } from "../src/engine/Acknowledgement.ts"
import type { StageView } from "../src/engine/Stage.ts"
import type { ChildView, TreeView } from "../src/engine/Supervisor.ts"
import type { PipelineChild, PipelineStage, PipelineTree } from "../src/http/api/PipelineAnswer.ts"
import { counter, gauge, label } from "../src/plugins/Column.ts"
import { defineExporter } from "../src/plugins/Exporter.ts"
import { peak, rate } from "../src/plugins/TopQuery.ts"

const scrape = { endpoint: "http://127.0.0.1:1/metrics", interval: "15 seconds", timeout: "5 seconds" } as const

const table = {
  name: "disk_snapshots",
  retention: "7 days",
  columns: {
    device: label({ doc: "Device." }),
    reads_total: counter({ doc: "Reads." }),
    busy_seconds: counter({ unit: "seconds", nullable: true, doc: "Busy time." }),
    cores: gauge({ type: "integer", doc: "Cores." }),
    size_bytes: gauge({ type: "bigint", unit: "bytes", nullable: true, doc: "Size." })
  }
} as const

const whole = { device: "sda", reads_total: 1, busy_seconds: 1, cores: 2, size_bytes: null }
const done = <R>(row: R) => Result.succeed({ rows: [row], skipped: [], countersSince: null })
const parse = () => done(whole)
const base = { name: "disk_exporter", title: "Disks", scrape, table }

/** The control: all that the mistakes below depart from compiles. */
export const control = defineExporter({
  ...base,
  parse,
  top: {
    resource: "disks",
    per: "device",
    rankings: { reads: rate("reads_total"), busy: rate("busy_seconds", { share: "cpu" }), size: peak("size_bytes") },
    default: "reads"
  },
  host: { cores: "cores", memoryTotal: "size_bytes", cpuBusy: ["busy_seconds"] }
})

export const withoutTop = defineExporter({ ...base, parse })

export const misspeltColumn = defineExporter({
  ...base,
  // @ts-expect-error: reads_totl is no column, and reads_total is missing
  parse: () => done({ device: "sda", reads_totl: 1, busy_seconds: 1, cores: 2, size_bytes: null })
})

export const missingColumn = defineExporter({
  ...base,
  // @ts-expect-error: size_bytes is missing; a value that is not known is null
  parse: () => done({ device: "sda", reads_total: 1, busy_seconds: 1, cores: 2 })
})

export const nullWhereNotNullable = defineExporter({
  ...base,
  // @ts-expect-error: reads_total is not nullable
  parse: () => done({ ...whole, reads_total: null })
})

export const nullLabel = defineExporter({
  ...base,
  // @ts-expect-error: a label is never null
  parse: () => done({ ...whole, device: null })
})

export const textForNumber = defineExporter({
  ...base,
  // @ts-expect-error: reads_total is a number
  parse: () => done({ ...whole, reads_total: "1" })
})

export const parseThatIsAsync = defineExporter({
  ...base,
  // @ts-expect-error: parse is pure, so it has nothing to wait for
  parse: async () => done(whole)
})

export const rankingOfLabel = defineExporter({
  ...base,
  parse,
  top: {
    resource: "disks",
    per: "device",
    // @ts-expect-error: a label has no rate
    rankings: { reads: rate("device") },
    default: "reads"
  }
})

export const rankingOfNothing = defineExporter({
  ...base,
  parse,
  top: {
    resource: "disks",
    per: "device",
    // @ts-expect-error: writes_total is no column
    rankings: { writes: rate("writes_total") },
    default: "writes"
  }
})

export const counterByPeak = defineExporter({
  ...base,
  parse,
  top: {
    resource: "disks",
    per: "device",
    // @ts-expect-error: the highest value of a counter says nothing
    rankings: { reads: peak("reads_total") },
    default: "reads"
  }
})

export const gaugeByRate = defineExporter({
  ...base,
  parse,
  top: {
    resource: "disks",
    per: "device",
    // @ts-expect-error: a gauge does not count
    rankings: { size: rate("size_bytes") },
    default: "size"
  }
})

export const unknownDefault = defineExporter({
  ...base,
  parse,
  // @ts-expect-error: there is no ranking "writes"
  top: { resource: "disks", per: "device", rankings: { reads: rate("reads_total") }, default: "writes" }
})

export const perNumber = defineExporter({
  ...base,
  parse,
  // @ts-expect-error: rows are ranked per label
  top: { resource: "disks", per: "cores", rankings: { reads: rate("reads_total") }, default: "reads" }
})

export const presenceOfLabel = defineExporter({
  ...base,
  parse,
  // @ts-expect-error: presence is told by a gauge
  top: { resource: "disks", per: "device", presence: "device", rankings: { r: rate("reads_total") }, default: "r" }
})

export const unknownShare = defineExporter({
  ...base,
  parse,
  // @ts-expect-error: a host shares cpu and memory
  top: { resource: "disks", per: "device", rankings: { r: rate("reads_total", { share: "disk" }) }, default: "r" }
})

export const hostCoresOfCounter = defineExporter({
  ...base,
  parse,
  // @ts-expect-error: cores is a gauge
  host: { cores: "reads_total", memoryTotal: "size_bytes", cpuBusy: ["busy_seconds"] }
})

export const hostMemoryOfLabel = defineExporter({
  ...base,
  parse,
  // @ts-expect-error: memory is a gauge
  host: { cores: "cores", memoryTotal: "device", cpuBusy: ["busy_seconds"] }
})

export const hostBusyOfGauge = defineExporter({
  ...base,
  parse,
  // @ts-expect-error: busy time is a counter
  host: { cores: "cores", memoryTotal: "size_bytes", cpuBusy: ["cores"] }
})

export const units = defineExporter({
  ...base,
  parse,
  units: {
    throttledSeconds: "busy_seconds",
    cpuLimit: "cores",
    pressure: { io: { some: "busy_seconds" } },
    kernel: "(k)"
  },
  shortLived: { cpu: "busy_seconds", runs: "reads_total" }
})

export const unitsThrottledByGauge = defineExporter({
  ...base,
  parse,
  // @ts-expect-error: throttled time is a counter
  units: { throttledSeconds: "cores" }
})

export const unitsPressureOfNothing = defineExporter({
  ...base,
  parse,
  // @ts-expect-error: io_seconds is no column
  units: { pressure: { io: { some: "io_seconds" } } }
})

export const shortLivedRunsOfGauge = defineExporter({
  ...base,
  parse,
  // @ts-expect-error: runs are counted
  shortLived: { cpu: "busy_seconds", runs: "cores" }
})

// @ts-expect-error: a number has a doc
export const undocumented = gauge({ unit: "bytes" })

// @ts-expect-error: there is no such type
export const unknownType = counter({ type: "float", doc: "Float." })

// @ts-expect-error: a misspelt option is not passed over
export const misspeltOption = gauge({ nulable: true, doc: "Nullable." })

// @ts-expect-error: a counter is never negative
export const signedCounter = counter({ signed: true, doc: "Signed." })

// @ts-expect-error: a label is part of the key, so it is never null
export const nullableLabel = label({ nullable: true, doc: "Nullable." })

/** The control: an optional label may be left out of a row. */
export const optionalLabel = defineExporter({
  ...base,
  table: { ...table, columns: { ...table.columns, unit: label({ optional: true, doc: "Unit." }) } },
  parse: () => Result.succeed({ rows: [whole, { ...whole, unit: "web" }], skipped: [], countersSince: null }),
  top: { resource: "disks", per: "device", rankings: { reads: rate("reads_total") }, default: "reads" }
})

export const nullOptionalLabel = defineExporter({
  ...base,
  table: { ...table, columns: { ...table.columns, unit: label({ optional: true, doc: "Unit." }) } },
  // @ts-expect-error: an optional label is a text or left out
  parse: () => done({ ...whole, unit: null })
})

export const rankedOptionalLabel = defineExporter({
  ...base,
  table: { ...table, columns: { ...table.columns, unit: label({ optional: true, doc: "Unit." }) } },
  parse,
  // @ts-expect-error: what rows are ranked by is there in each of them
  top: { resource: "disks", per: "unit", rankings: { reads: rate("reads_total") }, default: "reads" }
})

/** Whether two types are one, not only assignable. */
type Same<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false
type Fields<A> = { [K in keyof A]: A[K] }

/** What the engine shows of itself is what the API says it shows, and so what the page draws: no field more, none less. */
export const shown: [
  stage: Same<Fields<StageView>, Fields<Omit<PipelineStage, "perSecond">>>,
  child: Same<Fields<Omit<ChildView, "tree">>, Fields<Omit<PipelineChild, "tree">>>,
  books: Same<Fields<LedgerCounts>, Fields<NonNullable<PipelineTree["books"]>>>,
  bounds: Same<NonNullable<TreeView["bounds"]>, NonNullable<PipelineTree["bounds"]>>,
  tree: Same<keyof TreeView, keyof PipelineTree>
] = [true, true, true, true, true]
