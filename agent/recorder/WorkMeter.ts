/**
 * What a piece of synchronous work cost, in milliseconds of CPU.
 *
 * The kernel brings a thread's CPU time up to date at its own ticks only (4 ms), which is longer than a sample takes. So it is the time
 * that passed, where nobody else had the CPU meanwhile (no context switch of the process); else it is what such work cost
 * lately, and no more than the time that passed. On a busy machine the recorder does not do less because others do more.
 */

/** How much a piece of work counts in what it cost lately. */
const WEIGHT = 0.1

const switchesSoFar = (): number => {
  const { involuntaryContextSwitches, voluntaryContextSwitches } = process.resourceUsage()
  return involuntaryContextSwitches + voluntaryContextSwitches
}

export class WorkMeter {
  #usual: number | undefined

  measure(work: () => void): number {
    const switches = switchesSoFar()
    const began = process.hrtime.bigint()
    work()
    const passed = Number(process.hrtime.bigint() - began) / 1e6
    const isAlone = switchesSoFar() === switches
    if (!isAlone) return Math.min(passed, this.#usual ?? passed)
    this.#usual = this.#usual === undefined ? passed : this.#usual + WEIGHT * (passed - this.#usual)
    return passed
  }
}
