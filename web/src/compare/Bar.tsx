/** What servers are compared by, in which unit and when: the choices above a comparison, all of them in the address. */
import type { Exporter, Ranking } from "../ask/Api.ts"
import { useCatalog } from "../ask/CatalogContext.ts"
import { useNow } from "../ask/Refresh.tsx"
import { usePlace } from "../ask/Url.ts"
import { RangePicker, RankingPicker } from "../frame/Toolbar.tsx"
import { window as windowText } from "../parts/Format.ts"

export interface ComparedBy {
  readonly exporter: Exporter
  readonly ranking: Ranking
}

/** The ranking that the address names, else the first exporter's own; undefined where nothing is ranked. */
export const useComparedBy = (): ComparedBy | undefined => {
  const { exporters } = useCatalog()
  const { query } = usePlace()
  const ranked = exporters.filter(({ top }) => top !== null)
  const exporter = ranked.find(({ resource }) => resource === query.get("resource")) ?? ranked[0]
  const rankings = exporter?.top?.rankings ?? []
  const named = (key: string | null | undefined) => rankings.find((ranking) => ranking.key === key)
  const ranking = named(query.get("metric")) ?? named(exporter?.top?.default)
  return exporter === undefined || ranking === undefined ? undefined : { exporter, ranking }
}

/** The scale that the address names: the ranking's own unit, or percent of the machine, of what a machine has. */
export const useScale = (ranking: Ranking): "own" | "machine" =>
  usePlace().query.get("unit") === "machine" && ranking.share !== null ? "machine" : "own"

export const CompareBar = ({
  exporter: { top },
  ranking,
  window
}: ComparedBy & {
  /** What the answer is about, once it is there. */
  readonly window: { readonly from: string; readonly to: string } | undefined
}) => {
  const now = useNow()
  const { set } = usePlace()
  return (
    <div className="toolbar">
      <RankingPicker
        rankings={top?.rankings ?? []}
        current={ranking.key}
        onChoose={(key) => set({ metric: key === top?.default ? undefined : key })}
      />
      <ScalePicker ranking={ranking} />
      <RangePicker />
      <span className="spring" />
      {window !== undefined && (
        <p className="muted">{windowText(Date.parse(window.from), Date.parse(window.to), now)}</p>
      )}
    </div>
  )
}

const ScalePicker = ({ ranking }: { readonly ranking: Ranking }) => {
  const { set } = usePlace()
  const scale = useScale(ranking)
  if (ranking.share === null) return null
  return (
    <fieldset className="segments">
      <legend className="visually-hidden">Compared in</legend>
      <button type="button" aria-pressed={scale === "own"} onClick={() => set({ unit: undefined }, true)}>
        {ranking.share === "cpu" ? "% of a core" : "Size"}
      </button>
      <button
        type="button"
        aria-pressed={scale === "machine"}
        title="Of all its cores, or all its memory"
        onClick={() => set({ unit: "machine" }, true)}
      >
        % of the machine
      </button>
    </fieldset>
  )
}
