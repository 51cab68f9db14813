/**
 * How many groups a server may have: so many names within a day, and so many new ones an hour, for each exporter.
 *
 * A name costs whoever asks later: it is in every answer about its time. 5 000 names a day, of which 200 an hour are new, are
 * 24 × 200 that come and go beside 200 that stay; a host with 16 cores and all its kernel threads has some 400 a day. The
 * whole fleet's answer over a day then reads a few million numbers at most of the worst server, instead of what it likes.
 *
 * Guarantee: a name that was let in stays let in as long as it is sent, and one that was refused stays refused, until it was away
 * for half a day to a day. Otherwise its counters, which went on meanwhile, would be taken for what it used when it appeared.
 * What is refused is told in the answer, and is part of what an answer calls unaccounted. It is not folded into one group of
 * others: a sum of counters is a counter only as long as its members stay the same.
 *
 * Bound: as many refused names are remembered as may be let in; then no new one is let in. Names are kept by process: two of
 * them may each let in as many. After a restart a server may have all its names anew.
 */
import { createHash } from "node:crypto"
import type { RowRefused } from "../../plugins/Wire.ts"
import { makeAllowance } from "../server/Allowance.ts"
import type { LimitsShape } from "../server/Limits.ts"

export interface Groups {
  /** Tells of the groups of a server's rows, those of one request, why one is too many; undefined where it is not. */
  readonly of: (serverId: string) => (exporter: string, group: string) => RowRefused | undefined
}

/** Names, and whether they were let in. */
interface Names {
  readonly verdicts: Map<string, boolean>
  admitted: number
}

interface Seen {
  current: Names
  previous: Names
  /** When `current` began. */
  since: number
}

const GENERATION_MILLIS = 12 * 3_600_000
/** Longer names are remembered as their hash. */
const NAME_KEPT_MAX = 64
/** From so many servers' exporters on, those that are silent are looked for. */
const KEYS_KEPT = 2_000

/** `now` is monotonic, in milliseconds. */
export const makeGroups = (
  { groupsMax, newGroupsPerHour }: Pick<LimitsShape, "groupsMax" | "newGroupsPerHour">,
  now: () => number
): Groups => {
  const allowance = makeAllowance(groupsMax, newGroupsPerHour / 3_600)
  const servers = new Map<string, Seen>()

  const seenOf = (key: string, at: number): Seen => {
    let seen = servers.get(key)
    if (seen === undefined) {
      if (servers.size % KEYS_KEPT === KEYS_KEPT - 1) forget(at)
      seen = { current: noNames(), previous: noNames(), since: at }
      servers.set(key, seen)
    } else if (at - seen.since > GENERATION_MILLIS) {
      seen.previous = at - seen.since > 2 * GENERATION_MILLIS ? noNames() : seen.current
      seen.current = noNames()
      seen.since = at
    }
    return seen
  }

  const forget = (at: number) => {
    for (const [key, { since }] of servers) if (at - since > 2 * GENERATION_MILLIS) servers.delete(key)
  }

  const isAdmitted = (key: string, name: string, at: number): boolean => {
    const { current, previous } = seenOf(key, at)
    const known = current.verdicts.get(name)
    if (known !== undefined) return known
    const before = previous.verdicts.get(name)
    if (before !== undefined) {
      move(name, before, previous, current)
      return before
    }
    const admitted = current.admitted + previous.admitted
    const refused = current.verdicts.size + previous.verdicts.size - admitted
    if (refused >= groupsMax) return false
    const verdict = admitted < groupsMax && allowance.take(key, 1, at) === undefined
    current.verdicts.set(name, verdict)
    if (verdict) current.admitted++
    return verdict
  }

  return {
    of: (serverId) => {
      const at = now()
      let last = ""
      let key = ""
      return (exporter, name) => {
        const kept = name.length <= NAME_KEPT_MAX ? name : createHash("sha256").update(name).digest("base64")
        if (exporter !== last) {
          last = exporter
          key = `${exporter} ${serverId}`
        }
        if (isAdmitted(key, kept, at)) return undefined
        return {
          code: "too_many_groups",
          reason: `one group too many: a server may have ${groupsMax} of ${exporter} within a day, ${newGroupsPerHour} new ones an hour`
        }
      }
    }
  }
}

const noNames = (): Names => ({ verdicts: new Map(), admitted: 0 })

const move = (name: string, verdict: boolean, from: Names, to: Names) => {
  from.verdicts.delete(name)
  to.verdicts.set(name, verdict)
  if (!verdict) return
  from.admitted--
  to.admitted++
}
