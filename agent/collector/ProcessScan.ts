/**
 * All processes of a machine at a moment, by their `stat`: what each collector of processes begins with. It lets other fibers run after
 * every {@link READ_IN_A_ROW}.
 *
 * Bound: {@link PROCESSES_MAX} processes; `found` says how many there are. One that is gone before it is read is left out.
 */
import { Effect } from "effect"
import { CollectorUnavailable } from "./Collector.ts"
import type { ProcFiles } from "./ProcFiles.ts"
import { type ProcStat, parseProcStat } from "./ProcStat.ts"

export const PROCESSES_MAX = 32_768
/** What is done for each process lets others run after so many. */
export const READ_IN_A_ROW = 64

export const scanProcesses = Effect.fnUntraced(function* (files: ProcFiles) {
  const upSeconds = Number(files.text("uptime")?.split(" ", 1)[0])
  const pids = files.pids()
  if (pids === undefined || !Number.isFinite(upSeconds)) {
    return yield* new CollectorUnavailable({ reason: `${files.root} cannot be read` })
  }
  const processes: Array<ProcStat> = []
  for (const [index, pid] of pids.slice(0, PROCESSES_MAX).entries()) {
    if (index % READ_IN_A_ROW === READ_IN_A_ROW - 1) yield* Effect.yieldNow
    const bytes = files.record(`${pid}/stat`)
    const stat = bytes === undefined ? undefined : parseProcStat(bytes, bytes.length)
    if (stat !== undefined) processes.push(stat)
  }
  return { upSeconds, processes, found: pids.length }
})
