/**
 * The plugin contract: what an exporter declares, and all that the rest of NodePulse knows about it.
 *
 * An exporter is a value. It does no I/O, reads no clock, keeps no state and does nothing on import. Agent, ingest,
 * digest, migrations, retention, roll-ups, API, page, documentation and conformance tests are derived from it, so that
 * a new exporter is one folder and one line in `plugins.config.ts`.
 *
 * The compiler checks the declaration: a misspelt or missing column in `parse`, a ranking of a label, a counter ranked
 * by anything but its rate, a default ranking that does not exist do not compile (`test/contract.types.ts`).
 */
import { Duration, Result, Schema } from "effect"
import type { Columns, NamesOf, ParsedRow, Row } from "./Column.ts"
import type { Sample } from "./Exposition.ts"
import { storable } from "./Storable.ts"
import type { AnyTopQuery, TopQuery } from "./TopQuery.ts"

/** The scrape as a whole says nothing that this exporter understands: the wrong exporter, or a version that is too old. */
export class ParseError extends Schema.TaggedError<ParseError>()("ParseError", {
  exporter: Schema.String,
  reason: Schema.String
}) {
  override get message(): string {
    return `${this.exporter}: ${this.reason}`
  }
}

/** A part of a scrape that was left out, and why. `line` is 1-based where the part is a line of the exposition. */
export interface Skipped {
  readonly line?: number
  readonly reason: string
}

/** What `parse` makes of one scrape. */
export interface ParsedScrape<R> {
  readonly rows: ReadonlyArray<R>
  readonly skipped: ReadonlyArray<Skipped>
  /**
   * When the counters of this scrape began, as epoch milliseconds; null where the exporter does not say. It reveals a
   * counter reset that the values hide (docs/numbers.md).
   */
  readonly countersSince: number | null
}

/** The state of the machine as a whole, its processes by command name, those that ended too soon to be seen, or its units. */
export type BuiltInCollector = "node" | "process" | "accounting" | "units"

/** What of the host's state an exporter's rows tell: at most one exporter of a registry declares it. */
export interface HostFacts<C extends Columns> {
  /** Gauge: how many cores the host has. */
  readonly cores: NamesOf<C, "gauge">
  /** Gauge: how much memory the host has, in bytes. */
  readonly memoryTotal: NamesOf<C, "gauge">
  /** Counters in seconds that together are the host's busy CPU time (not idle, iowait or steal). */
  readonly cpuBusy: ReadonlyArray<NamesOf<C, "counter">>
  /** Counter in seconds: the CPU time that nobody used. A chart of all modes leaves it out. */
  readonly cpuIdle?: NamesOf<C, "counter">
  /** Counters in seconds by what they are called: CPU time that was neither used nor free, such as `iowait` and `steal`. */
  readonly cpuWaits?: Readonly<Record<string, NamesOf<C, "counter">>>
  /** Counters in seconds by what was waited for (`cpu`, `memory`, `io`): time in which work waited for it. */
  readonly pressure?: Readonly<Record<string, NamesOf<C, "counter">>>
  /** Gauge: memory in bytes that programs can still get. Used memory is the total less this. */
  readonly memoryAvailable?: NamesOf<C, "gauge">
  /** Gauge: swap space in bytes. */
  readonly swapTotal?: NamesOf<C, "gauge">
  /** Gauge: swap space in bytes that nothing uses. */
  readonly swapFree?: NamesOf<C, "gauge">
  /** Gauge: how many threads run or wait to run, lately. */
  readonly load?: NamesOf<C, "gauge">
  /** Gauge: seconds since the host started. */
  readonly uptime?: NamesOf<C, "gauge">
}

/**
 * What an exporter's rows tell of units: parts of the host (services, containers, sessions) that other exporters' groups run in. Its
 * ranking with `share: "cpu"` tells their CPU, exited processes included, and the rows are a partition: they add up to the host. At
 * most one exporter of a registry declares it.
 */
export interface UnitFacts<C extends Columns> {
  /** The value of `top.per` that is the kernel's own: what runs in no unit. */
  readonly kernel?: string
  /** Counter in seconds: how long tasks were held back because the unit's quota of CPU was used up; summed over CPUs. */
  readonly throttledSeconds?: NamesOf<C, "counter">
  /** Counters: periods of the quota in which the unit ran, and those of them in which it was held back. */
  readonly periods?: NamesOf<C, "counter">
  readonly throttledPeriods?: NamesOf<C, "counter">
  /** Gauge: the quota of CPU, in cores; null where there is none. */
  readonly cpuLimit?: NamesOf<C, "gauge">
  /** Gauges in bytes: the limit of memory, null where there is none; and the most that was used. */
  readonly memoryLimit?: NamesOf<C, "gauge">
  readonly memoryPeak?: NamesOf<C, "gauge">
  /** Counter: processes that were killed because memory ran out. */
  readonly oomKills?: NamesOf<C, "counter">
  /** Counters in bytes: what the unit's processes read from and wrote to disks. */
  readonly readBytes?: NamesOf<C, "counter">
  readonly writeBytes?: NamesOf<C, "counter">
  /** Counters in seconds: time in which some tasks, or all that were not idle, waited. */
  readonly pressure?: Readonly<
    Partial<
      Record<"cpu" | "memory" | "io", { readonly some?: NamesOf<C, "counter">; readonly full?: NamesOf<C, "counter"> }>
    >
  >
}

/**
 * What an exporter's rows tell of processes that lived and died between two scrapes of the others: nobody else names them. At most one
 * exporter of a registry declares it.
 */
export interface ShortLivedFacts<C extends Columns> {
  /** Counter in seconds: the CPU time of those that exited. */
  readonly cpu: NamesOf<C, "counter">
  /** Counter: how many exited. */
  readonly runs: NamesOf<C, "counter">
}

/** An exporter that answers and has no rows, where that is a fault: agent, doctor and page say it in these words. */
export interface EmptyScrape {
  /** The rest of a sentence that begins with the exporter's name: "matches no process". */
  readonly complaint: string
  /** What mends it, one step each: a command, or `put into FILE: LINE`, which the page shows as a line to copy. */
  readonly remedy: ReadonlyArray<string>
}

export interface Declaration<C extends Columns, R extends string, D extends string = never> {
  /** Wire name, metric label and config key, such as `redis_exporter`. */
  readonly name: string
  /** What a person calls it: "Processes". */
  readonly title: string
  readonly scrape: {
    /** Where the exporter listens unless configured otherwise. */
    readonly endpoint: string
    readonly interval: Duration.Input
    readonly timeout: Duration.Input
    /** Names of the samples that `parse` looks at; lines of other names are passed over unread. Absent: all. */
    readonly families?: ReadonlyArray<string>
    /** Which of the agent's built-in collectors (Linux) serves this exporter's format and stands in where none answers. */
    readonly collector?: BuiltInCollector
    /**
     * Whether an agent scrapes it only where its configuration asks for it, since it needs something of the machine that few have:
     * elsewhere there is no scraper, no complaint, and no word of it. Absent: every agent does.
     */
    readonly optIn?: boolean
    /**
     * Whether a machine may well have none of it: where nothing listens at the declared address, and no built-in collector can do
     * its work, that is no fault (the agent's state `absent`).
     */
    readonly optional?: boolean
    /** What it means that the exporter answers and has no rows. Absent: it has nothing to report, which is as it should be. */
    readonly empty?: EmptyScrape
  }
  readonly table: {
    /** The table's name in the schema `admiral`. */
    readonly name: string
    /** How long raw rows are kept. */
    readonly retention: Duration.Input
    /** A longer time between two scrapes is a hole: nothing is said about it. Defaults to 5 minutes (docs/numbers.md). */
    readonly staleAfter?: Duration.Input
    /**
     * Whether a group's counters begin at zero when the group appears: what its first row says was then used since the
     * scrape before (`docs/numbers.md`). By default a first row says nothing about an increase.
     */
    readonly beginsAtZero?: boolean
    /** In the order of the table. Only ever append: messages on their way are read by position. */
    readonly columns: C
  }
  /** Pure and total: rows and what was skipped, or a typed error. Never throws, whatever the samples are. */
  readonly parse: (
    samples: ReadonlyArray<Sample>,
    scrapedAt: Date
  ) => Result.Result<ParsedScrape<ParsedRow<NoInfer<C>>>, ParseError>
  readonly top?: TopQuery<NoInfer<C>, R, D>
  readonly host?: HostFacts<NoInfer<C>>
  readonly units?: UnitFacts<NoInfer<C>>
  readonly shortLived?: ShortLivedFacts<NoInfer<C>>
}

/** A declaration with its defaults filled in and its types widened: what the rest of NodePulse handles. */
export interface Exporter {
  readonly name: string
  readonly title: string
  /** The resource in addresses: `top.resource`, else the name without `_exporter`. */
  readonly resource: string
  readonly scrape: {
    readonly endpoint: string
    readonly interval: Duration.Duration
    readonly timeout: Duration.Duration
    readonly families: ReadonlyArray<string> | undefined
    readonly collector: BuiltInCollector | undefined
    readonly optIn: boolean
    readonly optional: boolean
    readonly empty: EmptyScrape | undefined
  }
  readonly table: {
    readonly name: string
    readonly retention: Duration.Duration
    readonly staleAfter: Duration.Duration
    readonly beginsAtZero: boolean
    readonly columns: Columns
  }
  readonly parse: (
    samples: ReadonlyArray<Sample>,
    scrapedAt: Date
  ) => Result.Result<ParsedScrape<Row<Columns>>, ParseError>
  readonly top: AnyTopQuery | undefined
  readonly host: HostFacts<Columns> | undefined
  readonly units: UnitFacts<Columns> | undefined
  readonly shortLived: ShortLivedFacts<Columns> | undefined
}

/** What an operator may set in `plugins.config.ts` without touching the plugin. */
export interface ExporterOptions {
  readonly endpoint?: string
  readonly interval?: Duration.Input
  readonly timeout?: Duration.Input
  readonly retention?: Duration.Input
  readonly staleAfter?: Duration.Input
}

/** Calling it gives the exporter, with the operator's options applied. */
export type ExporterFactory = (options?: ExporterOptions) => Exporter

/**
 * Declares an exporter. `plugins.config.ts` calls the result: `exporters: [redisExporter()]`.
 *
 * A plugin's `parse` need not look for NaN or numbers out of range: the exporter's own `parse` passes what it returns
 * through `storable`, which turns them into null where the column allows it and else leaves the row out, with a note.
 */
export const defineExporter =
  <const C extends Columns, const R extends string = never, const D extends string = never>(
    declaration: Declaration<C, R, D>
  ): ExporterFactory =>
  (options = {}) => ({
    name: declaration.name,
    title: declaration.title,
    resource: declaration.top?.resource ?? declaration.name.replace(/_exporter$/, ""),
    scrape: {
      endpoint: options.endpoint ?? declaration.scrape.endpoint,
      interval: Duration.fromInputUnsafe(options.interval ?? declaration.scrape.interval),
      timeout: Duration.fromInputUnsafe(options.timeout ?? declaration.scrape.timeout),
      families: declaration.scrape.families,
      collector: declaration.scrape.collector,
      optIn: declaration.scrape.optIn ?? false,
      optional: declaration.scrape.optional ?? false,
      empty: declaration.scrape.empty
    },
    table: {
      name: declaration.table.name,
      retention: Duration.fromInputUnsafe(options.retention ?? declaration.table.retention),
      staleAfter: Duration.fromInputUnsafe(options.staleAfter ?? declaration.table.staleAfter ?? "5 minutes"),
      beginsAtZero: declaration.table.beginsAtZero ?? false,
      columns: declaration.table.columns
    },
    parse: (samples, scrapedAt) =>
      Result.map(declaration.parse(samples, scrapedAt), (parsed) =>
        storable(declaration.table.columns, parsed, scrapedAt)
      ),
    top: declaration.top as AnyTopQuery | undefined,
    host: declaration.host as HostFacts<Columns> | undefined,
    units: declaration.units as UnitFacts<Columns> | undefined,
    shortLived: declaration.shortLived as ShortLivedFacts<Columns> | undefined
  })
