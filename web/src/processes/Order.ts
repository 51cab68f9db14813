/** What the lists of processes are ordered by, which the address says: a ranking, and its total, its peak or growth. */
import type { Exporter } from "../ask/Api.ts"
import { usePlace } from "../ask/Url.ts"

type By = "total" | "peak" | "growth"

export interface Order {
  readonly metric: string
  readonly by: By
  /** Whether there is memory whose growth can be told. */
  readonly canGrow: boolean
  /** The head of a column that orders by this; the most is always first. */
  readonly head: (metric: string, by: "total" | "peak", label: string) => HeadProps
  /** The same of growth, which is that of memory. */
  readonly growthHead: HeadProps
}

interface HeadProps {
  readonly by: string
  readonly label: string
  readonly className: string
  readonly sort: { readonly by: string; readonly up: boolean }
  readonly onSort: () => void
}

export const useOrder = ({ top }: Exporter): Order => {
  const { query, set } = usePlace()
  const rankings = top!.rankings
  const metric = rankings.find(({ key }) => key === query.get("metric"))?.key ?? top!.default
  const grows = rankings.find(({ by, share }) => by === "peak" && share === "memory")?.key
  const canGrow = grows !== undefined
  const asked = query.get("by")
  const by = asked === "peak" || (asked === "growth" && canGrow) ? asked : "total"
  const head = (ofMetric: string, ofBy: By, label: string): HeadProps => ({
    by: ofBy === "growth" ? ofBy : `${ofMetric} ${ofBy}`,
    label,
    className: "num",
    sort: { by: by === "growth" ? by : `${metric} ${by}`, up: false },
    onSort: () =>
      set({ metric: ofMetric === top!.default ? undefined : ofMetric, by: ofBy === "total" ? undefined : ofBy }, true)
  })
  return { metric, by, canGrow, head, growthHead: head(grows ?? metric, "growth", "Growth") }
}
