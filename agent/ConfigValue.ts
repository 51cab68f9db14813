/**
 * The values of the agent's config file that are more than YAML has types for: durations, sizes, addresses. Each schema
 * says in its error what is allowed; path and value are added by the reader (`ConfigDocument.ts`).
 */
import { Duration, Effect, Schema, SchemaGetter, SchemaIssue } from "effect"

const SECOND = 1000
const MINUTE = 60 * SECOND
const HOUR = 60 * MINUTE
const DAY = 24 * HOUR

const UNIT_MILLIS: Readonly<Record<string, number>> = { ms: 1, s: SECOND, m: MINUTE, h: HOUR, d: DAY }

/** A duration as in Prometheus and Go, `15s` or `1h30m`, in milliseconds; undefined where it is none. */
export const parseDuration = (text: string): number | undefined => {
  if (!/^(\d+(\.\d+)?(ms|s|m|h|d))+$/.test(text)) return undefined
  let millis = 0
  for (const [, number, , unit] of text.matchAll(/(\d+(\.\d+)?)(ms|s|m|h|d)/g))
    millis += Number(number) * UNIT_MILLIS[unit!]!
  return Number.isSafeInteger(Math.round(millis)) ? Math.round(millis) : undefined
}

const KIBI = 1024
const UNIT_BYTES: Readonly<Record<string, number>> = {
  "": 1,
  b: 1,
  kb: 1e3,
  mb: 1e6,
  gb: 1e9,
  kib: KIBI,
  mib: KIBI ** 2,
  gib: KIBI ** 3
}

/** A size as a number of bytes or with a unit: `268435456`, `256MiB`, `1 GB`; undefined where it is none. */
export const parseBytes = (value: unknown): number | undefined => {
  const found = /^(\d+(?:\.\d+)?) ?([a-z]*)$/i.exec(String(value))
  const unit = found === null ? undefined : UNIT_BYTES[found[2]!.toLowerCase()]
  if (unit === undefined) return undefined
  const bytes = Number(found![1]) * unit
  return Number.isInteger(bytes) && Number.isSafeInteger(bytes) ? bytes : undefined
}

/** Decodes with `parse`; the error says `expected`. */
const parsed = <A>(schema: Schema.Codec<A>, expected: string, parse: (value: unknown) => A | undefined) =>
  Schema.Unknown.pipe(
    Schema.decodeTo(schema, {
      decode: SchemaGetter.transformEffect((value: unknown) => {
        const result = parse(value)
        return result === undefined
          ? Effect.fail(new SchemaIssue.InvalidValue({ message: expected }))
          : Effect.succeed(result)
      }),
      encode: SchemaGetter.transform((value: A): unknown => value)
    })
  )

const text = (millis: number): string => Duration.format(Duration.millis(millis)).replaceAll(" ", "")

/** A duration between two bounds (milliseconds), decoded to milliseconds. */
export const DurationBetween = (least: number, greatest: number) =>
  parsed(Schema.Number, `a duration between ${text(least)} and ${text(greatest)}, such as "15s" or "1m"`, (value) => {
    const millis = typeof value === "string" ? parseDuration(value) : undefined
    return millis === undefined || millis < least || millis > greatest ? undefined : millis
  })

/** A size between two bounds, in bytes. */
export const BytesBetween = (least: number, greatest: number) =>
  parsed(
    Schema.Number,
    `a size between ${least} and ${greatest} bytes, as a number or with a unit, such as "256MiB"`,
    (value) => {
      const bytes = typeof value === "string" || typeof value === "number" ? parseBytes(value) : undefined
      return bytes === undefined || bytes < least || bytes > greatest ? undefined : bytes
    }
  )

/** An address of a web server, without query and fragment. */
export const HttpUrl = parsed(
  Schema.String,
  'an address that begins with "http://" or "https://", without "?" and "#"',
  (value) => {
    if (typeof value !== "string" || !URL.canParse(value)) return undefined
    const url = new URL(value)
    if (url.protocol !== "http:" && url.protocol !== "https:") return undefined
    return url.search === "" && url.hash === "" && url.hostname !== "" ? value : undefined
  }
)

/** An address that is scraped: may have a query, as process_exporter's neighbours sometimes do. */
export const EndpointUrl = parsed(Schema.String, 'an address that begins with "http://" or "https://"', (value) => {
  if (typeof value !== "string" || !URL.canParse(value)) return undefined
  const url = new URL(value)
  return (url.protocol === "http:" || url.protocol === "https:") && url.hostname !== "" ? value : undefined
})

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

/** The path of a file or folder. */
export const FilePath = parsed(Schema.String, "the path of a file or folder", (value) =>
  typeof value === "string" && value !== "" && !value.includes("\0") ? value : undefined
)

/** A name that people gave a machine. */
export const MachineName = parsed(
  Schema.String,
  "a name of 1 to 255 characters, without control characters",
  (value) =>
    typeof value === "string" && /^[^\x00-\x1f\x7f]{1,255}$/.test(value) && value.trim() === value ? value : undefined
)

export const Switch = parsed(Schema.Boolean, "true or false", (value) =>
  typeof value === "boolean" ? value : undefined
)
