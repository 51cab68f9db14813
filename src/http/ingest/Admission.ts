/**
 * How much ingest may be under way at once, and whose: a bound on requests and on bytes, shared fairly.
 *
 * Guarantee: never more than `requestsMax` requests nor `bytesMax` bytes (but one body may overshoot by its last chunk).
 * While less than half of the requests are taken, anyone may come; beyond that a server is turned away once it holds as
 * many as the others do on average, so that one busy server cannot shut out a thousand quiet ones. Whoever is turned away
 * is told at once, and nothing waits in a queue here: an agent has a spool for that.
 */

export type Refusal = "requests" | "bytes" | "server_share"

export interface Ticket {
  readonly serverId: string
  bytes: number
}

export interface Admission {
  /** A ticket, or why there is none. Each ticket must be given back. */
  readonly enter: (serverId: string) => Ticket | Refusal
  /** Takes `bytes` more for the ticket; false where that would exceed the bound. */
  readonly grow: (ticket: Ticket, bytes: number) => boolean
  readonly leave: (ticket: Ticket) => void
  readonly inFlight: () => { readonly requests: number; readonly bytes: number; readonly servers: number }
}

/** Not an Effect: it only counts, on the hot path. */
export const makeAdmission = (requestsMax: number, bytesMax: number): Admission => {
  const perServer = new Map<string, number>()
  let requests = 0
  let bytes = 0
  return {
    enter: (serverId) => {
      if (requests >= requestsMax) return "requests"
      const own = perServer.get(serverId) ?? 0
      if (requests >= requestsMax / 2 && own > 0 && own >= requests / perServer.size) return "server_share"
      if (bytes >= bytesMax) return "bytes"
      requests++
      perServer.set(serverId, own + 1)
      return { serverId, bytes: 0 }
    },
    grow: (ticket, more) => {
      if (bytes + more > bytesMax) return false
      bytes += more
      ticket.bytes += more
      return true
    },
    leave: (ticket) => {
      requests--
      bytes -= ticket.bytes
      ticket.bytes = 0
      const own = perServer.get(ticket.serverId) ?? 0
      if (own <= 1) perServer.delete(ticket.serverId)
      else perServer.set(ticket.serverId, own - 1)
    },
    inFlight: () => ({ requests, bytes, servers: perServer.size })
  }
}
