/**
 * What the process that asks the rules keeps between one moment and the next: each server's watch, with the scrapes of its longest
 * window, and the states that are stored. It is true of one moment only: who goes on from another begins anew, from rows.
 *
 * Bound: {@link MEMORY_BYTES_MAX} of scrapes. Servers beyond are read from rows each time.
 */
import type { Measured } from "../query/Increases.ts"
import { keyOf, type StoredState } from "./AlertStates.ts"
import type { Arrivals } from "./Arrivals.ts"
import type { Rule } from "./Rule.ts"
import type { Names, WatchedServer } from "./RuleReader.ts"
import type { HostSize, ServerWatch } from "./ServerWatch.ts"

const MEMORY_BYTES_MAX = 256 * 1_048_576
/** What a scrape takes beside its values, as V8 has it. */
const SCRAPE_BYTES = 800
/** Names of groups, over all servers: where many come and go, all is read anew once in a while. */
const NAMES_MAX = 200_000

/** A server's watch as of the moment that was asked last. */
export interface Kept {
  readonly server: WatchedServer
  readonly rules: ReadonlyArray<Rule>
  readonly watch: ServerWatch
  readonly arrived: Arrivals
  /** While it is asked: how large the host is. */
  sizeAt: (at: number) => HostSize
  /** The groups of the latest scrape. */
  groups: Int32Array
}

/** Of one exporter: its rules, and the servers that they are about. */
export class ExporterMemory {
  readonly names: Names
  readonly kept = new Map<number, Kept>()
  readonly key: string
  private readonly valueBytes: number

  constructor(key: string, names: Names, columns: number) {
    this.key = key
    this.names = names
    // A group's id is shared by most scrapes.
    this.valueBytes = 8 * columns
  }

  bytesOf({ arrived }: Kept): number {
    const { rows, scrapes } = arrived.size
    return rows * this.valueBytes + scrapes * SCRAPE_BYTES
  }

  get bytes(): number {
    let bytes = 0
    for (const kept of this.kept.values()) bytes += this.bytesOf(kept)
    return bytes
  }
}

export class WatchMemory {
  /** The moment that it is true of; epoch milliseconds. */
  until: number | undefined
  stored: ReadonlyMap<string, StoredState> = new Map()
  private readonly exporters = new Map<string, ExporterMemory>()

  /** Begins anew, from what is stored. */
  begin(stored: Iterable<StoredState>): void {
    this.forget()
    this.stored = new Map([...stored].map((state) => [keyOf(state), state]))
  }

  forget(): void {
    this.until = undefined
    this.stored = new Map()
    this.exporters.clear()
  }

  /** What is kept for the rules about an exporter; nothing where they were others. */
  of(exporter: string, rules: ReadonlyArray<Rule>, columns: number, names: () => Names): ExporterMemory {
    const key = JSON.stringify(rules)
    const mine = this.exporters.get(exporter)
    if (mine?.key === key && mine.names.size <= NAMES_MAX) return mine
    const anew = new ExporterMemory(key, names(), columns)
    this.exporters.set(exporter, anew)
    return anew
  }

  /** Forgets exporters that no rule is about any more. */
  keepOnly(exporters: ReadonlySet<string>): void {
    for (const name of this.exporters.keys()) if (!exporters.has(name)) this.exporters.delete(name)
  }

  /** Forgets servers beyond the bound. */
  trim(): void {
    let over = this.bytes - MEMORY_BYTES_MAX
    for (const memory of this.exporters.values()) {
      // The same ones stay from pass to pass.
      for (const [id, kept] of [...memory.kept].reverse()) {
        if (over <= 0) return
        memory.kept.delete(id)
        over -= memory.bytesOf(kept)
      }
    }
  }

  get bytes(): number {
    let bytes = 0
    for (const memory of this.exporters.values()) bytes += memory.bytes
    return bytes
  }

  /** How many servers it holds; one of two exporters counts twice. */
  get watches(): number {
    let watches = 0
    for (const { kept } of this.exporters.values()) watches += kept.size
    return watches
  }
}

/**
 * A scrape to keep: rates, which no rule asks for, are left out, and nothing holds the buffers that it was read into. `before` are the groups of the
 * scrape before it, which mostly has the same.
 */
export const lean = (scrape: Measured, before: Int32Array): Measured => ({
  ...scrape,
  groups: isSame(before, scrape.groups) ? before : scrape.groups.slice(),
  increases: scrape.increases.map((values) => values.slice()),
  gauges: scrape.gauges.map((values) => values.slice()),
  resets: scrape.resets.map((counts) => counts?.slice()),
  clamped: scrape.clamped.map((counts) => counts?.slice()),
  unknown: scrape.unknown.map((counts) => counts?.slice()),
  rates: []
})

const isSame = (a: Int32Array, b: Int32Array): boolean => {
  if (a.length !== b.length) return false
  for (let n = 0; n < a.length; n++) if (a[n] !== b[n]) return false
  return true
}
