/**
 * YAML files that people write, read into typed values: the agent's configuration, rules for alerts. Pure.
 *
 * Guarantee: every problem is reported at once, each with its path, line, value and what is allowed; an unknown key is
 * a problem (a misspelt `intervall` would otherwise be silently ignored) and comes with the key that was probably meant.
 *
 * Bounds: bytes, keys and parts as the kind of file says, `DEPTH_MAX`, 100 aliases, 100 problems. All but the last are looked
 * at before anything is made of the text: composing it takes time with the square of the keys, and memory with the depth.
 */
import { Result, type Schema, SchemaIssue } from "effect"
import { type Document, isNode, Lexer, LineCounter, Parser, parseDocument, visit } from "yaml"

/** A kind of file. */
export interface YamlKind<A> {
  readonly decode: (raw: unknown) => Result.Result<A, Schema.SchemaError>
  /** Which keys are known where, by the path of what holds them; the first that matches counts. */
  readonly keys: ReadonlyArray<readonly [path: RegExp, keys: ReadonlyArray<string>]>
  /** What the schema cannot say: rules between fields, a sentence for each that is broken. */
  readonly contradictions?: (value: A, place: Place) => ReadonlyArray<string>
  /** How the value of a key is shown where it must not be; undefined where it may. */
  readonly hidden?: (key: string, value: unknown) => string | undefined
  /** A key whose values are texts, however they look: `1.10` and `yes` below it are what was written. */
  readonly written?: string
  /** Where a kind of file is older than this reader: merge keys, and the last of keys that are there twice. */
  readonly options?: { readonly merge: boolean; readonly uniqueKeys: boolean }
  readonly bounds: {
    readonly bytes: number
    readonly keys: number
    /** Of all that the text consists of: names, values, marks, breaks of lines. */
    readonly parts: number
  }
}

export type Path = ReadonlyArray<string | number>

/** Where something stands: `exporters[0].interval (line 12)`. */
export type Place = (path: Path) => string

/** Of collections within each other. */
const DEPTH_MAX = 16
const ALIASES_MAX = 100
const PROBLEMS_MAX = 100

/** What is wrong with a file, for people: on one line, or a line each. */
export const problemsIn = (path: string, problems: ReadonlyArray<string>): string =>
  problems.length === 1
    ? `${path}: ${problems[0]}`
    : `${path}:\n${problems.map((problem) => `  - ${problem}`).join("\n")}`

/** Reads the text. A failure is the list of problems, one sentence each. */
export const readYaml = <A>(text: string, kind: YamlKind<A>): Result.Result<A, ReadonlyArray<string>> => {
  const excess = excessOf(text, kind.bounds)
  if (excess !== undefined) return Result.fail([excess])
  const lineCounter = new LineCounter()
  let document: Document.Parsed
  let raw: unknown
  try {
    document = parseDocument(text, { ...kind.options, lineCounter, prettyErrors: false })
    if (document.errors.length > 0) {
      return Result.fail(
        document.errors.slice(0, PROBLEMS_MAX).map(({ message, pos }) => {
          const { line, col } = lineCounter.linePos(pos[0])
          return `line ${line}, column ${col}: not valid YAML: ${ownWords(message)}`
        })
      )
    }
    if (kind.written !== undefined) keepAsWritten(document.get(kind.written, true))
    raw = withoutNulls(document.toJS({ maxAliasCount: ALIASES_MAX }))
  } catch (cause) {
    // Too many aliases, an alias of nothing, or nesting that exhausts the stack.
    return Result.fail([`not valid YAML: ${ownWords(cause instanceof Error ? cause.message : String(cause))}`])
  }
  const place = (path: Path) => `${pathText(path)}${lineOf(document, lineCounter, path)}`
  const decoded = kind.decode(raw ?? {})
  if (Result.isFailure(decoded)) {
    const problems = format(decoded.failure.issue).issues.slice(0, PROBLEMS_MAX)
    return Result.fail(problems.map(({ message, path }) => describe(raw, plainPath(path), message, place, kind)))
  }
  const problems = kind.contradictions?.(decoded.success, place) ?? []
  return problems.length > 0 ? Result.fail(problems.slice(0, PROBLEMS_MAX)) : Result.succeed(decoded.success)
}

/** What the file has too much of; undefined where it can be composed. Linear in the text. */
const excessOf = (text: string, bounds: YamlKind<never>["bounds"]): string | undefined => {
  if (Buffer.byteLength(text) > bounds.bytes) return `the file is larger than ${bounds.bytes} bytes`
  const parser = new Parser()
  let keys = 0
  let parts = 0
  for (const lexeme of new Lexer().lex(text)) {
    for (const _ of parser.next(lexeme));
    if (++parts > bounds.parts) return `the file has more than ${bounds.parts} parts`
    if (parser.stack.length > DEPTH_MAX) return `the file is nested more than ${DEPTH_MAX} deep`
    if ((lexeme === ":" || lexeme === "?") && ++keys > bounds.keys) return `the file has more than ${bounds.keys} keys`
  }
  return undefined
}

/** What the parser says, without what it quotes: that may be a password that begins with "*" or "!". */
const ownWords = (message: string): string => message.split(/: | \\/, 1)[0]!

/** Numbers and switches become the texts that stand there. */
const keepAsWritten = (section: unknown): void => {
  if (!isNode(section)) return
  visit(section, {
    Scalar: (_, node) => {
      if (typeof node.value !== "string" && node.value !== null && node.source !== undefined) node.value = node.source
    }
  })
}

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

const describe = (
  raw: unknown,
  path: Path,
  message: string,
  place: Place,
  { hidden, keys }: Pick<YamlKind<never>, "hidden" | "keys">
): string => {
  const key = String(path.at(-1) ?? "")
  if (message === MISSING) return `${pathText(path)} is missing`
  if (message === UNKNOWN) {
    const known = keys.find(([pattern]) => pattern.test(pathText(path.slice(0, -1))))?.[1] ?? []
    const meant = closest(key, known)
    const hint = meant === undefined ? "" : `, did you mean "${meant}"?`
    return `${place(path)} is not a known key${hint} (known here: ${known.join(", ")})`
  }
  const where = path.length === 0 ? "the file" : place(path)
  const expected = message
    .replace(/^Expected /, "")
    .replace(/^string$/, "a text")
    .replace(/^number$/, "a number")
    .replace(/^array$/i, "a list")
  const value = at(raw, path)
  return `${where} is ${hidden?.(key, value) ?? valueText(value)}, but must be ${expected}`
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

/** The value as it may be shown: clipped, and without the password of an address. */
export const valueText = (value: unknown): string => {
  // A misplaced section may hold a secret.
  if (typeof value === "object" && value !== null) return Array.isArray(value) ? "a list" : "a map of keys and values"
  const text = ((typeof value === "number" ? undefined : JSON.stringify(value)) ?? String(value)).replace(
    /\/\/[^/?#"\s]*@/g,
    "//…@"
  )
  return text.length > 80 ? `${text.slice(0, 80)}…` : text
}

/** The candidate within two edits (Levenshtein), the nearest first. */
export const closest = (word: string, candidates: ReadonlyArray<string>): string | undefined => {
  const near = candidates
    .map((candidate) => ({ candidate, distance: distanceOf(plain(word), plain(candidate)) }))
    .filter(({ candidate, distance }) => distance <= Math.min(2, Math.ceil(candidate.length / 3)))
    .sort((one, other) => one.distance - other.distance)
  return near[0]?.candidate
}

const plain = (word: string): string => word.toLowerCase().replaceAll("-", "_")

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
