/** What a server's host says at a moment, for rules about its groups: beside which they are asked. Pure, and the only state is its own. */
import type { Exporter } from "../plugins/Exporter.ts"
import { type HostStep, hostSteps } from "../query/HostSteps.ts"
import type { Measured, Measures } from "../query/Increases.ts"
import type { GrowthSight } from "./GrowthSight.ts"
import { type Metric, metricsOf, type Rule } from "./Rule.ts"
import { Sight } from "./Sight.ts"
import { hostNeedsOf } from "./SightNeeds.ts"

/** What a step takes, as V8 has it. */
const STEP_BYTES = 80

export class HostSight {
  /** What it did between its scrapes. */
  readonly steps: Array<HostStep> = []
  private readonly sight: Sight
  private readonly metrics: ReadonlyMap<string, Metric>
  private readonly busy: ReadonlyArray<number>
  private readonly cores: number
  private readonly exporter: Exporter
  private readonly keepsSteps: boolean

  /** For some rules; `keepsSteps` where they ask what it did between its scrapes. */
  constructor(exporter: Exporter, measures: Measures, rules: ReadonlyArray<Rule>, keepsSteps: boolean) {
    this.exporter = exporter
    this.keepsSteps = keepsSteps
    this.metrics = metricsOf(exporter)
    this.sight = new Sight(measures, undefined, hostNeedsOf(rules, this.metrics))
    this.busy = exporter.host!.cpuBusy.map((column) => measures.counters.indexOf(column))
    this.cores = measures.gauges.indexOf(exporter.host!.cores)
  }

  /** Adds a later scrape. */
  add(scrape: Measured): void {
    this.sight.add(scrape)
    if (!this.keepsSteps) return
    const cores = scrape.gauges[this.cores]?.[0] ?? Number.NaN
    const most = Number.isNaN(cores) ? undefined : { at: () => cores }
    this.steps.push(...hostSteps([scrape], this.busy, most))
  }

  /** Forgets what no window reaches any more; epoch microseconds. */
  forget(before: number): void {
    this.sight.forget(before)
    let gone = 0
    while (gone < this.steps.length && this.steps[gone]!.to <= before) gone++
    if (gone > 0) this.steps.splice(0, gone)
  }

  /** What it takes, about. */
  get bytes(): number {
    return this.sight.bytes + this.steps.length * STEP_BYTES
  }

  /** The value of one of its metrics in the window of `over` microseconds until a moment; undefined where nobody knows. */
  value(key: string, at: number, over: number): number | undefined {
    const metric = this.metrics.get(key)
    const window = this.sight.window(at, over)
    return metric === undefined || window === undefined ? undefined : this.sight.valueOfServer(metric, window, over)
  }

  /** Memory and swap that programs can still get, lately, in bytes; undefined where nobody knows. */
  available(steps: GrowthSight, at: number): number | undefined {
    const { memoryAvailable, swapFree } = this.exporter.host!
    const memory = memoryAvailable === undefined ? undefined : steps.latest(memoryAvailable, at)
    if (memory === undefined) return undefined
    // Swap that nobody tells of is none that anybody can count on.
    return memory + ((swapFree === undefined ? undefined : steps.latest(swapFree, at)) ?? 0)
  }
}
