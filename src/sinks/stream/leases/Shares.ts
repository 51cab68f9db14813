/**
 * Who should read which streams: pure. Every digest decides for itself, by what all of them see in the database.
 *
 * Each keeps what it has; what is free goes to those that have least, and then streams move from those that have most to those that
 * have least until nobody has two more than another. So a digest that comes or goes moves only what it must, and whoever sees the
 * same decides the same. Those who see something else for a moment reach for the same stream, which only one gets, or give up
 * one too many, and decide again.
 *
 * A stream whose server does not answer a digest is not read by that one while it answers another. One whose server answers nobody
 * stays where it is: whoever has it reads on at once when the server is back.
 */
export interface StreamRow {
  readonly stream: number
  readonly owner: string | null
  /** Nobody has it, or whoever had it has not been heard of for longer than a lease. */
  readonly isFree: boolean
}

export interface LivingDigest {
  readonly name: string
  /** Streams whose server does not answer it. */
  readonly unreachable: ReadonlySet<number>
}

export interface Share {
  readonly giveUp: ReadonlyArray<number>
  readonly take: ReadonlyArray<number>
}

/** What each digest has, or is to have. */
type Plan = ReadonlyMap<LivingDigest, Array<number>>

/** `digests` are those that live, `me` among them. */
export const shareOf = (me: string, digests: ReadonlyArray<LivingDigest>, streams: ReadonlyArray<StreamRow>): Share => {
  const own = digests.find(({ name }) => name === me) ?? { name: me, unreachable: new Set<number>() }
  const all = [...digests.filter((digest) => digest !== own), own].sort((a, b) => (a.name < b.name ? -1 : 1))
  const plan: Plan = new Map(all.map((digest) => [digest, []]))
  const ownerless: Array<number> = []
  for (const { isFree, owner, stream } of streams) {
    const digest = all.find(({ name }) => name === owner)
    if (isFree || owner === null || (digest !== undefined && isOthers(stream, digest, all))) ownerless.push(stream)
    // Of one that just went, until its lease has run out, nothing is planned.
    else if (digest !== undefined) plan.get(digest)!.push(stream)
  }
  for (const stream of ownerless) {
    const [least] = byLoad(plan).filter((digest) => !isOthers(stream, digest, all))
    plan.get(least!)!.push(stream)
  }
  while (moveOne(plan)) {}
  const planned = new Set(plan.get(own))
  return {
    giveUp: streams.flatMap(({ isFree, owner, stream }) =>
      owner === me && !isFree && !planned.has(stream) ? [stream] : []
    ),
    take: streams.flatMap(({ isFree, owner, stream }) =>
      (isFree || owner === null) && planned.has(stream) ? [stream] : []
    )
  }
}

/** Whether its server answers others, and not this digest. */
export const isOthers = (stream: number, digest: LivingDigest, all: ReadonlyArray<LivingDigest>): boolean =>
  digest.unreachable.has(stream) && all.some(({ unreachable }) => !unreachable.has(stream))

/** Those that have least first, then by name. */
const byLoad = (plan: Plan): ReadonlyArray<LivingDigest> =>
  [...plan].toSorted(([, a], [, b]) => a.length - b.length).map(([digest]) => digest)

/** From one that has most to one that has least; says whether there was one to move. */
const moveOne = (plan: Plan): boolean => {
  const order = byLoad(plan)
  for (const from of order.toReversed()) {
    const has = plan.get(from)!
    for (const to of order) {
      const gets = plan.get(to)!
      if (has.length - gets.length < 2) break
      const index = has.findLastIndex((stream) => !to.unreachable.has(stream))
      if (index < 0) continue
      gets.push(...has.splice(index, 1))
      return true
    }
  }
  return false
}
