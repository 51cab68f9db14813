/** What recordings are for, and whom the kernel killed, in words. Pure. */
import type { Answer } from "../ask/Api.ts"
import { bytes } from "../parts/Format.ts"
import { legible } from "../parts/Legible.ts"

type Head = Answer<"recordings.list">["recordings"][number]
export type Kill = Head["kills"][number]

/** Why there is one. */
export const REASON: Readonly<Record<Head["reason"], string>> = {
  alert: "An alert fired",
  asked: "Somebody asked",
  oom_kill: "A process was killed for want of memory"
}

export const recordingPath = (id: string): string => `/recordings/${encodeURIComponent(id)}`

/** Who it was: "hog (4711)", and in which unit. */
export const victimText = ({ name, pid, unit }: Kill): string =>
  `${legible(name ?? "A process", 100)}${pid === null ? "" : ` (${pid})`}${unit === null || unit === "" ? "" : ` in ${legible(unit, 100)}`}`

/** What it held, and which limit was reached. */
export const limitText = ({ limit_bytes, limited, memory_bytes, scope }: Kill): string => {
  const held = memory_bytes === null ? "" : `It held ${bytes(memory_bytes)}. `
  if (scope === "host") return `${held}The machine had no memory left.`
  if (scope === "unknown") return `${held}Whose limit was reached is not known.`
  const whose = limited === null ? "its unit" : legible(limited, 100)
  return `${held}The limit of ${whose}${limit_bytes === null ? "" : `, ${bytes(limit_bytes)},`} was reached.`
}

/** What helps: raise the limit, or find out who grew. */
export const remedyText = ({ limited, scope }: Kill): string =>
  scope === "unit"
    ? `More memory for it is MemoryMax= of ${limited === null ? "the unit" : legible(limited, 100)} (of a container: its memory limit); whether it needs that, those who grew tell.`
    : "Those who grew tell what took it. MemoryMax= of a unit keeps one from taking all of it."

/** Whether a recording shows what led to a moment, epoch milliseconds: it was made then, or within so many minutes after. */
export const shows = ({ from, to }: Pick<Head, "from" | "to">, moment: number): boolean =>
  Date.parse(from) <= moment && Date.parse(to) >= moment - TOLERANCE_MILLIS

const TOLERANCE_MILLIS = 30_000
