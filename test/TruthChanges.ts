/** The reference computation of what changed between two windows: two top answers of `Truth.ts`, subtracted. */
import type { Exporter } from "../src/plugins/Exporter.ts"
import type { Snapshot } from "../src/plugins/Snapshot.ts"
import { rankingFields } from "../src/plugins/TopQuery.ts"
import type { ChangesAnswer, ChangesRequest } from "../src/query/Changes.ts"
import type { Window } from "../src/query/Rankings.ts"
import { compareBytes, coresOver, truthTop } from "./Truth.ts"
import { labelOf, seenOf, stepsOf, valueOf } from "./TruthSteps.ts"

/** What is compared of an answer: all but the host's waiting, which a test of its own holds to the host's history. */
export type TruthChanges = Omit<ChangesAnswer, "waiting" | "unit">

export const truthChanges = (
  exporters: ReadonlyArray<Exporter>,
  rows: ReadonlyArray<Snapshot>,
  request: ChangesRequest
): TruthChanges => {
  const exporter = exporters.find(({ name }) => name === request.exporter)!
  const top = exporter.top!
  const ranking = top.rankings[request.metric]!
  const shown = rankingFields(request.metric, ranking.by, exporter.table.columns[ranking.column]!)
  const isCpu = ranking.by === "rate" && ranking.share === "cpu"
  const sides = [request.before, request.after].map(({ serverId, window }) => {
    const asked = { exporter: request.exporter, metric: request.metric, limit: 1_000, serverId, window }
    const answer = truthTop(exporters, rows, asked)
    const values = new Map(answer.rows.map((row) => [row.name, (row[shown.average] ?? 0) as number]))
    const groups = [...values.values()].reduce((sum, value) => sum + value, 0)
    const { coverage, coveredSeconds, scrapes, unaccounted } = answer
    const rest = !isCpu || coveredSeconds === 0 ? null : (unaccounted?.avgCpuPercent ?? null)
    const life = lifeOf(exporters, rows, exporter, serverId, window)
    return { side: { serverId, window, coveredSeconds, coverage, scrapes }, values, groups, rest, life }
  })
  const [before, after] = sides as [(typeof sides)[number], (typeof sides)[number]]
  const rest = before.rest === null || after.rest === null ? undefined : { before: before.rest, after: after.rest }
  const total = { before: before.groups + (rest?.before ?? 0), after: after.groups + (rest?.after ?? 0) }
  const all = total.after - total.before
  const least = isCpu ? 1 : Math.max(Math.abs(total.before), Math.abs(total.after)) / 100
  const line = (was: number, is: number) => ({
    before: was,
    after: is,
    change: is - was,
    share: all === 0 || Math.abs(all) < least ? null : (is - was) / all
  })
  const names = [...new Set([...before.values.keys(), ...after.values.keys()])]
  const groups = names
    .map((name) => ({
      name,
      ...line(before.values.get(name) ?? 0, after.values.get(name) ?? 0),
      appeared: after.life.ran(name) && !before.life.ran(name),
      gone: before.life.ran(name) && !after.life.ran(name),
      restarted: after.life.restarted(name),
      countBefore: before.life.count(name),
      countAfter: after.life.count(name)
    }))
    .sort((a, b) => Math.abs(b.change) - Math.abs(a.change) || compareBytes(a.name, b.name))
  const others = groups.slice(request.limit)
  const sum = (side: "before" | "after") => others.reduce((total, group) => total + group[side], 0)
  return {
    before: before.side,
    after: after.side,
    partial: before.side.coverage < 0.8 || after.side.coverage < 0.8,
    groups: groups.slice(0, request.limit),
    other: { groups: others.length, ...line(sum("before"), sum("after")) },
    unaccounted: rest === undefined ? null : line(rest.before, rest.after),
    total: { of: rest === undefined ? "groups" : "host", ...line(total.before, total.after) }
  }
}

/** Whether a group ran in a window, how many there were of it at the end, and whether its counters began anew. */
const lifeOf = (
  exporters: ReadonlyArray<Exporter>,
  rows: ReadonlyArray<Snapshot>,
  exporter: Exporter,
  serverId: string,
  window: Window
) => {
  const { per, presence, rankings } = exporter.top!
  const seen = seenOf(rows, exporter, serverId)
  const host = exporters.find((one) => one.host !== undefined)
  const cores = coresOver(host === undefined ? undefined : seenOf(rows, host, serverId))
  const inWindow = ({ timestamp }: Snapshot) => timestamp > window.from && timestamp <= window.to
  const here = seen.rows.filter(inWindow)
  const of = (name: string) => here.filter((row) => labelOf(exporter, row, per) === name)
  const last = here.at(-1)?.timestamp
  const counters = new Set(Object.values(rankings).flatMap(({ by, column }) => (by === "rate" ? [column] : [])))
  const restarts = [...counters]
    .flatMap((column) => stepsOf(seen, column, cores))
    .filter(({ reset, row }) => reset && inWindow(row))
    .map(({ row }) => labelOf(exporter, row, per))
  const counted = (row: Snapshot) => (presence === undefined ? 1 : Number(valueOf(exporter, row, presence)))
  return {
    ran: (name: string) => of(name).some((row) => counted(row) > 0),
    restarted: (name: string) => restarts.includes(name),
    count: (name: string) =>
      presence === undefined
        ? null
        : of(name).reduce((sum, row) => sum + (row.timestamp === last ? counted(row) : 0), 0)
  }
}
