/**
 * How often somebody may try tokens, cookies and sign-in links that turn out to be nobody's: per address, and in all.
 *
 * Whoever has used up the tries of an address is told to wait, and what it sends is not looked at; but a secret that is long
 * enough not to be guessed, and was good a moment ago, is always let in (`Tokens.isKnown`): others behind the same address
 * are not locked out.
 *
 * Bound: `ADDRESSES_MAX` addresses; an IPv6 network of 64 bits counts as one.
 */
import { Clock, Context, Effect, Layer } from "effect"
import { makeRecentMap } from "../sinks/postgres/RecentMap.ts"
import { placeOf } from "./Networks.ts"

export interface GuessesShape {
  /** Seconds until the next try from there is looked at; 0: now. */
  readonly wait: (address: string) => number
  /** Counts a try that failed. */
  readonly failed: (address: string) => void
}

export interface Rate {
  /** Tries at once. */
  readonly burst: number
  /** And then as many a second. */
  readonly perSecond: number
}

export const PER_ADDRESS: Rate = { burst: 100, perSecond: 1 }
export const IN_ALL: Rate = { burst: 1_000, perSecond: 50 }
const ADDRESSES_MAX = 10_000
/** As many addresses, in the characters of a `RecentMap`. */
const ADDRESSES_COST_MAX = ADDRESSES_MAX * 2 * (40 + 64)

interface Bucket {
  left: number
  at: number
}

export class Guesses extends Context.Service<Guesses, GuessesShape>()("nodepulse/access/Guesses") {
  static readonly layer: Layer.Layer<Guesses> = Layer.effect(
    Guesses,
    Effect.map(Clock.Clock, (clock) => makeGuesses(() => clock.currentTimeMillisUnsafe()))
  )
}

/** `now` in milliseconds. */
export const makeGuesses = (now: () => number, perAddress = PER_ADDRESS, inAll = IN_ALL): GuessesShape => {
  const addresses = makeRecentMap<Bucket>(ADDRESSES_COST_MAX)
  const all: Bucket = { left: inAll.burst, at: now() }
  const refill = (bucket: Bucket, { burst, perSecond }: Rate) => {
    const at = now()
    bucket.left = Math.min(burst, bucket.left + (Math.max(0, at - bucket.at) / 1_000) * perSecond)
    bucket.at = at
  }
  const waitOf = (bucket: Bucket, rate: Rate) => {
    refill(bucket, rate)
    return bucket.left >= 1 ? 0 : (1 - bucket.left) / rate.perSecond
  }
  return {
    wait: (address) => {
      const bucket = addresses.get(placeOf(address))
      return Math.max(bucket === undefined ? 0 : waitOf(bucket, perAddress), waitOf(all, inAll))
    },
    failed: (address) => {
      const place = placeOf(address)
      const bucket = addresses.get(place) ?? { left: perAddress.burst, at: now() }
      refill(bucket, perAddress)
      refill(all, inAll)
      bucket.left = Math.max(0, bucket.left - 1)
      all.left = Math.max(0, all.left - 1)
      addresses.set(place, bucket)
    }
  }
}
