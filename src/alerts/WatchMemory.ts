/**
 * What the process that asks the rules keeps between one moment and the next: each server's watch, with the scrapes of its longest
 * window, and the states that are stored. It is true of one moment only: who goes on from another begins anew, from rows.
 *
 * Bound: {@link MEMORY_BYTES_MAX} of scrapes. Servers beyond are read from rows each time.
 */
import { keyOf, type StoredState } from "./AlertStates.ts"
import type { Arrivals } from "./Arrivals.ts"
import type { Rule } from "./Rule.ts"
import type { Names, WatchedServer } from "./RuleReader.ts"
import type { HostSize, ServerWatch } from "./ServerWatch.ts"

const MEMORY_BYTES_MAX = 256 * 1_048_576
/** What is kept of a server beside its scrapes, and of each scrape to notice those that come late; as V8 has it. */
const SERVER_BYTES = 20_000
const ARRIVAL_BYTES = 16
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
  /** As of when it was asked last. */
  bytes: number
}

/** What is kept of a server. */
export const bytesOf = ({ arrived, watch }: Kept): number =>
  watch.bytes + arrived.scrapes * ARRIVAL_BYTES + SERVER_BYTES

/** Of one exporter: its rules, and the servers that they are about. */
export class ExporterMemory {
  readonly names: Names
  readonly kept = new Map<number, Kept>()
  readonly key: string

  constructor(key: string, names: Names) {
    this.key = key
    this.names = names
  }

  get bytes(): number {
    let bytes = 0
    for (const kept of this.kept.values()) bytes += kept.bytes
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
  of(exporter: string, rules: ReadonlyArray<Rule>, names: () => Names): ExporterMemory {
    const key = JSON.stringify(rules)
    const mine = this.exporters.get(exporter)
    if (mine?.key === key && mine.names.size <= NAMES_MAX) return mine
    const anew = new ExporterMemory(key, names())
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
        over -= kept.bytes
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
