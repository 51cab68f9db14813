/** One unit and one last digit for all numbers of a ledger, so that what is shown can be added up. Pure. */

/** How a ledger's numbers are shown: counts of `one`. */
export interface Scale {
  /** What the last digit stands for, in the unit of the API. */
  readonly one: number
  /** A value, from its count of `one`: "148 %", "3.14 GiB". */
  readonly value: (count: number) => string
  /** A change, with its sign: "+214", of a percentage in points; "−0.20 GiB". */
  readonly change: (count: number) => string
  /** The same in a sentence: "214 points", "0.20 GiB". */
  readonly size: (count: number) => string
}

const SIZES = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"]
const MINUS = "\u2212"
const DIGITS_MAX = 2

/** The unit that fits the largest value, and digits enough that two of the widest change mean something. */
export const scaleOf = (unit: string, largest: number, widest: number): Scale => {
  const { divide, text } = unitOf(unit, largest)
  const size = Math.abs(widest / divide)
  const digits = size === 0 ? 0 : Math.max(0, Math.min(DIGITS_MAX, 1 - Math.floor(Math.log10(size))))
  const one = divide / 10 ** digits
  const plain = (count: number) => grouped((Math.abs(count) / 10 ** digits).toFixed(digits))
  const space = text === "" ? "" : `\u202f${text}`
  const sign = (count: number) => (count < 0 ? MINUS : "")
  const points = text === "%"
  return {
    one,
    value: (count) => `${sign(count)}${plain(count)}${space}`,
    change: (count) => `${count > 0 ? "+" : sign(count)}${plain(count)}${points ? "" : space}`,
    size: (count) =>
      points ? `${plain(count)} ${Math.abs(count) === 10 ** digits ? "point" : "points"}` : `${plain(count)}${space}`
  }
}

/** What the unit of the API is divided by for the unit that is shown. */
const unitOf = (unit: string, largest: number): { readonly divide: number; readonly text: string } => {
  if (unit === "percent") return { divide: 1, text: "%" }
  if (unit === "seconds_per_second") return { divide: 0.01, text: "%" }
  const bytes = /^(mb|bytes)(_per_second)?$/.exec(unit)
  if (bytes === null) return { divide: 1, text: NAMED[unit] ?? (unit === "ratio" ? "" : unit.replaceAll("_", " ")) }
  const first = bytes[1] === "mb" ? 2 : 0
  let step = first
  let size = Math.abs(largest)
  while (size >= 999.5 && step < SIZES.length - 1) {
    size /= 1024
    step++
  }
  return { divide: 1024 ** (step - first), text: `${SIZES[step]}${bytes[2] === undefined ? "" : "/s"}` }
}

const NAMED: Readonly<Record<string, string>> = { per_second: "/s", seconds: "s", celsius: "°C" }

/** Thousands apart, in what stands before the point. */
const grouped = (text: string): string => {
  const [whole = "", part] = text.split(".")
  const apart = whole.replace(/\B(?=(\d{3})+$)/g, "\u202f")
  return part === undefined ? apart : `${apart}.${part}`
}
