/**
 * Reads a name template (`NameTemplate.ts` says which) into a tree. Pure.
 *
 * Guarantee: what is not understood is refused with what it is, never taken for something else.
 * Bounds: {@link TEMPLATE_LENGTH_MAX} characters, {@link DEPTH_MAX} deep, one `range` within another at most.
 */
import { FUNCTIONS, formatProblem, type TemplateFunction, type Value } from "./TemplateValue.ts"

const TEMPLATE_LENGTH_MAX = 4_096
const DEPTH_MAX = 16
const RANGES_MAX = 2

/** What a template can show of a process. */
const FIELDS = ["Comm", "ExeBase", "ExeFull", "Username", "PID", "StartTime", "Matches", "Cgroups"] as const
export type Field = (typeof FIELDS)[number]

export type Operand =
  | { readonly kind: "field"; readonly root: boolean; readonly path: ReadonlyArray<string> }
  | { readonly kind: "value"; readonly value: Value }
  | { readonly kind: "pipe"; readonly pipe: Pipe }

export interface Command {
  /** Undefined: the one argument is the value. */
  readonly name: string | undefined
  readonly args: ReadonlyArray<Operand>
}

/** The value of each is the last argument of the next. */
export type Pipe = ReadonlyArray<Command>

export type Node =
  | { readonly kind: "text"; readonly text: string }
  | { readonly kind: "show"; readonly pipe: Pipe }
  | { readonly kind: "if" | "with" | "range"; readonly pipe: Pipe; readonly body: Body; readonly otherwise: Body }

export type Body = ReadonlyArray<Node>

/** Thrown by the reader, and caught where a template is compiled. */
export class TemplateRefused extends Error {}

const refuse = (reason: string): never => {
  throw new TemplateRefused(reason)
}

interface Piece {
  readonly kind: "text" | "action"
  readonly text: string
}

export const parseTemplate = (text: string): Body => {
  if (text.length > TEMPLATE_LENGTH_MAX) refuse(`it is longer than ${TEMPLATE_LENGTH_MAX} characters`)
  const reader = new BodyReader(piecesOf(text))
  const body = reader.body(0, 0, true)
  return body.end === undefined ? body.nodes : refuse(`{{${body.end}}} belongs to nothing`)
}

// -- texts and actions

/** Splits at `{{` and `}}`, and trims where `{{-` and `-}}` say so. Comments are gone. */
const piecesOf = (text: string): ReadonlyArray<Piece> => {
  const pieces: Array<Piece> = []
  let trims = false
  for (let at = 0; ; ) {
    const open = text.indexOf("{{", at)
    const before = text.slice(at, open === -1 ? undefined : open)
    const inner = open === -1 ? "" : text.slice(open + 2)
    const left = /^-[ \t\r\n]/.test(inner)
    const shown = trimmed(before, trims, left)
    if (shown !== "") pieces.push({ kind: "text", text: shown })
    if (open === -1) return pieces
    const close = endOfAction(text, open + 2 + (left ? 2 : 0))
    trims = /[ \t\r\n]-$/.test(text.slice(open + 2, close))
    const action = text.slice(open + 2 + (left ? 2 : 0), close - (trims ? 2 : 0))
    if (!isComment(action)) pieces.push({ kind: "action", text: action })
    at = close + 2
  }
}

const trimmed = (text: string, start: boolean, end: boolean): string => {
  const begun = start ? text.replace(/^[ \t\r\n]+/, "") : text
  if (!end) return begun
  let length = begun.length
  while (length > 0 && " \t\r\n".includes(begun[length - 1]!)) length--
  return begun.slice(0, length)
}

/** The next `}}` that is not within a text or a comment. */
const endOfAction = (text: string, from: number): number => {
  if (text.startsWith("/*", from)) {
    const end = text.indexOf("*/", from)
    return end === -1
      ? refuse("a comment has no end")
      : text.indexOf("}}", end) === -1
        ? refuse("{{ without }}")
        : text.indexOf("}}", end)
  }
  for (let at = from; at < text.length; at++) {
    if (text.startsWith("}}", at)) return at
    const quote = text[at]
    if (quote !== '"' && quote !== "`") continue
    for (at++; at < text.length && text[at] !== quote; at++) if (text[at] === "\\" && quote === '"') at++
    if (at >= text.length) refuse(`a text that begins with ${quote} has no end`)
  }
  return refuse("{{ without }}")
}

const isComment = (action: string): boolean => {
  if (!action.startsWith("/*")) return false
  return action.indexOf("*/") === action.length - 2 || refuse("a comment has to end before }}")
}

// -- the tree

class BodyReader {
  readonly #pieces: ReadonlyArray<Piece>
  #next = 0

  constructor(pieces: ReadonlyArray<Piece>) {
    this.#pieces = pieces
  }

  /** Up to its `end` or `else`, or to the end of the text. `outside`: `.` is the process. */
  body(depth: number, ranges: number, outside: boolean): { readonly nodes: Body; readonly end: string | undefined } {
    if (depth > DEPTH_MAX) refuse(`it is nested more than ${DEPTH_MAX} deep`)
    const nodes: Array<Node> = []
    for (;;) {
      const piece = this.#pieces[this.#next++]
      if (piece === undefined) return { nodes, end: undefined }
      if (piece.kind === "text") {
        nodes.push({ kind: "text", text: piece.text })
        continue
      }
      const [, word, rest] = /^\s*([a-z]*)(?![\w.])(.*)$/is.exec(piece.text) ?? ["", "", piece.text]
      if (word === "end" || word === "else") return { nodes, end: piece.text.trim() }
      if (word === "if" || word === "with" || word === "range")
        nodes.push(this.#branch(word, rest!, depth, ranges, outside))
      else if (UNKNOWN_ACTIONS.includes(word!)) refuse(`{{${word}}} is not available in a name`)
      else nodes.push({ kind: "show", pipe: pipeOf(piece.text, outside) })
    }
  }

  #branch(kind: "if" | "with" | "range", text: string, depth: number, ranges: number, outside: boolean): Node {
    const pipe = pipeOf(text, outside)
    const within = ranges + (kind === "range" ? 1 : 0)
    if (within > RANGES_MAX) refuse(`{{range}} stands in more than ${RANGES_MAX - 1} others`)
    const first = this.body(depth + 1, within, outside && kind === "if")
    if (first.end === "end") return { kind, pipe, body: first.nodes, otherwise: [] }
    const chained = /^else\s+if\b(.*)$/s.exec(first.end ?? "")
    if (chained !== null && kind === "if") {
      return { kind, pipe, body: first.nodes, otherwise: [this.#branch("if", chained[1]!, depth + 1, ranges, outside)] }
    }
    if (first.end !== "else")
      return refuse(first.end === undefined ? `{{${kind}}} has no {{end}}` : `{{${first.end}}} is not available`)
    const otherwise = this.body(depth + 1, ranges, outside)
    if (otherwise.end !== "end") refuse(`{{${kind}}} has no {{end}}`)
    return { kind, pipe, body: first.nodes, otherwise: otherwise.nodes }
  }
}

const UNKNOWN_ACTIONS = ["define", "template", "block", "break", "continue"]

// -- what stands in an action

const TOKEN =
  /\s*(?:(\.[A-Za-z_][\w.]*|\$(?![A-Za-z_])(?:\.[A-Za-z_][\w.]*)?|\.)|("(?:[^"\\\n]|\\.)*"|`[^`]*`)|([+-]?\d+)(?![\w.])|([A-Za-z_]\w*)|([|()])|(\S+))/gy

/** A token by its kind. */
interface Token {
  readonly kind: "field" | "text" | "number" | "word" | "mark"
  readonly text: string
}

const tokensOf = (action: string): Array<Token> => {
  const tokens: Array<Token> = []
  for (const [, field, text, number, word, mark, unknown] of action.trimEnd().matchAll(TOKEN)) {
    if (field !== undefined) tokens.push({ kind: "field", text: field })
    else if (text !== undefined) tokens.push({ kind: "text", text })
    else if (number !== undefined) tokens.push({ kind: "number", text: number })
    else if (word !== undefined) tokens.push({ kind: "word", text: word })
    else if (mark !== undefined) tokens.push({ kind: "mark", text: mark })
    else
      refuse(
        unknown!.startsWith("$") || /^:?=/.test(unknown!)
          ? `variables (${unknown}) are not available`
          : `${unknown} is not understood`
      )
  }
  return tokens
}

const pipeOf = (action: string, outside: boolean): Pipe => {
  const tokens = tokensOf(action)
  const pipe = readPipe(tokens, outside, 0)
  return tokens.length === 0 ? pipe : refuse(`${tokens[0]!.text} is not expected`)
}

const readPipe = (tokens: Array<Token>, outside: boolean, depth: number): Pipe => {
  if (depth > DEPTH_MAX) refuse(`it is nested more than ${DEPTH_MAX} deep`)
  const commands = [readCommand(tokens, outside, depth, false)]
  while (tokens[0]?.kind === "mark" && tokens[0].text === "|") {
    tokens.shift()
    commands.push(readCommand(tokens, outside, depth, true))
  }
  return commands
}

const readCommand = (tokens: Array<Token>, outside: boolean, depth: number, piped: boolean): Command => {
  const first = tokens[0]
  const name = first?.kind === "word" && !isConstant(first.text) ? first.text : undefined
  if (name !== undefined) tokens.shift()
  const args: Array<Operand> = []
  while (tokens.length > 0 && tokens[0]!.text !== "|" && tokens[0]!.text !== ")")
    args.push(readOperand(tokens, outside, depth))
  if (name !== undefined) checkCall(name, args, piped)
  else if (args.length === 0) refuse("{{ }} without a value")
  else if (args.length > 1) refuse("a value takes no arguments: only functions do")
  else if (piped) refuse("only a function takes the value of a pipe")
  return { name, args }
}

const isConstant = (word: string): boolean => word === "true" || word === "false" || word === "nil"

/** Looks at whether the function is known, and at how many arguments it has. */
const checkCall = (name: string, args: ReadonlyArray<Operand>, piped: boolean): void => {
  const known = LAZY.includes(name) ? { least: 1, greatest: 16 } : functionOf(name)
  const count = args.length + (piped ? 1 : 0)
  if (count < known.least || count > known.greatest) {
    refuse(`${name} takes ${known.least} to ${known.greatest} arguments, and has ${count}`)
  }
  if (name !== "printf") return
  const [format] = args
  const text = format?.kind === "value" && typeof format.value === "string" ? format.value : undefined
  const problem = text === undefined ? "printf has to begin with its format" : formatProblem(text, count - 1)
  if (problem !== undefined) refuse(problem)
}

const functionOf = (name: string): TemplateFunction =>
  Object.hasOwn(FUNCTIONS, name)
    ? FUNCTIONS[name]!
    : refuse(`${name} is no function that is known here (known: ${[...LAZY, ...Object.keys(FUNCTIONS)].join(", ")})`)

/** They do not look at all of their arguments. */
const LAZY: ReadonlyArray<string> = ["and", "or"]

const readOperand = (tokens: Array<Token>, outside: boolean, depth: number): Operand => {
  const token = tokens.shift()!
  if (token.kind === "field") return { kind: "field", ...fieldOf(token.text, outside) }
  if (token.kind === "number") return { kind: "value", value: Number(token.text) }
  if (token.kind === "text") return { kind: "value", value: textOf(token.text) }
  if (token.text === "true" || token.text === "false") return { kind: "value", value: token.text === "true" }
  if (token.text !== "(") return refuse(`${token.text} is not expected`)
  const pipe = readPipe(tokens, outside, depth + 1)
  if (tokens.shift()?.text !== ")") refuse("( without )")
  return { kind: "pipe", pipe }
}

const fieldOf = (text: string, outside: boolean): { readonly root: boolean; readonly path: ReadonlyArray<string> } => {
  const root = text.startsWith("$")
  const path = text
    .split(".")
    .slice(1)
    .filter((name, index, all) => name !== "" || index < all.length - 1)
  if (path.includes("") || (text.length > 1 && text.endsWith("."))) refuse(`${text} is no field`)
  // Within `with` and `range`, what `.` is shows as the template runs.
  if (!root && !outside) return { root, path }
  const [field, word] = path
  if (field === undefined) return refuse(`${text} alone is the whole process: name a field (${FIELDS.join(", ")})`)
  if (!FIELDS.some((known) => known === field)) refuse(`.${field} is no field (known: ${FIELDS.join(", ")})`)
  if (word !== undefined && !(field === "Matches" || (field === "StartTime" && word === "Unix")))
    refuse(`.${path.join(".")}: .${field} has no fields`)
  if (path.length > 2) refuse(`.${path.join(".")}: .${field}.${word} has no fields`)
  return { root, path }
}

/** A text of Go: between back quotes as it stands, between double ones with escapes. */
const textOf = (quoted: string): string => {
  if (quoted.startsWith("`")) return quoted.slice(1, -1)
  return quoted
    .slice(1, -1)
    .replace(
      /\\(?:(["\\ntr])|x([0-7][0-9a-f])|u([0-9a-f]{4})|(.))/gi,
      (_, plain: string | undefined, byte: string | undefined, unit: string | undefined, other: string) => {
        if (plain !== undefined) return ESCAPES[plain] ?? refuse(`\\${plain} is no escape that is known here`)
        const code = byte ?? unit ?? refuse(`\\${other} is no escape that is known here`)
        return String.fromCharCode(Number.parseInt(code, 16))
      }
    )
}

const ESCAPES: Readonly<Record<string, string>> = { '"': '"', "\\": "\\", n: "\n", t: "\t", r: "\r" }
