/** Which message is sent next, and what goes with it. Pure. */

/** A message that may be sent. */
export interface Waiting {
  readonly id: string
  readonly route: string
  readonly receiver: string
}

/** What is known of the messages of a route to a receiver. */
export interface Load {
  readonly route: string
  readonly receiver: string
  /** Sent in the last ten minutes. */
  readonly sent: number
  /** Being sent. */
  readonly underWay: number
}

/** Messages that a receiver gets at a time: one that hangs does not hold up the others. */
const AT_ONCE_MAX = 2
/** Incidents in one message. */
const INCIDENTS_MAX = 100

/**
 * The messages that are sent as one now; none where all have to wait. In order of their ids, but the last one that a route's rate
 * allows takes all that wait for the same receiver along: nothing is left out, however much happens at once.
 */
export const nextOf = (
  waiting: ReadonlyArray<Waiting>,
  loads: ReadonlyArray<Load>,
  rateOf: (route: string) => number
): ReadonlyArray<Waiting> => {
  for (const first of waiting) {
    const ofReceiver = loads.filter(({ receiver }) => receiver === first.receiver)
    if (ofReceiver.reduce((sum, { underWay }) => sum + underWay, 0) >= AT_ONCE_MAX) continue
    const load = ofReceiver.find(({ route }) => route === first.route)
    const left = rateOf(first.route) - (load?.sent ?? 0) - (load?.underWay ?? 0)
    if (left <= 0) continue
    if (left > 1) return [first]
    return waiting
      .filter(({ receiver, route }) => route === first.route && receiver === first.receiver)
      .slice(0, INCIDENTS_MAX)
  }
  return []
}
