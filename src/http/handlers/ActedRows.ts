/**
 * What somebody did to a group, in its row of a ranking: acts of the window, and those that still held when it began. Of a unit they stand in
 * its own row and in those of the processes in it; of a process in the row of its name. Pure but for the question.
 *
 * Cost: one question to an index a ranking; where nobody acted, nothing else. Bounds: {@link SHOWN} acts a row, and how many
 * there are; the latest thousand of a server (`ActingStatements.ts`).
 */
import { Effect } from "effect"
import type { Act, Acting } from "../../acting/Acting.ts"
import { otherLabels } from "../../plugins/Catalog.ts"
import type { Exporter } from "../../plugins/Exporter.ts"
import type { RegistryShape } from "../../plugins/Registry.ts"
import { formatTimestamp } from "../../plugins/Timestamp.ts"
import { ORDER_LIMITS } from "../../protocol/OrderText.ts"
import type { Regrouping } from "../../query/grouping/Regrouping.ts"
import type { RankedRow, Window } from "../../query/Rankings.ts"
import type { ActShown } from "../api/ActingAnswer.ts"

/** So many acts of a row are told, the latest ones. */
const SHOWN = 3
/** No restraint lasts longer. */
const HELD_MICROS = ORDER_LIMITS.minutes * 60_000_000

/** An act as an answer tells it, in a row and as a mark. */
export const showAct = ({ at, by, orderId, result, revertsAt, target, verb }: Act): ActShown => ({
  at: formatTimestamp(at),
  order_id: orderId,
  verb,
  target,
  result,
  by,
  reverts_at: revertsAt === null ? null : formatTimestamp(revertsAt)
})

/** Where a ranking's rows have their names of units and processes. */
interface Places {
  /** Whether the rows are units, and whether they are processes by name. */
  readonly areUnits: boolean
  readonly areProcesses: boolean
  /** The field of a row that lists the units that it is in. */
  readonly units: string | undefined
}

const placesOf = (exporter: Exporter, { memberships, units }: RegistryShape): Places => {
  const membership = memberships.find(({ members, of }) => members === exporter && of === units)
  return {
    areUnits: exporter === units,
    areProcesses: exporter.scrape.collector === "process",
    units: otherLabels(exporter).find(({ label }) => label === membership?.label)?.field
  }
}

/** The acts that rows of an exporter may tell of: of the window, or held in it. None is asked for where its rows are nobody's to act on. */
export const actsFor = (
  acting: Acting["Service"],
  registry: RegistryShape,
  exporter: Exporter,
  serverId: string,
  { from, to }: Window
): ReturnType<Acting["Service"]["acts"]> => {
  const { areProcesses, areUnits, units } = placesOf(exporter, registry)
  if (!areProcesses && !areUnits && units === undefined) return Effect.succeed([])
  return Effect.map(acting.acts(serverId, { from: from - HELD_MICROS, to }), (acts) =>
    acts.filter(({ at, revertsAt }) => at > from || (revertsAt !== null && revertsAt > from))
  )
}

/** The rows, those that acts are about with `acts`, the latest first, and `acts_total`. */
export const withActs = (
  rows: ReadonlyArray<RankedRow>,
  acts: ReadonlyArray<Act>,
  registry: RegistryShape,
  exporter: Exporter,
  regrouping: Regrouping | undefined
): ReadonlyArray<object> => {
  if (acts.length === 0) return rows
  const places = placesOf(exporter, registry)
  const shownAs = (name: string) => regrouping?.shownOf(name) ?? name
  const named = acts.toReversed().map((act) => {
    const own = act.group === null ? (places.areUnits ? act.target : null) : places.areProcesses ? act.group : null
    return { act, name: own === null ? undefined : shownAs(own) }
  })
  return rows.map((row) => {
    const within = places.units === undefined ? null : row[places.units]
    const isWithin = (act: Act) => act.group === null && Array.isArray(within) && within.includes(act.target)
    const own = named.filter(({ act, name }) => name === row.name || isWithin(act))
    return own.length === 0
      ? row
      : { ...row, acts: own.slice(0, SHOWN).map(({ act }) => showAct(act)), acts_total: own.length }
  })
}
