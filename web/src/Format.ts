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
  if (value === null || value === undefined) return NONE
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
      return duration(value)
    case "seconds_per_second":
      return `${percent(value * 100)}\u202f%`
    case "celsius":
      return `${number(value)}\u202f°C`
    default:
      return unit === "" || unit === "ratio" ? number(value) : `${number(value)} ${unit.replaceAll("_", " ")}`
  }
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
  return at.toDateString() === new Date(now).toDateString() ? clock : `${dayOf(at)} ${clock}`
}

const MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]
export const dayOf = (at: Date): string => `${at.getDate()} ${MONTHS[at.getMonth()]}`

/** "14:02 – 14:31", with the days where they are not both today. */
export const window = (from: number, to: number, now: number): string => {
  const short = to - from < 600_000
  const days = new Set([from, to, now].map((time) => new Date(time).toDateString()))
  const day = (time: number) => (days.size === 1 ? "" : `${dayOf(new Date(time))} `)
  const sameDay = new Date(from).toDateString() === new Date(to).toDateString()
  return `${day(from)}${moment(from, from, short)} – ${sameDay ? "" : day(to)}${moment(to, to, short)}`
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
