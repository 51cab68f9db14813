/** Orders of tables: stable, with ties by name and what is not known at the end. */
export interface Sorted {
  readonly by: string
  readonly up: boolean
}

export const sortedBy = <A,>(
  rows: ReadonlyArray<A>,
  value: (row: A) => number | string | null | undefined,
  up: boolean,
  tie: (row: A) => string
): ReadonlyArray<A> => {
  const known = rows.map((row) => ({ row, value: value(row) ?? null, tie: tie(row) }))
  known.sort((a, b) => {
    if (a.value === null || b.value === null) {
      if (a.value !== b.value) return a.value === null ? 1 : -1
    } else if (a.value !== b.value) return a.value < b.value === up ? -1 : 1
    return a.tie < b.tie ? -1 : a.tie > b.tie ? 1 : 0
  })
  return known.map(({ row }) => row)
}

interface HeadProps {
  readonly by: string
  readonly label: string
  readonly sort: Sorted
  readonly onSort: (by: string, up: boolean) => void
  readonly upFirst?: boolean
  readonly className?: string
  readonly title?: string
}

export const SortHead = ({ by, className, label, onSort, sort, title, upFirst = false }: HeadProps) => {
  const active = sort.by === by
  return (
    <th
      scope="col"
      className={className}
      aria-sort={active ? (sort.up ? "ascending" : "descending") : undefined}
      title={title}
    >
      <button type="button" className="sort" onClick={() => onSort(by, active ? !sort.up : upFirst)}>
        {label}
        <span className="arrow" aria-hidden="true">
          {active ? (sort.up ? "↑" : "↓") : ""}
        </span>
      </button>
    </th>
  )
}
