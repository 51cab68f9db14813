/**
 * The values that only the agent's file has: exporters, proxies, tokens, names. What every file has is `src/YamlValue.ts`.
 */
import { Schema } from "effect"
import { parseBytes, parsed } from "../../src/YamlValue.ts"
import { isSocketAddress, socketAddress } from "./SocketAddress.ts"

/** An address that is scraped: may have a query, as process_exporter's neighbours sometimes do, or be a socket. */
export const EndpointUrl = parsed(
  Schema.String,
  'an address that begins with "http://" or "https://", or a socket such as "unix:///run/exporter.sock:/metrics" (its path has at most 107 bytes)',
  (value) => {
    if (typeof value !== "string") return undefined
    if (isSocketAddress(value)) return socketAddress(value) === undefined ? undefined : value
    if (!URL.canParse(value)) return undefined
    const url = new URL(value)
    return (url.protocol === "http:" || url.protocol === "https:") && url.hostname !== "" ? value : undefined
  }
)

/** A proxy, or that there is none. Its address is looked at where its setting is known (`ProxySettings.ts`). */
export const ProxyText = parsed(
  Schema.String,
  'an address such as "http://proxy.example.org:3128", or "none"',
  (value) => (typeof value === "string" && value.trim() !== "" && value.length <= 4096 ? value.trim() : undefined)
)

/** A text that can stand in an HTTP header: printable ASCII without blanks. */
export const HeaderToken = parsed(Schema.String, "a token of printable ASCII characters without blanks", (value) =>
  typeof value === "string" && isToken(value) ? value : undefined
)

export const isToken = (value: string): boolean => /^[\x21-\x7e]{1,4096}$/.test(value)

/** An address to listen on, such as `127.0.0.1:9257` or `[::1]:9257`; port 0 takes a free one. */
export const ListenAddress = parsed(
  Schema.Struct({ host: Schema.String, port: Schema.Number }),
  'an address and a port to listen on, such as "127.0.0.1:9257"',
  (value) => {
    const found = typeof value === "string" ? /^(?:\[([0-9a-f:]+)\]|([^:[\]\s]+)):(\d{1,5})$/i.exec(value) : null
    const host = found?.[1] ?? found?.[2]
    const port = Number(found?.[3])
    return host === undefined || port > 65_535 ? undefined : { host, port }
  }
)

/** A name that people gave a machine. */
export const MachineName = parsed(
  Schema.String,
  "a name of 1 to 255 characters, without control characters",
  (value) =>
    typeof value === "string" && /^[^\x00-\x1f\x7f]{1,255}$/.test(value) && value.trim() === value ? value : undefined
)

/** A share of one core, decoded to percent; null: none is set. */
export const CpuBudget = parsed(
  Schema.NullOr(Schema.Number),
  'a part of one core between "0.1%" and "100%", or "none"',
  (value) => {
    if (value === "none") return null
    const found = typeof value === "string" ? /^(\d{1,3}(?:\.\d{1,3})?) ?%$/.exec(value) : null
    const percent = Number(found?.[1])
    return percent >= 0.1 && percent <= 100 ? percent : undefined
  }
)

const MEBI = 1024 * 1024

/** A size in bytes; null: none is set. */
export const MemoryBudget = parsed(
  Schema.NullOr(Schema.Number),
  'a size between 64 MiB and 16 GiB, such as "192MiB", or "none"',
  (value) => {
    if (value === "none") return null
    const bytes = parseBytes(value)
    return bytes !== undefined && bytes >= 64 * MEBI && bytes <= 16_384 * MEBI ? bytes : undefined
  }
)
