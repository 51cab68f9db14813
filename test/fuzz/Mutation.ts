/** Bytes that nobody meant to send: made from what somebody did. */
import type { Chance } from "../conservation/Chance.ts"

/** What means something to one of our parsers. */
const ODD = [
  "",
  " ",
  "\t",
  "\r",
  "\n",
  "\\",
  '"',
  "{",
  "}",
  "[",
  "]",
  ",",
  ":",
  "=",
  "#",
  "-",
  "+",
  ".",
  "e9",
  "1e999",
  "-0",
  "NaN",
  "+Inf",
  "null",
  "true",
  "é",
  "\u2028",
  "🚀",
  "\u0000",
  "\uFEFF",
  "\\u0000",
  "\\ud800",
  "__proto__",
  "constructor",
  "9007199254740993",
  "0x1p3",
  "1_000",
  "-Infinity",
  '\\"',
  "\\n",
  ' # {trace_id="x"} 1',
  '{"a b"} 1',
  "[[[[[[[[[[[[[[[[[",
  "\u{10FFFF}",
  "# EOF\n",
  "# TYPE a counter\n"
].map((text) => Buffer.from(text))

/** In the place of a number. */
const NUMBERS = [
  "0",
  "-1",
  "1.5",
  "2147483647",
  "2147483648",
  "4294967296",
  "9007199254740991",
  "9007199254740992",
  "9223372036854775807",
  "9223372036854775808",
  "1e308",
  "1e309",
  "5e-324",
  "1e-400",
  "0.1e1",
  "00",
  "99999999999999999999999999999999"
].map((text) => Buffer.from(text))

const isDigit = (byte: number | undefined) => byte !== undefined && byte >= 48 && byte <= 57

/** One change somewhere: a byte flipped, dropped, doubled, cut off, a number replaced, or something odd put in or over. */
const mutated = (bytes: Buffer, chance: Chance): Buffer => {
  const at = chance.between(0, bytes.length)
  switch (chance.between(0, 8)) {
    case 0: {
      const copy = Buffer.from(bytes)
      if (copy.length > 0) copy[Math.min(at, copy.length - 1)]! ^= 1 << chance.between(0, 7)
      return copy
    }
    case 1:
      return Buffer.concat([bytes.subarray(0, at), bytes.subarray(at + chance.between(1, 8))])
    case 2:
      return Buffer.concat([bytes.subarray(0, at), bytes.subarray(Math.max(0, at - chance.between(1, 64)))])
    case 3:
      return bytes.subarray(0, at)
    case 4:
      return Buffer.concat([bytes.subarray(0, at), Buffer.from([chance.between(0, 255)]), bytes.subarray(at + 1)])
    case 5:
    case 6: {
      let from = at
      while (from < bytes.length && !isDigit(bytes[from])) from++
      let to = from
      while (isDigit(bytes[to])) to++
      return Buffer.concat([bytes.subarray(0, from), chance.oneOf(NUMBERS), bytes.subarray(to)])
    }
    default:
      return Buffer.concat([bytes.subarray(0, at), chance.oneOf(ODD), bytes.subarray(at + chance.between(0, 3))])
  }
}

/** Some changes, mostly few, in a third none. */
export const damaged = (bytes: Buffer, chance: Chance): Buffer => {
  let result = bytes
  const how = chance.next()
  for (let count = how < 0.3 ? 0 : how < 0.95 ? chance.between(1, 3) : chance.between(4, 40); count > 0; count--) {
    result = mutated(result, chance)
  }
  return result
}

/** Bytes of no origin, from a small alphabet or none. */
export const noise = (chance: Chance, most: number): Buffer => {
  const parts: Array<Buffer> = []
  let length = chance.between(0, most)
  while (length > 0) {
    const part = chance.next() < 0.5 ? chance.oneOf(ODD) : Buffer.from([chance.between(0, 255)])
    parts.push(part)
    length -= Math.max(1, part.length)
  }
  return Buffer.concat(parts)
}

/** The same few bytes again and again: what makes a careless parser quadratic. */
export const repeated = (chance: Chance, bytes: number): Buffer => {
  const part = Buffer.concat([chance.oneOf(ODD), chance.oneOf(ODD), Buffer.from([chance.between(32, 126)])])
  return Buffer.alloc(bytes, part)
}

/** Brackets within brackets, closed again or not. */
export const nested = (chance: Chance, bytes: number): Buffer => {
  const [open, close] = chance.oneOf([
    ["[", "]"],
    ['{"a":', "}"],
    ['[{"":', "}]"]
  ] as const)
  const depth = chance.oneOf([15, 16, 17, 1_000, Math.floor(bytes / (open.length + close.length))])
  const inner = chance.oneOf(["", "1", "null"])
  const one =
    open.repeat(depth) + (inner === "" && open !== "[" ? "0" : inner) + close.repeat(chance.next() < 0.8 ? depth : 0)
  // Not deep, and many.
  return Buffer.from(depth > 17 ? one : `[${`${one},`.repeat(Math.floor(bytes / (one.length + 1)))}0]`)
}
