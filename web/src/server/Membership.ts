/** Which exporters' groups are parts of another's, from the catalog alone: processes of units, by a label that one ranks by. Pure. */
import type { Exporter } from "../ask/Api.ts"

type Label = NonNullable<Exporter["top"]>["labels"][number]

/** An exporter whose groups say by a label what they are in, and the exporter that ranks by that. */
export interface Membership {
  readonly members: Exporter
  readonly label: Label
  readonly of: Exporter
}

export const membershipsOf = (exporters: ReadonlyArray<Exporter>): ReadonlyArray<Membership> =>
  exporters.flatMap((members) =>
    (members.top?.labels ?? []).flatMap((label) => {
      const of = exporters.find((one) => one !== members && one.top?.per === label.name)
      return of === undefined ? [] : [{ members, label, of }]
    })
  )

/** What a row says that it is in; what is in nothing says nothing. */
export const valuesOf = (row: object | undefined, { field }: Label): ReadonlyArray<string> => {
  const values = (row as Readonly<Record<string, unknown>> | undefined)?.[field]
  return Array.isArray(values) ? values.filter((value) => typeof value === "string" && value !== "") : []
}

/** In how many it is: more than it names, where they are many. */
export const countOf = (row: object | undefined, label: Label): number => {
  const total = (row as Readonly<Record<string, unknown>> | undefined)?.[`${label.field}_total`]
  return typeof total === "number" ? total : valuesOf(row, label).length
}

/** Whether a row is of the monitoring itself. */
export const isMonitoring = (row: object): boolean => (row as { readonly monitoring?: unknown }).monitoring === true
