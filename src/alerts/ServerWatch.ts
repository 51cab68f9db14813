/**
 * The rules about one exporter, asked of one server at one moment after the other. The evaluation of now and the back-test are
 * this, and nothing else. Pure, and the only state is its own.
 *
 * What is asked of means over five minutes is asked once in five minutes, of each server at another of the moments in them, so
 * that the work of many servers is spread.
 *
 * Guarantee: what it finds depends on the scrapes until each moment, never on when they came. Groups whose names differ only in
 * what changes from run to run are one (`foldedName`).
 */
import type { Exporter } from "../plugins/Exporter.ts"
import type { Measured, Measures } from "../query/Increases.ts"
import { type AlertState, firesSince, INACTIVE, step, type Verdict } from "./AlertState.ts"
import { type GrowthSight, hoursLeft } from "./GrowthSight.ts"
import { HostSight } from "./HostSight.ts"
import {
  type Condition,
  EVERY_MILLIS,
  foldedName,
  type HostCondition,
  isSlow,
  type Metric,
  matches,
  type Rule,
  SLOW_MILLIS
} from "./Rule.ts"
import { type GroupValues, Sight, type SightWindow } from "./Sight.ts"
import { cpuIn, needsOf } from "./SightNeeds.ts"

/** What the host has, for shares of the machine; null where its rows do not tell. */
export interface HostSize {
  readonly cores: number | null
  readonly memoryBytes: number | null
}

/** An alert that began to fire, or is over. */
export interface Turn {
  readonly rule: Rule
  /** The folded name; empty where the rule is about the server. */
  readonly group: string
  /** Epoch milliseconds. */
  readonly at: number
  readonly to: "firing" | "resolved"
  /** In the unit of the rule's metric; null where it has none. */
  readonly value: number | null
}

export interface ServerWatchOptions {
  readonly rules: ReadonlyArray<Rule>
  readonly metrics: ReadonlyMap<string, Metric>
  readonly measures: Measures
  /** The gauge whose 0 says that a group is gone, where there is one. */
  readonly presence: string | undefined
  /** The names of groups by their ids: those that scrapes are added with. */
  readonly nameOf: (group: number) => string
  readonly sizeAt: (at: number) => HostSize
  /** The exporter that tells of the host, where there is one, and its measures. */
  readonly host?: { readonly exporter: Exporter; readonly measures: Measures } | undefined
  /** The server's own number: it decides at which moments slow rules are asked. */
  readonly id: number
}

/** The moments in five minutes. */
const PHASES = SLOW_MILLIS / EVERY_MILLIS

/** Whether slow rules are asked of a server at a moment, epoch milliseconds. */
export const isSlowMoment = (at: number, server: number): boolean => (at / EVERY_MILLIS) % PHASES === server % PHASES

/** Groups of a server that a rule may be pending or fire for at a time: a rule that holds for more is none. */
export const GROUPS_MAX = 100

export class ServerWatch {
  /** Rules that nobody could answer at the latest moment. */
  readonly unknown = new Set<Rule>()
  private readonly states = new Map<Rule, Map<string, AlertState>>()
  /** The same one for all rules about the same groups. */
  private readonly namersOf = new Map<Rule, (group: number) => string | undefined>()
  private readonly sight: Sight
  private growth: GrowthSight | undefined
  private hostGrowth: GrowthSight | undefined
  private heardAt: number | undefined
  private readonly host: HostSight | undefined
  private readonly options: ServerWatchOptions

  constructor(options: ServerWatchOptions) {
    this.options = options
    const { host, measures, metrics, presence, rules } = options
    this.sight = new Sight(measures, presence, needsOf(rules, metrics, presence))
    const keepsSteps = rules.some(({ condition }) => condition.kind === "value" && isUnaccounted(metrics, condition))
    this.host = host === undefined ? undefined : new HostSight(host.exporter, host.measures, rules, keepsSteps)
    const namers = new Map<string, (group: number) => string | undefined>()
    for (const rule of rules) {
      const namer = namers.get(rule.group) ?? this.namer(rule.group)
      namers.set(rule.group, namer)
      this.states.set(rule, new Map())
      this.namersOf.set(rule, namer)
    }
  }

  /** Adds a later scrape. */
  see(scrape: Measured): void {
    this.sight.add(scrape)
  }

  /** Says when the server was heard before all scrapes that it will see; epoch microseconds. */
  heard(at: number | undefined): void {
    this.heardAt = at
  }

  /** Adds a later scrape of the host. */
  seeHost(scrape: Measured): void {
    this.host?.add(scrape)
  }

  /** Sees what lies before all slow moments that it will be asked about: of the exporter's groups, and of the host. */
  seeSteps(own: GrowthSight | undefined, host: GrowthSight | undefined): void {
    this.growth = own
    this.hostGrowth = host
  }

  /** Forgets scrapes that no window reaches any more; epoch microseconds. */
  forget(before: number): void {
    this.sight.forget(before)
    this.host?.forget(before)
  }

  /** What its scrapes take, about. */
  get bytes(): number {
    return this.sight.bytes + (this.host?.bytes ?? 0)
  }

  /** Whether any alert fires, is about to, or is not known. */
  get isActive(): boolean {
    return [...this.states.values()].some((states) => states.size > 0)
  }

  /** Goes on from what was found before. */
  resume(rule: Rule, states: Iterable<readonly [group: string, state: AlertState]>): void {
    for (const [group, state] of states) this.states.get(rule)!.set(group, state)
  }

  /** What is not inactive. */
  statesOf(rule: Rule): ReadonlyMap<string, AlertState> {
    return this.states.get(rule)!
  }

  /** Asks all rules at a moment, epoch milliseconds; says what began and what is over. */
  ask(at: number): ReadonlyArray<Turn> {
    const turns: Array<Turn> = []
    this.unknown.clear()
    for (const rule of this.options.rules) {
      if (isSlow(rule) && !isSlowMoment(at, this.options.id)) continue
      this.answer(rule, at, this.valuesOf(rule, at * 1_000), turns)
    }
    return turns
  }

  /** Nobody knows what was between the moments that were asked and those that will be: waits begin anew, what fires goes on. */
  lose(at: number): void {
    for (const rule of this.options.rules) this.answer(rule, at, undefined, [])
  }

  private answer(rule: Rule, at: number, values: GroupValues | undefined, turns: Array<Turn>): void {
    const { condition } = rule
    const states = this.states.get(rule)!
    if (values === undefined) this.unknown.add(rule)
    const isHost = rule.onlyWhile === undefined ? true : this.hostHolds(rule.onlyWhile, at * 1_000, rule.over * 1_000)
    const active = new Set(states.keys())
    for (const group of active) {
      const value = values === undefined ? undefined : (values.find(group) ?? missing(condition))
      this.step(rule, group, at, value, isHost, turns)
    }
    // Of the others only those become anything for which it holds.
    if (values === undefined || isHost !== true) return
    for (let n = 0; n < values.names.length; n++) {
      const value = values.values[n]!
      if (!holds(condition, value, false)) continue
      const group = values.names[n]!
      if (!active.has(group)) this.step(rule, group, at, value, isHost, turns)
    }
  }

  private step(
    rule: Rule,
    group: string,
    at: number,
    value: number | undefined,
    isHost: Verdict,
    turns: Array<Turn>
  ): void {
    const states = this.states.get(rule)!
    const before = states.get(group) ?? INACTIVE
    const own = value === undefined ? undefined : holds(rule.condition, value, firesSince(before) !== undefined)
    const after = step(before, both(own, isHost), at, rule)
    if (before.is === "inactive" && states.size >= GROUPS_MAX) return
    if (after.is === "inactive") states.delete(group)
    else states.set(group, after)
    const [was, is] = [firesSince(before), firesSince(after)]
    if (was === is) return
    turns.push({ rule, group, at, to: is === undefined ? "resolved" : "firing", value: shown(rule.condition, value) })
  }

  /** What the rule's condition is asked of, by folded name; undefined where nobody knows. */
  private valuesOf(rule: Rule, at: number): GroupValues | undefined {
    const { condition } = rule
    const over = rule.over * 1_000
    const nameOf = this.namersOf.get(rule)!
    if (condition.kind === "growth") return this.growing(condition.metric, at, over, nameOf)
    if (condition.kind === "exhausts") return this.exhausting(at, over, nameOf)
    if (condition.kind === "silent") {
      const last = this.sight.lastAt(at) ?? this.heardAt
      return last === undefined ? undefined : one("", (at - last) / 1_000 > rule.over ? 1 : 0)
    }
    const window = this.sight.window(at, over)
    if (window === undefined) return undefined
    if (condition.kind === "restarts") return this.sight.restarts(window, nameOf)
    if (condition.kind === "absent") {
      return one(rule.group, this.sight.isPresent(window, nameOf) ? 0 : 1)
    }
    const metric = this.options.metrics.get(condition.metric)
    if (metric === undefined) return undefined
    const values = metric.isOfServer ? this.ofServer(metric, window, over) : this.sight.values(metric, window, nameOf)
    if (values === undefined || condition.of === "core") return values
    return shares(values, metric, this.options.sizeAt(at))
  }

  /** The one value of a metric of the server as a whole. */
  private ofServer(metric: Metric, window: SightWindow, over: number): GroupValues | undefined {
    if (metric.by !== "unaccounted") return alone(this.sight.valueOfServer(metric, window, over))
    const cpu = cpuIn(this.options.metrics)
    if (cpu === undefined || this.host === undefined) return undefined
    const cores = this.sight.unaccounted(cpu.columns[0]!, window, over, this.host.steps)
    return alone(cores === undefined ? undefined : cores * metric.scale)
  }

  /** How fast each group grows, in the metric's unit an hour. */
  private growing(key: string, at: number, over: number, nameOf: (group: number) => string | undefined) {
    const metric = this.options.metrics.get(key)
    const growing = metric === undefined ? undefined : this.growth?.growing(metric, at, over, nameOf)
    if (metric === undefined || growing === undefined) return undefined
    return valuesIn(new Map([...growing].map(([name, { perHour }]) => [name, perHour * metric.scale])))
  }

  /** In how many hours each group will have used up what memory is left; of a host, its own memory in use. */
  private exhausting(at: number, over: number, nameOf: (group: number) => string | undefined) {
    const metric = [...this.options.metrics.values()].find(isMemory)
    const available = this.hostGrowth === undefined ? undefined : this.host?.available(this.hostGrowth, at)
    if (metric === undefined || available === undefined) return undefined
    const growing = this.growth?.growing(metric, at, over, nameOf)
    return growing === undefined ? undefined : valuesIn(hoursLeft(growing, available))
  }

  private hostHolds({ metric, side, threshold }: HostCondition, at: number, over: number): Verdict {
    const value = this.host?.value(metric, at, over)
    return value === undefined ? undefined : side === "above" ? value > threshold : value < threshold
  }

  /** The folded names of the groups that a pattern is about; undefined of the others. */
  private namer(pattern: string): (group: number) => string | undefined {
    const names = new Map<number, string | undefined>()
    return (group) => {
      if (names.has(group)) return names.get(group)
      const name = this.options.nameOf(group)
      const folded = matches(pattern, name) ? foldedName(name) : undefined
      names.set(group, folded)
      return folded
    }
  }
}

/** The metric that says how much memory is in use: a ranking of it, or the host's total less what is available. */
const isMemory = ({ by, columns, key, share }: Metric): boolean =>
  by === "level" && columns.length > 0 && (share === "memory" || key === "memory_used")

const isUnaccounted = (metrics: ReadonlyMap<string, Metric>, { metric }: { readonly metric: string }): boolean =>
  metrics.get(metric)?.by === "unaccounted"

const valuesIn = (values: ReadonlyMap<string, number>): GroupValues => ({
  names: [...values.keys()],
  values: Float64Array.from(values.values()),
  find: (name) => values.get(name)
})

const one = (name: string, value: number): GroupValues => ({
  names: [name],
  values: Float64Array.of(value),
  find: (other) => (other === name ? value : undefined)
})

const alone = (value: number | undefined): GroupValues | undefined => (value === undefined ? undefined : one("", value))

/** Whether two conditions hold together: where one does not, it does not matter that nobody knows of the other. */
const both = (a: Verdict, b: Verdict): Verdict => (a === false || b === false ? false : a === true ? b : a)

/** What counts for a group that has no value. */
const missing = ({ kind }: Condition): number => (kind === "exhausts" ? Number.POSITIVE_INFINITY : 0)

/** Whether a condition holds of a value; what fires has a threshold of its own to stop at. */
export const holds = (condition: Condition, value: number, fires: boolean): Verdict => {
  if (condition.kind === "restarts") return value > condition.moreThan
  if (condition.kind === "exhausts") return value < condition.within
  if (condition.kind !== "value" && condition.kind !== "growth") return value > 0
  const threshold = fires ? condition.resolve : condition.threshold
  if (condition.kind === "growth") return value > threshold
  return condition.side === "above" ? value > threshold : value < threshold
}

const shown = (condition: Condition, value: number | undefined): number | null =>
  value === undefined || !Number.isFinite(value) || condition.kind === "absent" || condition.kind === "silent"
    ? null
    : value

/** Values in percent of the machine; undefined where it is not known how large that is. */
const shares = (
  { find, names, values }: GroupValues,
  { scale, share }: Metric,
  { cores, memoryBytes }: HostSize
): GroupValues | undefined => {
  const whole = share === "cpu" ? cores : memoryBytes === null ? null : memoryBytes * scale
  if (whole === null || whole <= 0) return undefined
  // A rate of CPU is in percent of a core already.
  const factor = share === "cpu" ? 1 / whole : 100 / whole
  return {
    names,
    values: values.map((value) => value * factor),
    find: (name) => {
      const value = find(name)
      return value === undefined ? undefined : value * factor
    }
  }
}
