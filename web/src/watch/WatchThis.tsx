/** "Watch this…": opens the editor of rules with what is known of what is looked at. Absent for who may not save one. */
import { useMay } from "../ask/WhoContext.ts"
import { Link } from "../parts/Link.tsx"
import { PREFILLED } from "./Prefilled.ts"

interface Props {
  readonly resource: string
  readonly metric?: string | undefined
  readonly group?: string | undefined
  readonly server?: string | undefined
  /** The highest value that was seen, in the unit that is shown: the threshold is a little above. */
  readonly peak?: number | undefined
  /** Instead of a value: that a server says nothing. */
  readonly asks?: "silent" | undefined
  readonly className?: string | undefined
}

/** A little above, and a number that people would choose. */
const aboveOf = (peak: number): string => {
  const size = 10 ** Math.floor(Math.log10(peak))
  const step = [1.2, 1.5, 2, 2.5, 3, 4, 5, 6, 8, 10].find((one) => one * size > peak * 1.05) ?? 12
  return String(Number((step * size).toPrecision(3)))
}

export const WatchThis = ({ asks, className, group, metric, peak, resource, server }: Props) => {
  if (!useMay("operator")) return null
  const above = peak !== undefined && peak > 0 ? aboveOf(peak) : undefined
  const query = new URLSearchParams()
  const said = { resource, metric, group, server, above, asks }
  for (const key of PREFILLED) if (said[key] !== undefined) query.set(key, said[key].toWellFormed())
  return (
    <Link className={className} href={`/watch/rule?${query}`}>
      Watch this…
    </Link>
  )
}
