/**
 * What happened to a server beside its load, as marks under a time axis: restarts of exporters, reboots, clocks that were set, and
 * times in which an exporter said nothing. As a port, and its pure part. What each is: `docs/numbers.md` ("Marks").
 */
import { Context, type Effect } from "effect"
import type { UnknownServer } from "../access/Servers.ts"
import type { DatabaseUnavailable } from "../sinks/storage/DatabaseUnavailable.ts"
import type { Window } from "./Rankings.ts"

/** Of one answer, the latest ones. */
export const MARKS_MAX = 1_000

/** Moments are epoch microseconds. */
export type Mark =
  | { readonly kind: "restart" | "reboot"; readonly at: number; readonly exporter: string }
  | { readonly kind: "clock"; readonly at: number; readonly exporter: string; readonly bySeconds: number }
  | { readonly kind: "outage"; readonly at: number; readonly exporter: string; readonly until: number | null }

export class Marks extends Context.Service<
  Marks,
  {
    /** In order of time. */
    readonly of: (
      serverId: string,
      window: Window
    ) => Effect.Effect<ReadonlyArray<Mark>, UnknownServer | DatabaseUnavailable>
  }
>()("nodepulse/query/Marks") {}

// -- the pure part

/** Two scrapes of one exporter after each other between which something may have happened. */
export interface Change {
  readonly before: number
  /** Null where no scrape followed in the window. */
  readonly at: number | null
  /** When the counters of each began; null where it does not say. */
  readonly sinceBefore: number | null
  readonly since: number | null
}

/** Beginnings that differ by less are the same one, as for increases. */
export const SAME_BEGINNING_MICROS = 2_000_000
/** Exporters of one machine tell the same setting of its clock within this time. */
const SAME_STEP_MICROS = 300_000_000

/** What lies between two scrapes; `isHost`: a beginning is when the machine started. */
export const marksOf = (
  exporter: string,
  isHost: boolean,
  staleAfter: number,
  window: Window,
  { at, before, since, sinceBefore }: Change
): ReadonlyArray<Mark> => {
  const marks: Array<Mark> = []
  if ((at ?? window.to) - before > staleAfter) marks.push({ kind: "outage", at: before, exporter, until: at })
  if (at === null || since === null || sinceBefore === null) return marks
  if (Math.abs(since - sinceBefore) <= SAME_BEGINNING_MICROS) return marks
  // A beginning that is after its own scrape is told by another clock.
  if (since > before) marks.push({ kind: isHost ? "reboot" : "restart", at: Math.min(since, at), exporter })
  else marks.push({ kind: "clock", at, exporter, bySeconds: (since - sinceBefore) / 1_000_000 })
  return marks
}

/** All in order of time; a clock that several exporters saw being set counts once. */
export const inOrder = (marks: ReadonlyArray<Mark>): ReadonlyArray<Mark> => {
  const kept: Array<Mark> = []
  const steps: Array<Mark & { readonly kind: "clock" }> = []
  for (const mark of marks.toSorted((a, b) => a.at - b.at)) {
    if (mark.kind === "clock") {
      const isTold = steps.some(
        ({ at, bySeconds, exporter }) =>
          exporter !== mark.exporter &&
          mark.at - at <= SAME_STEP_MICROS &&
          Math.abs(bySeconds - mark.bySeconds) * 1_000_000 <= SAME_BEGINNING_MICROS
      )
      if (isTold) continue
      steps.push(mark)
    }
    kept.push(mark)
  }
  return kept.slice(-MARKS_MAX)
}
