/**
 * Who should read which streams: pure. Every digest decides for itself, by what all of them see in the database.
 *
 * Of n streams and m digests each has n / m, rounded down, and the first n mod m one more: those that have most already, then
 * by name. So a digest that comes or goes moves only what it must, and whoever sees the same decides the same. Those who see
 * something else for a moment reach for the same stream, which only one gets, or give up one too many, and decide again.
 */
export interface StreamRow {
  readonly stream: number
  readonly owner: string | null
  /** Nobody has it, or whoever had it has not been heard of for longer than a lease. */
  readonly isFree: boolean
}

export interface Share {
  readonly giveUp: ReadonlyArray<number>
  readonly take: ReadonlyArray<number>
}

/** `digests` are those that live, `me` among them. */
export const shareOf = (me: string, digests: ReadonlyArray<string>, streams: ReadonlyArray<StreamRow>): Share => {
  const held = new Map([...new Set([me, ...digests])].map((name) => [name, [] as number[]]))
  const free: Array<number> = []
  for (const { isFree, owner, stream } of streams) {
    if (isFree || owner === null) free.push(stream)
    else held.get(owner)?.push(stream)
  }
  const names = [...held.keys()].sort((a, b) => held.get(b)!.length - held.get(a)!.length || (a < b ? -1 : 1))
  const least = Math.floor(streams.length / names.length)
  const withOneMore = streams.length % names.length
  let next = 0
  for (const [place, name] of names.entries()) {
    const own = held.get(name)!
    const share = least + (place < withOneMore ? 1 : 0)
    const lacking = Math.max(0, share - own.length)
    // What is free is shared out in the same order by everybody, so that two do not reach for the same.
    const take = free.slice(next, next + lacking)
    next += lacking
    if (name === me) return { giveUp: own.slice(share), take }
  }
  return { giveUp: [], take: [] }
}
