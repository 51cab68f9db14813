/** Numbers and moments as people read them. Pure. */

const NONE = "–"

/** At most three digits that mean something: 0.04, 3.2, 45, 1 234. */
export const number = (value: number | null | undefined): string => {
  if (value === null || value === undefined || !Number.isFinite(value)) return NONE
  const size = Math.abs(value)
  if (Number.isInteger(value)) return grouped(value)
  if (size < 0.01) return "<0.01"
  if (size < 1) return value.toFixed(2)
  if (size < 10) return value.toFixed(1)
  return grouped(Math.round(value))
}

const grouped = (value: number): string => String(value).replace(/\B(?=(\d{3})+(?!\d))/g, "\u202f")

/** Percent: one digit after the point below 10. */
export const percent = (value: number | null | undefined): string => {
  if (value === null || value === undefined || !Number.isFinite(value)) return NONE
  if (value === 0) return "0"
  if (Math.abs(value) < 0.05) return "<0.1"
  return Math.abs(value) < 10 ? value.toFixed(1) : grouped(Math.round(value))
}

/** Binary sizes from a number of bytes. */
export const bytes = (value: number | null | undefined): string => {
  if (value === null || value === undefined || !Number.isFinite(value)) return NONE
  const units = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"]
  let size = Math.abs(value)
  let unit = 0
  while (size >= 999.5 && unit < units.length - 1) {
    size /= 1024
    unit++
  }
  const shown = unit === 0 ? String(Math.round(size)) : size < 10 ? size.toFixed(1) : String(Math.round(size))
  return `${value < 0 ? "-" : ""}${shown}\u202f${units[unit]}`
}

const MIB = 1024 * 1024

/** A value in the unit that the catalog names. */
export const inUnit = (value: number | null | undefined, unit: string): string => {
  if (value === null || value === undefined || !Number.isFinite(value)) return NONE
  switch (unit) {
    case "percent":
      return `${percent(value)}\u202f%`
    case "mb":
      return bytes(value * MIB)
    case "mb_per_second":
      return `${bytes(value * MIB)}/s`
    case "bytes":
      return bytes(value)
    case "bytes_per_second":
      return `${bytes(value)}/s`
    case "per_second":
      return `${number(value)}/s`
    case "seconds":
      return seconds(value)
    case "seconds_per_second":
      return `${percent(value * 100)}\u202f%`
    case "celsius":
      return `${number(value)}\u202f°C`
    default:
      return unit === "" || unit === "ratio" ? number(value) : `${number(value)} ${unit.replaceAll("_", " ")}`
  }
}

/** A value in seconds: as a length of time, and in the unit that fits where it is short, such as "250 ms" or "2.5 s". */
const seconds = (value: number): string => {
  const size = Math.abs(value)
  const sign = value < 0 ? "-" : ""
  if (size >= 9.95 || Number.isInteger(size)) return sign + duration(size)
  if (size >= 0.9995) return `${sign}${number(size)}\u202fs`
  const [scale, unit] = size < 0.9995e-6 ? [1e9, "ns"] : size < 0.9995e-3 ? [1e6, "µs"] : [1e3, "ms"]
  return `${sign}${number(size * scale)}\u202f${unit}`
}

/** "3 d 4 h", "12 min", "45 s": the two units that matter. */
export const duration = (seconds: number | null | undefined): string => {
  if (seconds === null || seconds === undefined || !Number.isFinite(seconds)) return NONE
  const whole = Math.max(0, Math.round(seconds))
  const parts = [
    [Math.floor(whole / 86_400), "d"],
    [Math.floor(whole / 3_600) % 24, "h"],
    [Math.floor(whole / 60) % 60, "min"],
    [whole % 60, "s"]
  ] as const
  const first = parts.findIndex(([count]) => count > 0)
  if (first < 0) return "0\u202fs"
  return parts
    .slice(first, first >= 2 ? first + 1 : first + 2)
    .filter(([count]) => count > 0)
    .map(([count, unit]) => `${count}\u202f${unit}`)
    .join(" ")
}

/** How long ago, said shortly. */
export const ago = (time: number, now: number): string => {
  const seconds = Math.max(0, Math.round((now - time) / 1000))
  return seconds < 5 ? "just now" : `${duration(seconds)} ago`
}

const two = (value: number): string => String(value).padStart(2, "0")

/** A clock time, with its date where that is not today's. */
export const moment = (time: number, now: number, seconds = false): string => {
  const at = new Date(time)
  const clock = `${two(at.getHours())}:${two(at.getMinutes())}${seconds ? `:${two(at.getSeconds())}` : ""}`
  return at.toDateString() === new Date(now).toDateString() ? clock : `${dayOf(at, now)} ${clock}`
}

const MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]
/** A day, with its year where that is not the year of `now`. */
export const dayOf = (at: Date, now: number): string => {
  const year = at.getFullYear()
  return `${at.getDate()} ${MONTHS[at.getMonth()]}${year === new Date(now).getFullYear() ? "" : ` ${year}`}`
}

/** "UTC-3:30": for a window over the change of a clock, in which 01:30 can be there twice. */
const offsetOf = (at: Date): string => {
  const minutes = -at.getTimezoneOffset()
  const size = Math.abs(minutes)
  const rest = size % 60 === 0 ? "" : `:${two(size % 60)}`
  return `UTC${minutes < 0 ? "-" : "+"}${Math.floor(size / 60)}${rest}`
}

/** "14:02 – 14:31", with the days where they are not both today, and the offsets from UTC where they are not the same. */
export const window = (from: number, to: number, now: number): string => {
  const short = to - from < 600_000
  const days = new Set([from, to, now].map((time) => new Date(time).toDateString()))
  const day = (time: number) => (days.size === 1 ? "" : `${dayOf(new Date(time), now)} `)
  const sameDay = new Date(from).toDateString() === new Date(to).toDateString()
  const offsets = [from, to].map((time) => offsetOf(new Date(time)))
  const [first, last] = offsets[0] === offsets[1] ? ["", ""] : offsets.map((offset) => ` (${offset})`)
  return `${day(from)}${moment(from, from, short)}${first} – ${sameDay ? "" : day(to)}${moment(to, to, short)}${last}`
}

const UPPER = new Set(["cpu", "io", "gpu", "ip", "tcp", "udp", "rss", "id", "tls", "http", "sql", "db"])

/** A field's name as words: `cpu_iowait_seconds` is "CPU iowait seconds". */
export const words = (name: string): string => {
  const parts = name.split("_").filter((part) => part !== "")
  return parts
    .map((part, index) =>
      UPPER.has(part) ? part.toUpperCase() : index === 0 ? part.charAt(0).toUpperCase() + part.slice(1) : part
    )
    .join(" ")
}
