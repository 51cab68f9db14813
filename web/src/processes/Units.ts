/** How totals over a range are called. Pure. */
import { words } from "../parts/Format.ts"

const KNOWN: Readonly<Record<string, string>> = {
  core_hours: "Core-hours",
  gib_hours: "GiB-hours",
  gib: "GiB"
}

/** The head of a column with the totals of a ranking. */
export const totalWords = (key: string, unit: string): string =>
  KNOWN[unit] ?? (unit === "" ? words(key) : `${words(key)}, ${unit.replaceAll("_", " ")}`)
