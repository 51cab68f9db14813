/**
 * The columns that an exporter's table can have.
 *
 * A column is a plain value: what it means (`label`, `gauge`, `counter`, `fingerprint`), how it is stored (`type`), what it counts
 * (`unit`), and what it is called on the wire (`from`, where that differs from the column's name). Wire schema, table,
 * insert statement, roll-ups, catalog and documentation are derived from it.
 *
 * Nothing here does I/O or keeps state.
 */

/** How a number is stored: `double precision`, `integer` (at most 2^31 - 1) or `bigint` (at most 2^53 - 1, the largest whole number that JSON carries exactly). */
export type NumberType = "double" | "integer" | "bigint"

/** Identifies what a row is about, such as the name of a process group. Part of the natural key, never null. */
export interface Label<Optional extends boolean = boolean> {
  readonly kind: "label"
  readonly doc: string
  readonly from?: string
  /** Whether a row may lack it, on the wire and from `parse`: it is empty then. */
  readonly optional: Optional
}

/** A value that goes up and down. Finite, and not negative unless `signed`. */
export interface Gauge<Nullable extends boolean = boolean> {
  readonly kind: "gauge"
  readonly type: NumberType
  readonly unit?: string
  readonly doc: string
  readonly from?: string
  readonly nullable: Nullable
  readonly signed: boolean
}

/** A value that only grows until whatever counts it restarts from 0. Finite and not negative. */
export interface Counter<Nullable extends boolean = boolean> {
  readonly kind: "counter"
  readonly type: NumberType
  readonly unit?: string
  readonly doc: string
  readonly from?: string
  readonly nullable: Nullable
  /**
   * Columns that tell what this counter is a sum over (CPUs, disks, interfaces). Such a counter falls when one of them goes
   * and leaps when one comes back, without having restarted: those steps are unknown (`docs/numbers.md`).
   */
  readonly over?: ReadonlyArray<string>
}

/**
 * Says what the row's sums are made of, such as a hash of the names of the disks: where it changes, an increase of such a
 * sum is unknown. It is compared, never shown.
 */
export interface Fingerprint {
  readonly kind: "fingerprint"
  readonly type: "bigint"
  readonly unit?: undefined
  readonly doc: string
  readonly from?: string
  readonly nullable: true
}

export type Column = Label | Gauge | Counter | Fingerprint
export type Columns = Readonly<Record<string, Column>>

interface NumberOptions {
  /** Defaults to `double`. */
  readonly type?: NumberType
  /** The unit in the plural, as in Prometheus metric names: `seconds`, `bytes`. Absent for plain counts and ratios. */
  readonly unit?: string
  /** One sentence for the catalog, the documentation and the column's comment in the database. */
  readonly doc: string
  /** The field's name on the wire, where it differs from the column's name. */
  readonly from?: string
  /** Whether a row may lack the value: some versions of the exporter do not have it. Stored as NULL, never as 0. */
  readonly nullable?: boolean
}

interface CounterOptions extends NumberOptions {
  /** The columns, fingerprints or gauges, that tell what this counter is a sum over. */
  readonly over?: ReadonlyArray<string>
}

interface GaugeOptions extends NumberOptions {
  /** Whether the value can be negative. */
  readonly signed?: boolean
}

/** `O` and nothing that `Known` does not have: an option that is misspelt does not compile. */
type Exactly<O, Known> = O & { readonly [N in Exclude<keyof O, keyof Known>]: never }

type IsNullable<O> = O extends { readonly nullable: true } ? true : false

interface LabelOptions {
  /** One sentence for the catalog, the documentation and the column's comment in the database. */
  readonly doc: string
  /** The field's name on the wire, where it differs from the column's name. */
  readonly from?: string
  /** Whether a row may lack the label: some senders do not have it. Stored as the empty text, which is the same. */
  readonly optional?: boolean
}

type IsOptional<O> = O extends { readonly optional: true } ? true : false

/** A text that names what the row is about; `optional` where not every sender has it. */
export const label = <const O extends LabelOptions>(options: Exactly<O, LabelOptions>): Label<IsOptional<O>> => ({
  kind: "label",
  ...options,
  optional: (options.optional ?? false) as IsOptional<O>
})

/** A value that goes up and down; `signed` where it can be negative (a temperature). */
export const gauge = <const O extends GaugeOptions>(options: Exactly<O, GaugeOptions>): Gauge<IsNullable<O>> => ({
  kind: "gauge",
  ...options,
  type: options.type ?? "double",
  nullable: (options.nullable ?? false) as IsNullable<O>,
  signed: options.signed ?? false
})

/** A value that only grows, until it restarts from 0. */
export const counter = <const O extends CounterOptions>(
  options: Exactly<O, CounterOptions>
): Counter<IsNullable<O>> => ({
  kind: "counter",
  ...options,
  type: options.type ?? "double",
  nullable: (options.nullable ?? false) as IsNullable<O>
})

/**
 * Whether a column tells a moment: of several series the earliest counts, it is told of the latest scrape only, and has neither
 * history nor ranking, since moments do not add up.
 */
export const isMoment = (column: Column): boolean => column.kind === "gauge" && column.unit === MOMENT_UNIT

/** The unit of a gauge that is a moment: seconds since 1970. */
const MOMENT_UNIT = "epoch_seconds"

/** A hash (a whole number below 2^53) of the names of the things that counters of the row sum up. */
export const fingerprint = (options: { readonly doc: string; readonly from?: string }): Fingerprint => ({
  kind: "fingerprint",
  type: "bigint",
  nullable: true,
  ...options
})

/** The names of the columns of `C` whose kind is `K`. */
export type NamesOf<C extends Columns, K extends Column["kind"]> = {
  readonly [N in keyof C]: C[N]["kind"] extends K ? N : never
}[keyof C] &
  string

/** A value of a column: number where it is known not to be nullable, of `Column` itself any of the three. */
type Cell<K extends Column> = K extends Label ? string : K extends { readonly nullable: false } ? number : number | null

/** A row: every column by its name, null only where the column allows it. */
export type Row<C extends Columns> = { readonly [N in keyof C]: Cell<C[N]> }

/** The names of the labels that a row may lack. */
export type OptionalIn<C extends Columns> = {
  readonly [N in keyof C]: C[N] extends Label<infer Optional> ? (Optional extends true ? N : never) : never
}[keyof C]

/** What `parse` returns for each row: as {@link Row}, but optional labels may be left out. */
export type ParsedRow<C extends Columns> = {
  readonly [N in Exclude<keyof C, OptionalIn<C>>]: Cell<C[N]>
} & { readonly [N in OptionalIn<C>]?: string }
