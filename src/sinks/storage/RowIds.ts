/**
 * The integers of a batch's servers and labels: from memory, else from the dictionary, each value asked for once.
 */
import { Effect } from "effect"
import type { Exporter } from "../../plugins/Exporter.ts"
import type { Snapshots } from "../../plugins/Snapshots.ts"
import type { Dictionary } from "./Dictionary.ts"
import { refusal } from "./RowCheck.ts"

export interface RowIds {
  /** Of each of the batch's parts, whose rows have one server. */
  readonly servers: ReadonlyArray<number>
  /** Of each label, by place of the row in the batch. */
  readonly labels: ReadonlyArray<Int32Array>
}

/** Ids of rows until a day. Refuses rows of servers that do not exist. */
export const makeRowIds = (exporter: Exporter, dictionary: Dictionary) => {
  const labelPlaces = Object.values(exporter.table.columns).flatMap(({ kind }, n) => (kind === "label" ? [n] : []))
  return Effect.fnUntraced(function* (batch: ReadonlyArray<Snapshots>, day: number) {
    const servers = yield* serverIds(batch, dictionary)
    const valuesOf = (place: number) => batch.map(({ columns }) => columns[place] as ReadonlyArray<string>)
    const length = batch.reduce((sum, snapshots) => sum + snapshots.length, 0)
    const labels = labelPlaces.map((place) =>
      lookUp(valuesOf(place), length, (value) => dictionary.cachedLabel(value, day))
    )
    const missing = new Set(labels.flatMap((column) => [...column.missing]))
    if (missing.size > 0) {
      const found = yield* dictionary.labels(missing, day)
      for (const [n, { ids }] of labels.entries()) fill(ids, valuesOf(labelPlaces[n]!), found)
    }
    return { servers, labels: labels.map(({ ids }) => ids) } satisfies RowIds as RowIds
  })
}

const serverIds = Effect.fnUntraced(function* (batch: ReadonlyArray<Snapshots>, dictionary: Dictionary) {
  const ids = batch.map(({ serverId }) => dictionary.cachedServer(serverId))
  if (!ids.includes(undefined)) return ids as ReadonlyArray<number>
  const unknown = batch.flatMap(({ serverId }, n) => (ids[n] === undefined ? [serverId] : []))
  const found = yield* dictionary.servers(new Set(unknown))
  let before = 0
  for (const [n, { length, serverId }] of batch.entries()) {
    ids[n] ??= found.get(serverId)
    if (ids[n] === undefined) return yield* refusal(batch, before, "there is no such server")
    before += length
  }
  return ids as ReadonlyArray<number>
})

/** Ids from memory, 0 where they are missing. */
const lookUp = (
  columns: ReadonlyArray<ReadonlyArray<string>>,
  length: number,
  cached: (value: string) => number | undefined
) => {
  const ids = new Int32Array(length)
  const missing = new Set<string>()
  let at = 0
  for (const column of columns) {
    for (const value of column) {
      const id = cached(value) ?? 0
      if (id === 0) missing.add(value)
      ids[at++] = id
    }
  }
  return { ids, missing }
}

const fill = (
  ids: Int32Array,
  columns: ReadonlyArray<ReadonlyArray<string>>,
  found: ReadonlyMap<string, number>
): void => {
  let at = 0
  for (const column of columns) {
    for (const value of column) {
      if (ids[at] === 0) ids[at] = found.get(value)!
      at++
    }
  }
}
