/**
 * The values of a YAML file that are more than YAML has types for: durations, sizes, addresses. Each schema says in its error what
 * is allowed; path and value are added by the reader (`YamlDocument.ts`).
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
  for (const [, number, , unit] of text.matchAll(/(\d+(\.\d+)?)(ms|s|m|h|d)/gy))
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
export const parsed = <A>(schema: Schema.Codec<A>, expected: string, parse: (value: unknown) => A | undefined) =>
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

/** A whole number between two bounds. */
export const CountBetween = (least: number, greatest: number) =>
  parsed(Schema.Number, `a whole number between ${least} and ${greatest}`, (value) =>
    typeof value === "number" && Number.isInteger(value) && value >= least && value <= greatest ? value : undefined
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

/** The path of a file or folder. */
export const FilePath = parsed(Schema.String, "the path of a file or folder", (value) =>
  typeof value === "string" && value !== "" && !value.includes("\0") ? value : undefined
)

export const Switch = parsed(Schema.Boolean, "true or false", (value) =>
  typeof value === "boolean" ? value : undefined
)
