/**
 * What one group did in a window, and whether its server was seen: the sums that its average is read off. Of the other groups
 * it holds nothing, so that the windows of a whole fleet fit. Pure, and the only state is its own.
 *
 * Guarantee: the average is the one of the top answer (`AnswerFields.ts`).
 */
import type { Summary } from "./Aggregate.ts"
import type { Measured } from "./Increases.ts"
import type { Visitor } from "./WindowReader.ts"

export class GroupSums implements Visitor {
  /** Seconds. */
  covered = 0
  /** It ran in at least one scrape: being there with `presence` 0 is not running. */
  ran = false
  private scrapes = 0
  private increase = 0
  private level = 0
  /** In how many scrapes of the group its level was not known. */
  private unknown = 0
  private readonly group: () => number | undefined
  private readonly by: "rate" | "peak"
  private readonly presence: number | undefined

  /**
   * Of the measures of one ranking: its counter or gauge comes first, `presence` is the place of a gauge. `group` is asked when
   * something is shown: where names are put together, it is known no earlier.
   */
  constructor(group: () => number | undefined, by: "rate" | "peak", presence: number | undefined) {
    this.group = group
    this.by = by
    this.presence = presence
  }

  /** The average over the window, in the stored unit; null where nothing was seen that tells it. */
  get average(): number | null {
    if (this.by === "rate") return this.covered === 0 ? null : this.increase / this.covered
    const known = this.scrapes - this.unknown
    return known === 0 ? null : this.level / known
  }

  readonly scrape = (scrape: Measured): void => {
    this.scrapes++
    if (!Number.isNaN(scrape.coveredFrom)) this.covered += (scrape.at - scrape.coveredFrom) / 1_000_000
    const group = this.group()
    const row = group === undefined ? -1 : scrape.groups.indexOf(group)
    if (row < 0) return
    this.ran ||= this.presence === undefined || scrape.gauges[this.presence]![row] !== 0
    const value = this.by === "rate" ? scrape.increases[0]![row]! : scrape.gauges[0]![row]!
    this.add(value, value, Number.isNaN(value) ? 1 : 0)
  }

  readonly bucket = (_: number, part: Summary): void => {
    this.scrapes += part.scrapes
    this.covered += part.covered
    const group = this.group()
    const place = group === undefined ? -1 : Array.prototype.indexOf.call(part.groups, group)
    if (place < 0) return
    this.ran ||= this.presence === undefined || part.gauges[this.presence]!.max[place] !== 0
    const rows = part.rows[place]!
    const gauge = part.gauges[0]
    this.add(
      part.counters[0]?.increase[place] ?? Number.NaN,
      gauge?.sum[place] ?? Number.NaN,
      rows - (gauge?.count?.[place] ?? rows)
    )
  }

  private add(increase: number, level: number, unknown: number): void {
    if (!Number.isNaN(increase)) this.increase += increase
    if (!Number.isNaN(level)) this.level += level
    this.unknown += unknown
  }
}
