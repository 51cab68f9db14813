/**
 * How the agent keeps within its budget: from one minute's use to what it does without. Pure.
 *
 * Each resource has a ladder of steps, by what helps it: less often, fewer groups and no recorder against CPU,
 * fewer groups against memory. Two minutes in a row over the budget are a step down the ladder, and each step has two minutes
 * to show what it does. A step back up takes a time of calm, well within the budget: `CALM_MINUTES` at first. Whoever has
 * to go down again soon after going up has come up too early: the time doubles, up to `CALM_MINUTES_MAX`, and is the
 * first one again after as long at the top.
 *
 * Minutes are those of a clock that nobody sets. A minute that was much shorter or longer (a machine that was suspended)
 * says nothing.
 */

export interface Budget {
  /** In percent of one core; undefined: not watched. */
  readonly cpuPercent: number | undefined
  /** Undefined: not watched. */
  readonly memoryBytes: number | undefined
}

/** What the agent used in a minute. */
export interface Usage {
  readonly seconds: number
  readonly cpuSeconds: number
  readonly memoryBytes: number
}

/** What it does without, to keep within its budget. */
export interface Restraint {
  /** How many times longer the time between two scrapes is. */
  readonly interval: 1 | 2 | 4
  /** How many groups of processes it keeps apart; undefined: as many as ever. */
  readonly groups: number | undefined
  readonly recorder: boolean
}

export type Resource = "cpu" | "memory"

interface Ladder {
  /** Steps down; 0: none. */
  readonly step: number
  /** Minutes in a row that were over the budget, and well within it. */
  readonly hot: number
  readonly calm: number
  /** How long it has to be calm for a step back. */
  readonly calmNeeded: number
  /** Minutes since the last step back; past the time of a relapse it does not matter. */
  readonly sinceBack: number
}

export type BudgetState = Readonly<Record<Resource, Ladder>>

export const UNRESTRAINED: Restraint = { interval: 1, groups: undefined, recorder: true }

/** Each step with all before it. The interval at most doubles at once: a server waits for two and a half. */
const STEPS: Readonly<Record<Resource, ReadonlyArray<Partial<Restraint>>>> = {
  cpu: [{ interval: 2 }, { interval: 4 }, { groups: 500 }, { recorder: false }, { groups: 250 }],
  memory: [{ groups: 500 }, { groups: 250 }]
}

const HOT_MINUTES = 2
const CALM_MINUTES = 10
const CALM_MINUTES_MAX = 24 * 60
/** Calm is below this part of the budget. */
const CALM_PART = 0.7
/** A minute of measuring, as far as timers keep to it. */
const SECONDS_LEAST = 30
const SECONDS_MOST = 180

const TOP: Ladder = { step: 0, hot: 0, calm: 0, calmNeeded: CALM_MINUTES, sinceBack: Number.MAX_SAFE_INTEGER }
export const WITHIN_BUDGET: BudgetState = { cpu: TOP, memory: TOP }

/** Of its budget, what each resource used; undefined: it is not watched. */
export const partsOf = (budget: Budget, usage: Usage): Readonly<Record<Resource, number | undefined>> => ({
  cpu: budget.cpuPercent === undefined ? undefined : ((usage.cpuSeconds / usage.seconds) * 100) / budget.cpuPercent,
  memory: budget.memoryBytes === undefined ? undefined : usage.memoryBytes / budget.memoryBytes
})

/** The state after a minute. */
export const afterMinute = (state: BudgetState, budget: Budget, usage: Usage): BudgetState => {
  if (!(usage.seconds >= SECONDS_LEAST && usage.seconds <= SECONDS_MOST)) return state
  const parts = partsOf(budget, usage)
  return {
    cpu: parts.cpu === undefined ? TOP : climbed(state.cpu, parts.cpu, STEPS.cpu.length),
    memory: parts.memory === undefined ? TOP : climbed(state.memory, parts.memory, STEPS.memory.length)
  }
}

const climbed = (ladder: Ladder, part: number, steps: number): Ladder => {
  const sinceBack = Math.min(ladder.sinceBack + 1, Number.MAX_SAFE_INTEGER)
  const hot = part > 1 ? ladder.hot + 1 : 0
  const calm = part < CALM_PART ? ladder.calm + 1 : 0
  if (hot >= HOT_MINUTES && ladder.step < steps) {
    const relapsed = sinceBack <= ladder.calmNeeded
    const calmNeeded = relapsed ? Math.min(2 * ladder.calmNeeded, CALM_MINUTES_MAX) : ladder.calmNeeded
    return { step: ladder.step + 1, hot: 0, calm: 0, calmNeeded, sinceBack: Number.MAX_SAFE_INTEGER }
  }
  if (ladder.step > 0 && calm >= ladder.calmNeeded) {
    return { ...ladder, step: ladder.step - 1, hot: 0, calm: 0, sinceBack: 0 }
  }
  const forgiven = ladder.step === 0 && sinceBack > ladder.calmNeeded
  return { ...ladder, hot, calm, sinceBack, calmNeeded: forgiven ? CALM_MINUTES : ladder.calmNeeded }
}

/** What follows from the steps of both ladders: of each, the harder. */
export const restraintOf = (state: BudgetState): Restraint => {
  const taken = (["cpu", "memory"] as const).flatMap((resource) => STEPS[resource].slice(0, state[resource].step))
  return taken.reduce<Restraint>(
    (all, one) => ({
      interval: one.interval === undefined || one.interval < all.interval ? all.interval : one.interval,
      groups: one.groups === undefined ? all.groups : Math.min(all.groups ?? one.groups, one.groups),
      recorder: all.recorder && one.recorder !== false
    }),
    UNRESTRAINED
  )
}

/** Which resources it does without something for. */
export const causesOf = (state: BudgetState): ReadonlyArray<Resource> =>
  (["cpu", "memory"] as const).filter((resource) => state[resource].step > 0)

/** In words: `scrapes 4 times less often, keeps 500 groups apart, records nothing`; empty where it does all. */
export const restraintText = ({ groups, interval, recorder }: Restraint): string =>
  [
    ...(interval === 1 ? [] : [`scrapes ${interval} times less often`]),
    ...(groups === undefined ? [] : [`keeps ${groups} groups apart`]),
    ...(recorder ? [] : ["records nothing"])
  ].join(", ")
