/**
 * Hours and weekdays in a time zone: when a route is open. Pure.
 *
 * What counts is what clocks on the wall show there. Where they are put forward the hour that is left out is short, where they
 * are put back the hour that comes twice counts twice. Hours over midnight belong to the day on which they begin.
 */
export const DAYS = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"] as const

export interface Hours {
  /** Minutes since midnight: from the one on, before the other; over midnight where `until` is not after `from`. */
  readonly from: number
  readonly until: number
  /** 0 is Monday. */
  readonly days: ReadonlySet<number>
  readonly zone: string
}

const DAY_MINUTES = 1_440

/** "08:00-18:00", as minutes since midnight; undefined where it is none. */
export const parseHours = (text: string): Pick<Hours, "from" | "until"> | undefined => {
  const found = /^(\d\d):(\d\d)-(\d\d):(\d\d)$/.exec(text)
  if (found === null) return undefined
  const [hour, minute, endHour, endMinute] = found.slice(1).map(Number) as [number, number, number, number]
  const [from, until] = [hour * 60 + minute, endHour * 60 + endMinute]
  if (minute > 59 || endMinute > 59 || from >= DAY_MINUTES || until > DAY_MINUTES || from === until) return undefined
  return { from, until }
}

/** Days, one by one or from the one to the other (`mon-fri`, `sat-mon`); undefined where there is none, or one is no day. */
export const parseDays = (names: ReadonlyArray<string>): ReadonlySet<number> | undefined => {
  const days = new Set<number>()
  for (const name of names) {
    const [first, last, ...more] = name.split("-").map((day) => DAYS.indexOf(day as (typeof DAYS)[number]))
    if (first === undefined || first < 0 || more.length > 0 || (last !== undefined && last < 0)) return undefined
    for (let day = first; ; day = (day + 1) % 7) {
      days.add(day)
      if (day === (last ?? first)) break
    }
  }
  return days.size === 0 ? undefined : days
}

/** Whether a moment, epoch milliseconds, is within hours. */
export const isWithin = ({ days, from, until, zone }: Hours, at: number): boolean => {
  const { day, minutes } = onTheWall(zone, at)
  if (from < until) return days.has(day) && minutes >= from && minutes < until
  return minutes >= from ? days.has(day) : minutes < until && days.has((day + 6) % 7)
}

const formats = new Map<string, Intl.DateTimeFormat>()

/** The weekday (0 is Monday) and the minutes since midnight that clocks show in a zone. */
const onTheWall = (zone: string, at: number): { readonly day: number; readonly minutes: number } => {
  let format = formats.get(zone)
  if (format === undefined) {
    format = new Intl.DateTimeFormat("en-US", {
      timeZone: zone,
      weekday: "short",
      hour: "2-digit",
      minute: "2-digit",
      hourCycle: "h23"
    })
    formats.set(zone, format)
  }
  const parts = new Map(format.formatToParts(at).map(({ type, value }) => [type, value]))
  const day = DAYS.indexOf(parts.get("weekday")!.toLowerCase() as (typeof DAYS)[number])
  return { day, minutes: Number(parts.get("hour")) * 60 + Number(parts.get("minute")) }
}
