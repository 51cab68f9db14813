/**
 * What a server wants of an agent, in its answer to the agent's own push: the header `nodepulse-wants`. Both ends read and write it
 * here.
 *
 * ```
 * nodepulse-wants: recording;id=0f8a2c…;reason=alert
 * ```
 *
 * Guarantee: an agent can be asked for a recording of what it has seen, and for nothing else. Reading never fails: a header that is
 * not exactly this is as good as none.
 */

export const WANTS_HEADER = "nodepulse-wants"

export interface Wanted {
  /** What the recording is to be called: 32 hexadecimal digits. */
  readonly id: string
  readonly reason: "alert" | "asked"
}

export const formatWanted = ({ id, reason }: Wanted): string => `recording;id=${id};reason=${reason}`

export const parseWanted = (header: string | ReadonlyArray<string> | undefined): Wanted | undefined => {
  const found = typeof header === "string" ? /^recording;id=([0-9a-f]{32});reason=(alert|asked)$/.exec(header) : null
  return found === null ? undefined : { id: found[1]!, reason: found[2] as Wanted["reason"] }
}
