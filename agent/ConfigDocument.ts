/**
 * The text of `nodepulse.yml`, read into typed values. Pure: files, tokens and defaults are `AgentConfig.ts`.
 *
 * Guarantee: every problem is reported at once, each with its path, line, value and what is allowed; an unknown key is
 * a problem (a misspelt `intervall` would otherwise be silently ignored) and comes with the key that was probably meant.
 * A token never appears in a problem. Bound: 1 MiB of text, 100 aliases, 100 problems.
 */
import { Duration, Result, Schema, SchemaIssue } from "effect"
import { type Document, isNode, LineCounter, parseDocument } from "yaml"
import {
  BytesBetween,
  DurationBetween,
  EndpointUrl,
  FilePath,
  HeaderToken,
  HttpUrl,
  ListenAddress,
  MachineName,
  Switch
} from "./ConfigValue.ts"

const SECOND = 1000
const HOUR = 3600 * SECOND
const MEBI = 1024 * 1024

const ServerSection = Schema.Struct({
  url: HttpUrl,
  token: Schema.optionalKey(HeaderToken),
  token_file: Schema.optionalKey(FilePath),
  ca_file: Schema.optionalKey(FilePath),
  timeout: Schema.optionalKey(DurationBetween(SECOND, 120 * SECOND))
})

const BufferSection = Schema.Struct({
  path: Schema.optionalKey(FilePath),
  max_bytes: Schema.optionalKey(BytesBetween(MEBI, 1024 * 1024 * MEBI)),
  max_age: Schema.optionalKey(DurationBetween(60 * SECOND, 30 * 24 * HOUR))
})

const LabelsSection = Schema.Struct({ server_name: Schema.optionalKey(MachineName) })

const MetricsSection = Schema.Struct({ listen: Schema.optionalKey(ListenAddress) })

const ExporterSection = Schema.Struct({
  name: Schema.String,
  enabled: Schema.optionalKey(Switch),
  endpoint: Schema.optionalKey(EndpointUrl),
  interval: Schema.optionalKey(DurationBetween(SECOND, HOUR)),
  timeout: Schema.optionalKey(DurationBetween(100, HOUR)),
  body_limit: Schema.optionalKey(BytesBetween(64 * 1024, 64 * MEBI)),
  collector: Schema.optionalKey(Schema.Literals(["auto", "always", "never"]))
})

const ConfigSchema = Schema.Struct({
  server: Schema.optionalKey(ServerSection),
  buffer: Schema.optionalKey(BufferSection),
  labels: Schema.optionalKey(LabelsSection),
  metrics: Schema.optionalKey(MetricsSection),
  exporters: Schema.optionalKey(Schema.Array(ExporterSection))
})

/** Durations in milliseconds, sizes in bytes. */
export type ConfigDocument = typeof ConfigSchema.Type

const KNOWN_KEYS: ReadonlyArray<readonly [path: RegExp, keys: ReadonlyArray<string>]> = [
  [/^$/, Object.keys(ConfigSchema.fields)],
  [/^server$/, Object.keys(ServerSection.fields)],
  [/^buffer$/, Object.keys(BufferSection.fields)],
  [/^labels$/, Object.keys(LabelsSection.fields)],
  [/^metrics$/, Object.keys(MetricsSection.fields)],
  [/^exporters\[\d+\]$/, Object.keys(ExporterSection.fields)]
]

const TEXT_LENGTH_MAX = MEBI
const ALIASES_MAX = 100
const PROBLEMS_MAX = 100

/** Reads the text. A failure is the list of problems, one sentence each. */
export const readConfigDocument = (
  text: string,
  exporterNames: ReadonlyArray<string>
): Result.Result<ConfigDocument, ReadonlyArray<string>> => {
  if (text.length > TEXT_LENGTH_MAX) return Result.fail([`the file is larger than ${TEXT_LENGTH_MAX} bytes`])
  const lineCounter = new LineCounter()
  let document: Document.Parsed
  let raw: unknown
  try {
    document = parseDocument(text, { lineCounter, prettyErrors: false })
    if (document.errors.length > 0) {
      return Result.fail(
        document.errors.slice(0, PROBLEMS_MAX).map(({ message, pos }) => {
          const { line, col } = lineCounter.linePos(pos[0])
          return `line ${line}, column ${col}: not valid YAML: ${message}`
        })
      )
    }
    raw = withoutNulls(document.toJS({ maxAliasCount: ALIASES_MAX }))
  } catch (cause) {
    // Too many aliases, an alias of nothing, or nesting that exhausts the stack.
    return Result.fail([`not valid YAML: ${cause instanceof Error ? cause.message : String(cause)}`])
  }
  const place = (path: Path) => `${pathText(path)}${lineOf(document, lineCounter, path)}`
  const decoded = decode(raw ?? {})
  if (Result.isFailure(decoded)) {
    const problems = format(decoded.failure.issue).issues.slice(0, PROBLEMS_MAX)
    return Result.fail(problems.map(({ message, path }) => describe(raw, plainPath(path), message, place)))
  }
  const problems = contradictions(decoded.success, exporterNames, place)
  return problems.length > 0 ? Result.fail(problems) : Result.succeed(decoded.success)
}

const decode = Schema.decodeUnknownResult(ConfigSchema, { errors: "all", onExcessProperty: "error" })

type Path = ReadonlyArray<string | number>

const UNKNOWN = "unknown"
const MISSING = "missing"

const format = SchemaIssue.makeFormatterStandardSchemaV1({
  leafHook: (issue) => {
    if (issue._tag === "UnexpectedKey") return UNKNOWN
    if (issue._tag === "MissingKey") return MISSING
    return SchemaIssue.defaultLeafHook(issue)
      .replace(/^Expected /, "")
      .replace(/^object$/, "a map of keys and values")
  }
})

const describe = (raw: unknown, path: Path, message: string, place: (path: Path) => string): string => {
  const key = String(path.at(-1) ?? "")
  if (message === MISSING) return `${pathText(path)} is missing`
  if (message === UNKNOWN) {
    const keys = KNOWN_KEYS.find(([pattern]) => pattern.test(pathText(path.slice(0, -1))))?.[1] ?? []
    const meant = closest(key, keys)
    const known = `known here: ${keys.join(", ")}`
    return `${place(path)} is not a known key${meant === undefined ? "" : `, did you mean "${meant}"?`} (${known})`
  }
  const where = path.length === 0 ? "the file" : place(path)
  const expected = message
    .replace(/^Expected /, "")
    .replace(/^string$/, "a text")
    .replace(/^array$/i, "a list")
  return `${where} is ${valueText(at(raw, path), key)}, but must be ${expected}`
}

/** What the schema cannot say: rules between fields. */
const contradictions = (
  config: ConfigDocument,
  exporterNames: ReadonlyArray<string>,
  place: (path: Path) => string
): ReadonlyArray<string> => {
  const problems: Array<string> = []
  const { server } = config
  if (server !== undefined && (server.token === undefined) === (server.token_file === undefined)) {
    const both = server.token !== undefined
    problems.push(
      both
        ? "server.token and server.token_file are both set, but only one may be"
        : "server.token_file is missing: the file with the token that the server gave for this machine (or server.token)"
    )
  }
  const seen = new Set<string>()
  for (const [index, exporter] of (config.exporters ?? []).entries()) {
    const path = place(["exporters", index, "name"])
    if (!exporterNames.includes(exporter.name)) {
      const meant = closest(exporter.name, exporterNames)
      const hint = meant === undefined ? "" : `, did you mean "${meant}"?`
      problems.push(
        `${path} is ${valueText(exporter.name, "name")}, which is no known exporter${hint} (known: ${exporterNames.join(", ")})`
      )
    }
    if (seen.has(exporter.name)) problems.push(`${path}: "${exporter.name}" is listed twice`)
    seen.add(exporter.name)
    const { interval, timeout } = exporter
    if (interval !== undefined && timeout !== undefined && timeout >= interval) {
      const millis = (value: number) => Duration.format(Duration.millis(value))
      problems.push(
        `${place(["exporters", index, "timeout"])} is ${millis(timeout)}, but must be less than the interval (${millis(interval)})`
      )
    }
  }
  return problems
}

/** A key without a value, such as `buffer:`, is as good as none. */
const withoutNulls = (value: unknown): unknown => {
  if (Array.isArray(value)) return value.map(withoutNulls)
  if (typeof value !== "object" || value === null) return value
  return Object.fromEntries(
    Object.entries(value).flatMap(([key, inner]) => (inner === null ? [] : [[key, withoutNulls(inner)]]))
  )
}

const plainPath = (path: ReadonlyArray<PropertyKey | { readonly key: PropertyKey }> | undefined): Path =>
  (path ?? []).map((part) => {
    const key = typeof part === "object" ? part.key : part
    return typeof key === "number" ? key : String(key)
  })

/** `exporters[0].interval` */
const pathText = (path: Path): string =>
  path.map((part, index) => (typeof part === "number" ? `[${part}]` : index === 0 ? part : `.${part}`)).join("")

const lineOf = (document: Document.Parsed, lineCounter: LineCounter, path: Path): string => {
  const node = document.getIn(path, true)
  const start = isNode(node) ? node.range?.[0] : undefined
  return start === undefined ? "" : ` (line ${lineCounter.linePos(start).line})`
}

const at = (value: unknown, path: Path): unknown =>
  path.reduce<unknown>(
    (inner, key) =>
      typeof inner === "object" && inner !== null && Object.hasOwn(inner, key)
        ? (inner as Readonly<Record<string | number, unknown>>)[key]
        : undefined,
    value
  )

/** The value as it may be shown: clipped, and never a token. */
const valueText = (value: unknown, key: string): string => {
  if (key === "token") return "not shown"
  const text = JSON.stringify(value) ?? String(value)
  return text.length > 80 ? `${text.slice(0, 80)}…` : text
}

/** The candidate within two edits (Levenshtein), the nearest first. */
export const closest = (word: string, candidates: ReadonlyArray<string>): string | undefined => {
  const near = candidates
    .map((candidate) => ({ candidate, distance: distanceOf(word.toLowerCase().replaceAll("-", "_"), candidate) }))
    .filter(({ candidate, distance }) => distance <= Math.min(2, Math.ceil(candidate.length / 3)))
    .sort((one, other) => one.distance - other.distance)
  return near[0]?.candidate
}

const distanceOf = (one: string, other: string): number => {
  if (Math.abs(one.length - other.length) > 2) return Number.POSITIVE_INFINITY
  let previous = Array.from({ length: other.length + 1 }, (_, index) => index)
  for (let row = 1; row <= one.length; row++) {
    const current = [row]
    for (let column = 1; column <= other.length; column++) {
      const changed = previous[column - 1]! + (one[row - 1] === other[column - 1] ? 0 : 1)
      current.push(Math.min(changed, previous[column]! + 1, current[column - 1]! + 1))
    }
    previous = current
  }
  return previous[other.length]!
}
