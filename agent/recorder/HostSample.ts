/**
 * The machine as a whole, at one moment: a few lines of `/proc`, read in some tenths of a millisecond. What is missing is NaN.
 */
import { HOST_COLUMNS } from "../../src/protocol/Recording.ts"
import type { KeptFiles } from "./KeptFiles.ts"

/** Counters and levels as they were read. */
export interface HostReading {
  /** Clock ticks of all CPUs together: user and nice, system, iowait, interrupts, steal. */
  readonly ticks: ReadonlyArray<number>
  readonly running: number
  readonly blocked: number
  readonly available: number
  readonly swapUsed: number
  /** Microseconds that tasks waited: cpu, memory, memory (all of them), io, io (all of them). */
  readonly waited: ReadonlyArray<number>
  /** Processes that the kernel killed for want of memory, since boot. */
  readonly oomKills: number
}

export const readHost = (files: KeptFiles): HostReading => {
  const stat = files.text("stat") ?? ""
  const memory = files.text("meminfo") ?? ""
  const kibibytes = (name: string) => 1024 * after(memory, `${name}:`)
  const [, user, nice, system, , iowait, irq, softirq, steal] = stat
    .slice(0, stat.indexOf("\n"))
    .split(/ +/)
    .map(Number)
  const pressure = (what: string) => files.text(`pressure/${what}`) ?? ""
  const [cpu, stalled, io] = [pressure("cpu"), pressure("memory"), pressure("io")]
  return {
    ticks: [user! + nice!, system!, iowait!, irq! + softirq!, steal!].map((ticks) => ticks ?? Number.NaN),
    running: after(stat, "\nprocs_running "),
    blocked: after(stat, "\nprocs_blocked "),
    available: kibibytes("MemAvailable"),
    swapUsed: kibibytes("SwapTotal") - kibibytes("SwapFree"),
    waited: [
      waitedIn(cpu, "some"),
      ...["some", "full"].flatMap((of) => [waitedIn(stalled, of)]),
      ...["some", "full"].flatMap((of) => [waitedIn(io, of)])
    ],
    oomKills: after(files.text("vmstat") ?? "", "\noom_kill ")
  }
}

/** The values of a sample, in the order of {@link HOST_COLUMNS}: rates over `seconds`, NaN where there is nothing to compare with. */
export const hostValues = (
  is: HostReading,
  was: HostReading | undefined,
  seconds: number,
  ticksPerSecond: number
): ReadonlyArray<number> => {
  const share = (now: number, before: number | undefined, perSecond: number) =>
    before === undefined || !(now >= before) ? Number.NaN : (100 * (now - before)) / perSecond / seconds
  const cpu = is.ticks.map((ticks, n) => share(ticks, was?.ticks[n], ticksPerSecond))
  const waited = is.waited.map((micros, n) => Math.min(100, share(micros, was?.waited[n], 1e6)))
  return [...cpu, is.running, is.blocked, is.available, is.swapUsed, ...waited]
}

export const HOST_WIDTH = HOST_COLUMNS.length

/** The number behind the first `name` in a text. */
const after = (text: string, name: string): number => {
  const at = text.startsWith(name.trimStart()) ? 0 : text.indexOf(name)
  if (at < 0) return Number.NaN
  return Number.parseInt(text.slice(at + (at === 0 ? name.trimStart().length : name.length), at + name.length + 32), 10)
}

/** `some avg10=0.00 avg60=0.00 avg300=0.00 total=1234`, in microseconds. */
const waitedIn = (text: string, of: string): number => {
  const line = text.startsWith(of) ? 0 : text.indexOf(`\n${of}`)
  const total = line < 0 ? -1 : text.indexOf("total=", line)
  return total < 0 ? Number.NaN : Number.parseInt(text.slice(total + 6, total + 32), 10)
}
