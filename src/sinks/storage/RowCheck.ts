/**
 * What is refused of a batch before the database is asked: values that their columns cannot hold, and rows that retention
 * would drop at once. A refusal names the row, its value, and what would do.
 */
import { Clock, Duration, Effect, Result } from "effect"
import type { Exporter } from "../../plugins/Exporter.ts"
import { countersSinceAt, type Snapshots, timestampAt } from "../../plugins/Snapshots.ts"
import { display, fits, rule } from "../../plugins/Storable.ts"
import { DAY_MICROS, dayName, dayOf } from "./Partitions.ts"
import { RowsRefused } from "./SnapshotRows.ts"

type Batch = ReadonlyArray<Snapshots>

/** Of one exporter. */
export const makeRowCheck = (exporter: Exporter) => {
  const columns = Object.entries(exporter.table.columns).map(([name, column], index) => ({
    name,
    column,
    index,
    fits: fits(column)
  }))
  const retention = Duration.toMillis(exporter.table.retention) * 1000

  const misfit = (snapshots: Snapshots): readonly [row: number, reason: string] | undefined => {
    for (const { column, fits, index, name } of columns) {
      const values = snapshots.columns[index] ?? []
      for (let row = 0; row < snapshots.length; row++) {
        if (!fits(values[row])) return [row, `${name} is ${display(values[row])}, but ${rule(column)}`]
      }
    }
    const { countersSince, length, timestamp } = snapshots
    const differ = typeof timestamp !== "number" || (typeof countersSince === "object" && countersSince !== null)
    for (let row = 0; row < (differ ? length : 1); row++) {
      if (!isMoment(timestampAt(snapshots, row))) return [row, "timestamp is not epoch microseconds"]
      const since = countersSinceAt(snapshots, row)
      if (since !== null && !isMoment(since)) return [row, "countersSince is not epoch microseconds or null"]
    }
    return undefined
  }

  return {
    /** Refuses rows with values that do not fit. */
    values: (batch: Batch): Result.Result<void, RowsRefused> => {
      let before = 0
      for (const snapshots of batch) {
        const found = misfit(snapshots)
        if (found !== undefined) return Result.fail(refusal(batch, before + found[0], found[1]))
        before += snapshots.length
      }
      return Result.void
    },
    /** The days of the rows. Refuses rows that retention would drop at once. */
    days: (batch: Batch): Effect.Effect<ReadonlySet<number>, RowsRefused> =>
      Effect.flatMap(Clock.currentTimeMillis, (now) => {
        const days = new Set<number>()
        let last = Number.NaN
        let before = 0
        for (const snapshots of batch) {
          const times = typeof snapshots.timestamp === "number" ? [snapshots.timestamp] : snapshots.timestamp
          for (let row = 0; row < times.length; row++) {
            const day = dayOf(times[row]!)
            if (day === last) continue
            if ((day + 1) * DAY_MICROS <= now * 1000 - retention) {
              const kept = Duration.format(exporter.table.retention)
              return Effect.fail(refusal(batch, before + row, `rows of ${dayName(day)} are no longer kept (${kept})`))
            }
            last = day
            days.add(day)
          }
          before += snapshots.length
        }
        return Effect.succeed(days)
      })
  }
}

const isMoment = (micros: number): boolean => Number.isSafeInteger(micros) && micros >= 0

/** A batch that is refused. */
export const refuse = (reason: string) => new RowsRefused({ reason, cause: new Error(reason) })

/** A batch that is refused for the row at a place. */
export const refusal = (batch: Batch, at: number, reason: string) => {
  let row = at
  let n = 0
  while (row >= batch[n]!.length) row -= batch[n++]!.length
  const snapshots = batch[n]!
  return refuse(
    `row ${at} (server ${display(snapshots.serverId)}, timestamp ${timestampAt(snapshots, row)}): ${reason}`
  )
}
