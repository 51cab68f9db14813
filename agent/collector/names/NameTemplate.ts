/**
 * The names of process groups as templates: the part of Go's text/template that configurations of process_exporter use.
 * Pure, and compiled once.
 *
 * - Fields: `.Comm`, `.ExeBase`, `.ExeFull`, `.Username`, `.PID`, `.StartTime` (and `.StartTime.Unix`), `.Matches`,
 *   `.Matches.Word`, `.Cgroups`; `.` and `$`.
 * - Texts in `"…"` and back quotes, whole numbers, `true`, `false`; parentheses; pipes; comments; `{{-` and `-}}`.
 * - `if`, `else if`, `else`, `with`, `range`, `end`; the functions `and`, `or` and those of `TemplateValue.ts`.
 *
 * All else (variables, `define`, `template`, methods, other functions) is refused with what it is. Guarantee: a template
 * that is taken gives the name that Go 1.19 gives, also where Go stops in the middle of one.
 * Bounds: those of `TemplateSyntax.ts`; a name of {@link NAME_LENGTH_MAX} characters ends there.
 */
import { Result } from "effect"
import {
  type Body,
  type Command,
  type Field,
  type Operand,
  type Pipe,
  parseTemplate,
  TemplateRefused
} from "./TemplateSyntax.ts"
import { entriesOf, FUNCTIONS, Halted, isList, isMap, isTrue, printed, type Value } from "./TemplateValue.ts"

/** Of a name, in characters: more than anybody reads, less than a label may have. */
export const NAME_LENGTH_MAX = 1_024

export interface NameTemplate {
  readonly render: (values: TemplateValues) => string
  /** Whether the template says the field. */
  readonly says: (field: Field) => boolean
}

/** What a process has, by field. */
export type TemplateValues = Readonly<Record<Field, Value>>

/** Compiles a template, or says why it cannot be. */
export const compileTemplate = (text: string): Result.Result<NameTemplate, string> => {
  let body: Body
  try {
    body = parseTemplate(text)
  } catch (cause) {
    if (cause instanceof TemplateRefused) return Result.fail(cause.message)
    throw cause
  }
  // Whether its name is there at all: one that is only text costs a file to read, and nothing else.
  const said = (field: Field): boolean => text.includes(`.${field}`)
  return Result.succeed({ says: said, render: (values) => render(body, values) })
}

const render = (body: Body, values: TemplateValues): string => {
  const rendering = { text: "", values }
  try {
    write(body, rendering, undefined)
  } catch (cause) {
    if (!(cause instanceof Halted)) throw cause
  }
  return rendering.text.slice(0, NAME_LENGTH_MAX).toWellFormed()
}

interface Rendering {
  text: string
  readonly values: TemplateValues
}

/** `.` as it stands: the process where it is undefined. */
type Dot = { readonly value: Value } | undefined

const write = (body: Body, rendering: Rendering, dot: Dot): void => {
  for (const node of body) {
    if (rendering.text.length >= NAME_LENGTH_MAX) return
    if (node.kind === "text") rendering.text += node.text
    else if (node.kind === "show") rendering.text += printed(valueOf(node.pipe, rendering.values, dot))
    else {
      const value = valueOf(node.pipe, rendering.values, dot)
      if (!isTrue(value) && node.kind !== "range") write(node.otherwise, rendering, dot)
      else if (node.kind === "if") write(node.body, rendering, dot)
      else if (node.kind === "with") write(node.body, rendering, { value })
      else {
        const each = itemsOf(value)
        for (const one of each) write(node.body, rendering, { value: one })
        if (each.length === 0) write(node.otherwise, rendering, dot)
      }
    }
  }
}

const itemsOf = (value: Value): ReadonlyArray<string> => {
  if (isList(value)) return value
  if (isMap(value)) return entriesOf(value).map(([, one]) => one)
  if (value === undefined) return []
  throw new Halted()
}

const valueOf = (pipe: Pipe, values: TemplateValues, dot: Dot): Value => {
  let value: Value
  for (const [index, command] of pipe.entries()) {
    value = called(command, values, dot, index === 0 ? [] : [{ kind: "value", value }])
  }
  return value
}

const called = ({ args, name }: Command, values: TemplateValues, dot: Dot, last: ReadonlyArray<Operand>): Value => {
  const operands = [...args, ...last]
  if (name === undefined) return operandValue(operands[0]!, values, dot)
  if (name !== "and" && name !== "or")
    return FUNCTIONS[name]!.call(operands.map((one) => operandValue(one, values, dot)))
  let value: Value
  for (const operand of operands) {
    value = operandValue(operand, values, dot)
    if (isTrue(value) === (name === "or")) return value
  }
  return value
}

const operandValue = (operand: Operand, values: TemplateValues, dot: Dot): Value => {
  if (operand.kind === "value") return operand.value
  if (operand.kind === "pipe") return valueOf(operand.pipe, values, dot)
  const { path, root } = operand
  if (!root && dot !== undefined) return path.reduce(fieldOfValue, dot.value)
  const [field, ...rest] = path
  return rest.reduce(fieldOfValue, values[field as Field])
}

/** A key of a map, or the seconds of a moment; nothing else has fields. */
const fieldOfValue = (value: Value, name: string): Value => {
  if (isMap(value)) return value.get(name)
  if (typeof value === "object" && "millis" in value && name === "Unix") return Math.floor(value.millis / 1_000)
  throw new Halted()
}
