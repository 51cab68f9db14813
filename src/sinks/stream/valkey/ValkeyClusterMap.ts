/**
 * Which server of a cluster has a key: the slot of a key, the map that `CLUSTER SLOTS` gives, and what the answers `MOVED` and
 * `ASK` say.
 *
 * Servers are known by `host:port` as they announce themselves; one that announces no host is reached by the host that was
 * asked. A server whose address the one that was asked does not know has port 0 there (`noaddr`), and is left out. Bound: a map has at most {@link SLOTS} ranges.
 */
import { infoOf } from "./ValkeyInfo.ts"

/** What a cluster is divided into. */
export const SLOTS = 16_384

export interface Endpoint {
  readonly host: string
  readonly port: number
}

/** Slots next to each other that are in one place. The names are of {@link nameOf}. */
interface SlotRange {
  readonly from: number
  readonly to: number
  readonly primary: string
  readonly replicas: ReadonlyArray<string>
}

export interface ClusterMap {
  readonly ranges: ReadonlyArray<SlotRange>
  /** Grows with every failover and every slot that moves: of two maps the one with the larger is the newer. */
  readonly epoch: number
}

export const nameOf = ({ host, port }: Endpoint): string => `${host}:${port}`

/** The reverse of {@link nameOf}; the host of an IPv6 address holds colons. */
export const endpointOf = (name: string): Endpoint => {
  const colon = name.lastIndexOf(":")
  return { host: name.slice(0, colon), port: Number(name.slice(colon + 1)) }
}

/** The slot of a key: CRC16 (XMODEM) of what stands in its first braces, or of all of it. */
export const slotOf = (key: string): number => {
  const open = key.indexOf("{")
  const close = open < 0 ? -1 : key.indexOf("}", open + 1)
  const bytes = Buffer.from(close > open + 1 ? key.slice(open + 1, close) : key)
  let crc = 0
  for (const byte of bytes) {
    crc ^= byte << 8
    for (let bit = 0; bit < 8; bit++) crc = ((crc << 1) ^ (crc & 0x8000 ? 0x1021 : 0)) & 0xffff
  }
  return crc % SLOTS
}

/** The key of a command that has one, where the commands are those that the stream uses. */
export const keyIn = (command: string, args: ReadonlyArray<string | number>): string => {
  const name = command.toUpperCase()
  const at =
    name === "XREADGROUP" || name === "XREAD"
      ? args.findIndex((arg) => String(arg).toUpperCase() === "STREAMS") + 1
      : name === "XGROUP" || name === "XINFO" || name === "MEMORY"
        ? 1
        : 0
  return String(args[at] ?? "")
}

/** Reads the answers of `CLUSTER SLOTS` and `CLUSTER INFO` of a server that was asked at `asked`. */
export const readMap = (slots: unknown, info: string, asked: Endpoint): ClusterMap => {
  const name = (node: unknown): string => {
    const [host, port] = node as readonly [string | null, number]
    return nameOf({ host: host === null || host === "" || host === "?" ? asked.host : host, port })
  }
  const isKnown = (node: unknown) => (node as readonly [string | null, number])[1] > 0
  const ranges = (slots as ReadonlyArray<ReadonlyArray<unknown>>)
    .slice(0, SLOTS)
    .filter(([, , primary]) => isKnown(primary))
    .map(
      ([from, to, primary, ...replicas]): SlotRange => ({
        from: Number(from),
        to: Number(to),
        primary: name(primary),
        replicas: replicas.filter(isKnown).map(name)
      })
    )
  return { ranges, epoch: Number(infoOf(info)("cluster_current_epoch") ?? 0) }
}

export const rangeOf = ({ ranges }: ClusterMap, slot: number): SlotRange | undefined =>
  ranges.find(({ from, to }) => from <= slot && slot <= to)

/** Every slot that nobody has, as a count. */
export const uncovered = ({ ranges }: ClusterMap): number =>
  SLOTS - ranges.reduce((sum, { from, to }) => sum + to - from + 1, 0)

/** Where `MOVED 3999 10.0.0.1:6381` and `ASK …` send to; undefined for every other answer, and where they do not know the address. */
export const redirection = (
  message: string,
  asked: Endpoint
): { readonly slot: number; readonly name: string; readonly asking: boolean } | undefined => {
  const found = /^(MOVED|ASK) (\d+) (.*):(\d+)$/.exec(message)
  if (found === null || Number(found[4]) === 0) return undefined
  const [, kind, slot, host, port] = found
  return {
    slot: Number(slot),
    name: nameOf({ host: host === "" || host === "?" ? asked.host : host!, port: Number(port) }),
    asking: kind === "ASK"
  }
}
