/**
 * Rows in memory, for tests of what is above them: the same answers as PostgreSQL, and nothing on disk. It keeps
 * everything it is given, so it is no layer for a server.
 */
import { Context, Effect, Layer, Result } from "effect"
import { Registry } from "../../plugins/Registry.ts"
import type { Snapshot } from "../../plugins/Snapshot.ts"
import { snapshotAt } from "../../plugins/Snapshots.ts"
import { display, fits, rule } from "../../plugins/Storable.ts"
import { asColumns, type Rows, RowsRefused, SnapshotRows } from "./SnapshotRows.ts"

/** What has been stored, in the order of arrival. */
export class StoredRows extends Context.Service<
  StoredRows,
  { readonly all: (exporter: string) => ReadonlyArray<Snapshot> }
>()("nodepulse/sinks/StoredRows") {}

/** Knows the given servers, or all where none are given. */
export const layerMemory = (servers?: ReadonlySet<string>): Layer.Layer<SnapshotRows | StoredRows, never, Registry> =>
  Layer.effectContext(
    Effect.map(Registry, (registry) => {
      const tables = new Map<string, Map<string, Snapshot>>()

      const misfit = (exporter: string, { serverId, values }: Snapshot): string | undefined => {
        if (servers !== undefined && !servers.has(serverId)) return "there is no such server"
        for (const [index, [name, column]] of Object.entries(registry.get(exporter)!.table.columns).entries()) {
          if (!fits(column)(values[index])) return `${name} is ${display(values[index])}, but ${rule(column)}`
        }
        return undefined
      }

      const insert = (exporter: string, given: Rows) => {
        const rows = asColumns(given).flatMap((some) =>
          Array.from({ length: some.length }, (_, row) => snapshotAt(some, row))
        )
        const declared = registry.get(exporter)
        if (declared === undefined) return refuse(`there is no exporter ${display(exporter)}`)
        for (const [at, row] of rows.entries()) {
          const reason = misfit(exporter, row)
          if (reason !== undefined)
            return refuse(`row ${at} (server ${display(row.serverId)}, timestamp ${row.timestamp}): ${reason}`)
        }
        const labels = Object.values(declared.table.columns).flatMap((column, index) =>
          column.kind === "label" ? [index] : []
        )
        const table = tables.get(exporter) ?? new Map<string, Snapshot>()
        tables.set(exporter, table)
        const before = table.size
        for (const row of rows) {
          const key = JSON.stringify([row.serverId, row.timestamp, ...labels.map((index) => row.values[index])])
          if (!table.has(key)) table.set(key, row)
        }
        const inserted = table.size - before
        return Result.succeed({ inserted, duplicates: rows.length - inserted })
      }

      return Context.make(SnapshotRows, {
        insert: (exporter, rows) => Effect.suspend(() => Effect.fromResult(insert(exporter, rows)))
      }).pipe(Context.add(StoredRows, { all: (exporter) => [...(tables.get(exporter)?.values() ?? [])] }))
    })
  )

const refuse = (reason: string) => Result.fail(new RowsRefused({ reason, cause: new Error(reason) }))
