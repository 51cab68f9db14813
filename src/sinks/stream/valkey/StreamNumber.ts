/**
 * Which stream of several a server's rows go to, and what the streams are called.
 *
 * Stream number p of n has the keys `nodepulse:{p}:snapshots` and, beside it, `…:rows` and `…:fence` (`ValkeyConnection.ts`). A
 * cluster takes what is in braces as the place of a key: the keys of one stream are on one server, and scripts may use all of
 * them. One stream is called as the first of several, so that their number may change at any time.
 */
import { crc32 } from "node:zlib"

/** Each stream that is read costs a connection. */
export const STREAMS_MAX = 256

/** The same everywhere and for ever, for the same number of streams. */
export const streamOf = (serverId: string, streams: number): number => (streams === 1 ? 0 : crc32(serverId) % streams)

/** `prefix` is another one in tests and benchmarks that share a Valkey. */
export const keyOf = (stream: number, prefix = "nodepulse"): string => `${prefix}:{${stream}}:snapshots`
