/**
 * The rules about one exporter, asked of one server at one moment after the other. The evaluation of now and the back-test are
 * this, and nothing else. Pure, and the only state is its own.
 *
 * Guarantee: what it finds depends on the scrapes until each moment, never on when they came. Groups whose names differ only in
 * what changes from run to run are one (`foldedName`).
 */
import type { Measured, Measures } from "../query/Increases.ts"
import { type AlertState, firesSince, INACTIVE, step, type Verdict } from "./AlertState.ts"
import { type Condition, foldedName, type Metric, matches, type Rule } from "./Rule.ts"
import { Sight } from "./Sight.ts"

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
}

/** Groups of a server that a rule may be pending or fire for at a time: a rule that holds for more is none. */
const GROUPS_MAX = 100

export class ServerWatch {
  /** Rules that nobody could answer at the latest moment. */
  readonly unknown = new Set<Rule>()
  private readonly states = new Map<Rule, Map<string, AlertState>>()
  private readonly names = new Map<Rule, Map<number, string | undefined>>()
  private readonly sight: Sight
  private readonly options: ServerWatchOptions

  constructor(options: ServerWatchOptions) {
    this.options = options
    this.sight = new Sight(options.measures, options.presence)
    for (const rule of options.rules) {
      this.states.set(rule, new Map())
      this.names.set(rule, new Map())
    }
  }

  /** Adds a later scrape. */
  see(scrape: Measured): void {
    this.sight.add(scrape)
  }

  /** Forgets scrapes that no window reaches any more; epoch microseconds. */
  forget(before: number): void {
    this.sight.forget(before)
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
    for (const rule of this.options.rules) this.askOne(rule, at, turns)
    return turns
  }

  private askOne(rule: Rule, at: number, turns: Array<Turn>): void {
    const states = this.states.get(rule)!
    const values = this.valuesOf(rule, at * 1_000)
    if (values === undefined) this.unknown.add(rule)
    const asked = new Set([...states.keys(), ...(values?.keys() ?? [])])
    for (const group of asked) {
      const before = states.get(group) ?? INACTIVE
      const value = values === undefined ? undefined : (values.get(group) ?? 0)
      const verdict = value === undefined ? undefined : holds(rule.condition, value, firesSince(before) !== undefined)
      const after = step(before, verdict, at, rule)
      if (before.is === "inactive" && states.size >= GROUPS_MAX) continue
      if (after.is === "inactive") states.delete(group)
      else states.set(group, after)
      const [was, is] = [firesSince(before), firesSince(after)]
      if (was === is) continue
      turns.push({ rule, group, at, to: is === undefined ? "resolved" : "firing", value: shown(rule.condition, value) })
    }
  }

  /** What the rule's condition is asked of, by folded name; undefined where nobody knows. */
  private valuesOf(rule: Rule, at: number): ReadonlyMap<string, number> | undefined {
    const { condition } = rule
    if (condition.kind === "silent") {
      const last = this.sight.lastAt(at)
      return last === undefined ? undefined : new Map([["", (at - last) / 1_000 > rule.over ? 1 : 0]])
    }
    const window = this.sight.window(at, rule.over * 1_000)
    if (window === undefined) return undefined
    const nameOf = (group: number) => this.nameFor(rule, group)
    if (condition.kind === "restarts") return this.sight.restarts(window, nameOf)
    if (condition.kind === "absent") {
      return new Map([[rule.group, this.sight.isPresent(window, nameOf) ? 0 : 1]])
    }
    const metric = this.options.metrics.get(condition.metric)
    if (metric === undefined) return undefined
    const values = this.sight.values(metric, window, nameOf)
    return condition.of === "core" ? values : shares(values, metric, this.options.sizeAt(at))
  }

  /** The folded name of a group that the rule is about; undefined of the others. */
  private nameFor(rule: Rule, group: number): string | undefined {
    const names = this.names.get(rule)!
    if (names.has(group)) return names.get(group)
    const name = this.options.nameOf(group)
    const folded = matches(rule.group, name) ? foldedName(name) : undefined
    names.set(group, folded)
    return folded
  }
}

/** Whether a condition holds of a value; what fires has a threshold of its own to stop at. */
const holds = (condition: Condition, value: number, fires: boolean): Verdict => {
  if (condition.kind === "restarts") return value > condition.moreThan
  if (condition.kind !== "value") return value > 0
  const threshold = fires ? condition.resolve : condition.threshold
  return condition.side === "above" ? value > threshold : value < threshold
}

const shown = (condition: Condition, value: number | undefined): number | null =>
  value === undefined || condition.kind === "absent" || condition.kind === "silent" ? null : value

/** Values in percent of the machine; undefined where it is not known how large that is. */
const shares = (
  values: ReadonlyMap<string, number>,
  { scale, share }: Metric,
  { cores, memoryBytes }: HostSize
): ReadonlyMap<string, number> | undefined => {
  const whole = share === "cpu" ? cores : memoryBytes === null ? null : memoryBytes * scale
  if (whole === null || whole <= 0) return undefined
  // A rate of CPU is in percent of a core already.
  const factor = share === "cpu" ? 1 / whole : 100 / whole
  return new Map([...values].map(([name, value]) => [name, value * factor]))
}
