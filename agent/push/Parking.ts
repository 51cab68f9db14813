/**
 * Records that the server does not take yet: set aside, and offered again later. Of an exporter that it does not know, and of
 * a clock that nobody can correct yet. They stay in the spool, so its bounds hold for them too.
 *
 * Times are monotonic milliseconds. A group waits for `FIRST_MILLIS`, twice as long with each offer that is refused, at most
 * `MOST_MILLIS`: so long after the server has learned of the exporter its rows arrive. What was scraped in the meantime joins
 * the group without being sent.
 */

const FIRST_MILLIS = 15_000
const MOST_MILLIS = 5 * 60_000
/** A fleet does not offer all at once. */
const JITTER = 0.2

export interface Parking {
  /** All that is set aside. */
  readonly ids: ReadonlySet<number>
  /** Whether the group is set aside now. */
  readonly holds: (group: string) => boolean
  /** The server has refused these: the group waits, longer than the last time. `random` in [0, 1). */
  readonly refuse: (group: string, ids: Iterable<number>, now: number, random: number) => void
  /** These wait with the group. */
  readonly join: (group: string, ids: Iterable<number>) => void
  /** Lets go of what is due, to be offered. */
  readonly release: (now: number) => void
  /** The server takes the group: the next refusal is the first again. */
  readonly accept: (group: string) => void
}

export const makeParking = (): Parking => {
  interface Group {
    refusals: number
    /** Undefined: let go. */
    due: number | undefined
    readonly ids: Set<number>
  }
  const groups = new Map<string, Group>()
  const ids = new Set<number>()
  const join = (group: Group, more: Iterable<number>) => {
    for (const id of more) {
      group.ids.add(id)
      ids.add(id)
    }
  }
  return {
    ids,
    holds: (name) => groups.get(name)?.due !== undefined,
    refuse: (name, more, now, random) => {
      const group = groups.get(name) ?? { refusals: 0, due: undefined, ids: new Set<number>() }
      groups.set(name, group)
      if (group.due === undefined) {
        const wait = Math.min(FIRST_MILLIS * 2 ** Math.min(group.refusals, 16), MOST_MILLIS)
        group.due = now + wait * (1 - JITTER * random)
        group.refusals++
      }
      join(group, more)
    },
    join: (name, more) => {
      const group = groups.get(name)
      if (group !== undefined) join(group, more)
    },
    release: (now) => {
      for (const group of groups.values()) {
        if (group.due === undefined || group.due > now) continue
        group.due = undefined
        for (const id of group.ids) ids.delete(id)
        group.ids.clear()
      }
    },
    accept: (name) => {
      if (groups.get(name)?.due === undefined) groups.delete(name)
    }
  }
}
