/**
 * The values and functions of name templates (`NameTemplate.ts`), as Go's text/template 1.19 has them: how a value is
 * printed, which are true, and what a function makes of them. Pure.
 *
 * What Go refuses as it runs ends the name where it stands ({@link Halted}): process_exporter 0.7.10 serves what had been
 * written until then.
 */

/** A moment, printed as Go prints a time in UTC. */
export interface Moment {
  /** Epoch milliseconds. */
  readonly millis: number
}

/** Undefined: no value, as a key that a map does not have. */
export type Value = string | number | boolean | ReadonlyArray<string> | ReadonlyMap<string, string> | Moment | undefined

/** Thrown where Go would stop; caught in `NameTemplate.ts`. */
export class Halted extends Error {}

const halt = (): never => {
  throw new Halted()
}

export const isList = (value: Value): value is ReadonlyArray<string> => Array.isArray(value)
export const isMap = (value: Value): value is ReadonlyMap<string, string> => value instanceof Map

/** In the order in which Go prints and walks them: by the bytes of their keys. */
export const entriesOf = (map: ReadonlyMap<string, string>): ReadonlyArray<readonly [string, string]> =>
  [...map].sort(([one], [other]) => Buffer.compare(Buffer.from(one), Buffer.from(other)))

export const isTrue = (value: Value): boolean => {
  if (isList(value)) return value.length > 0
  if (isMap(value)) return value.size > 0
  return typeof value === "object" || Boolean(value)
}

/** As `%v` prints it; a value that is not there is `missing`. */
export const printed = (value: Value, missing = "<no value>"): string => {
  if (value === undefined) return missing
  if (isList(value)) return `[${value.join(" ")}]`
  if (isMap(value)) {
    return `map[${entriesOf(value)
      .map(([key, one]) => `${key}:${one}`)
      .join(" ")}]`
  }
  return typeof value === "object" ? momentText(value.millis) : String(value)
}

/** `2026-11-30 10:12:37.05 +0000 UTC` */
const momentText = (millis: number): string => {
  const iso = new Date(Math.floor(millis)).toISOString()
  const fraction = iso.slice(20, 23).replace(/0{1,3}$/, "")
  return `${iso.slice(0, 10)} ${iso.slice(11, 19)}${fraction === "" ? "" : `.${fraction}`} +0000 UTC`
}

/** A function by its name, with the least and the greatest number of its arguments. */
export interface TemplateFunction {
  readonly least: number
  readonly greatest: number
  readonly call: (args: ReadonlyArray<Value>) => Value
}

const ARGUMENTS_MAX = 16

/** Values can be compared where they are of one kind, or not there; anything else ends the name. */
const equal = (one: Value, other: Value): boolean => {
  if (one === undefined || other === undefined) return one === other
  if (typeof one !== typeof other || typeof one === "object") return halt()
  return one === other
}

const less = (one: Value, other: Value): boolean => {
  if (typeof one === "number" && typeof other === "number") return one < other
  if (typeof one !== "string" || typeof other !== "string") return halt()
  return Buffer.compare(Buffer.from(one), Buffer.from(other)) < 0
}

const comparison = (holds: (one: Value, other: Value) => boolean): TemplateFunction => ({
  least: 2,
  greatest: 2,
  call: ([one, other]) => holds(one, other)
})

/** Go counts a text in bytes. */
const bytesOf = (text: string): Buffer => Buffer.from(text, "utf8")

const lengthOf = (value: Value): number => {
  if (typeof value === "string") return bytesOf(value).length
  if (isList(value)) return value.length
  return isMap(value) ? value.size : halt()
}

const at = (value: Value, key: Value): Value => {
  if (isMap(value)) return typeof key === "string" ? (value.get(key) ?? "") : halt()
  if (typeof key !== "number") return halt()
  const found = isList(value) ? value[key] : typeof value === "string" ? bytesOf(value)[key] : undefined
  return found ?? halt()
}

const part = (value: Value, from: Value = 0, to: Value = lengthOf(value)): Value => {
  const whole = isList(value) ? value : typeof value === "string" ? bytesOf(value) : halt()
  if (typeof from !== "number" || typeof to !== "number" || from < 0 || from > to || to > whole.length) return halt()
  return isList(value) ? value.slice(from, to) : (whole as Buffer).toString("utf8", from, to)
}

/** Go puts a blank between two values of which neither is a text. */
const together = (args: ReadonlyArray<Value>): string =>
  args.reduce<string>((text, value, index) => {
    const apart = index > 0 && typeof value !== "string" && typeof args[index - 1] !== "string"
    return text + (apart ? " " : "") + printed(value, "<nil>")
  }, "")

/** `and` and `or` are not here: they do not look at all of their arguments. */
export const FUNCTIONS: Readonly<Record<string, TemplateFunction>> = {
  not: { least: 1, greatest: 1, call: ([value]) => !isTrue(value) },
  eq: {
    least: 2,
    greatest: ARGUMENTS_MAX,
    call: ([one, ...others]) => others.some((other) => equal(one, other))
  },
  ne: comparison((one, other) => !equal(one, other)),
  lt: comparison(less),
  le: comparison((one, other) => less(one, other) || equal(one, other)),
  gt: comparison((one, other) => !less(one, other) && !equal(one, other)),
  ge: comparison((one, other) => !less(one, other)),
  len: { least: 1, greatest: 1, call: ([value]) => lengthOf(value) },
  index: { least: 2, greatest: ARGUMENTS_MAX, call: ([value, ...keys]) => keys.reduce(at, value) },
  slice: { least: 1, greatest: 3, call: ([value, from, to]) => part(value, from, to) },
  print: { least: 0, greatest: ARGUMENTS_MAX, call: together },
  println: {
    least: 0,
    greatest: ARGUMENTS_MAX,
    call: (args) => `${args.map((value) => printed(value, "<nil>")).join(" ")}\n`
  },
  printf: { least: 1, greatest: ARGUMENTS_MAX, call: ([format, ...args]) => formatted(String(format), args) }
}

/** The verbs that {@link formatted} knows, with width and precision: of `%-20.8s`, the flag, 20, 8 and `s`. */
const VERB = /%(-?)(\d{0,3})(?:\.(\d{1,3}))?([svqd%])/g

/** What is wrong with a format for that many values; undefined where nothing is. */
export const formatProblem = (format: string, values: number): string | undefined => {
  const rest = format.replace(VERB, "")
  if (rest.includes("%")) return "printf knows %s, %v, %q and %d, with a width such as %-20s, and %%"
  const asked = [...format.matchAll(VERB)].filter(([, , , , verb]) => verb !== "%").length
  return asked === values ? undefined : `printf is to format ${asked} values, and is given ${values}`
}

const formatted = (format: string, args: ReadonlyArray<Value>): string => {
  let next = 0
  return format.replace(VERB, (_, left: string, width: string, precision: string | undefined, verb: string) => {
    if (verb === "%") return "%"
    const text = verbText(verb, args[next++], precision === undefined ? undefined : Number(precision))
    const missing = Math.max(0, Number(width) - [...text].length)
    return left === "-" ? text + " ".repeat(missing) : " ".repeat(missing) + text
  })
}

const verbText = (verb: string, value: Value, precision: number | undefined): string => {
  if (value === undefined) return verb === "v" ? "<nil>" : `%!${verb}(<nil>)`
  if (typeof value === "string") {
    if (verb === "d") return `%!d(string=${value})`
    const text = precision === undefined ? value : [...value].slice(0, precision).join("")
    return verb === "q" ? JSON.stringify(text) : text
  }
  if (typeof value === "number") {
    return verb === "s" || verb === "q"
      ? verb === "s"
        ? `%!s(int=${value})`
        : `'${String.fromCodePoint(value)}'`
      : String(value)
  }
  if (typeof value === "boolean") return verb === "v" ? String(value) : `%!${verb}(bool=${value})`
  if (verb === "d" || verb === "q") return halt()
  return printed(value)
}
