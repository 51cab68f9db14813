import { Effect } from "effect"
import { describe, expect, test } from "vitest"
import config from "../../plugins.config.ts"
import { fleetTop, groupsMax, merge } from "./FleetRanking.ts"
import type { RankedRow, Rankings, TopAnswer } from "./Rankings.ts"

const exporter = config.exporters.find(({ top }) => top !== undefined)!

const answer = (rows: ReadonlyArray<RankedRow>, other: TopAnswer["other"]): TopAnswer => ({
  rows,
  other,
  window: { from: 0, to: 3_600_000_000 },
  coveredSeconds: 3_600,
  coverage: 1,
  scrapes: 240,
  lastSeen: 3_600_000_000,
  resets: 0,
  clamped: 0,
  unknown: 0,
  host: null,
  unaccounted: null,
  memoryOvercounted: false
})

const row = (name: string, cpu: number, memory = 1): RankedRow => ({
  name,
  num_procs: 1,
  cpu_seconds: cpu,
  avg_cpu_percent: cpu / 36,
  peak_cpu_percent: cpu,
  cpu_percent: cpu / 2,
  memory_mb: memory,
  avg_memory_mb: memory,
  peak_memory_mb: memory
})

const servers = [
  { serverId: "a", answer: answer([row("node", 30), row("nginx", 10)], { groups: 3, cpu_seconds: 5 }) },
  { serverId: "b", answer: answer([row("postgres", 20), row("node", 15)], { groups: 1, cpu_seconds: 2 }) }
]
const ask = (by: "server" | "name", limit: number, metric = "cpu") => merge({ exporter, metric, by, limit }, servers)
const names = (rows: ReadonlyArray<RankedRow>) => rows.map(({ name }) => name)

describe("the ranking over several servers", () => {
  test("asks every server for all of its groups by name: one that is small there may be large in all", async () => {
    const groups = 1_500
    const ofOne = Array.from({ length: groups }, (_, n) =>
      row(n === groups - 1 ? "everywhere" : `own ${n}`, groups - n)
    )
    const rankings = {
      tops: ({ limit, serverIds }: { readonly limit: number; readonly serverIds: ReadonlyArray<string> }) =>
        Effect.succeed(
          new Map(serverIds.map((id) => [id, answer(ofOne.slice(0, limit), { groups: 0, cpu_seconds: 0 })]))
        )
    } as unknown as Rankings["Service"]
    const window = { from: 0, to: 3_600_000_000 }
    const asked = { exporter, servers: ["a", "b"], metric: "cpu", by: "name", limit: groups, window } as const
    const { other, rows } = await Effect.runPromise(fleetTop(rankings, asked))
    expect(rows.find(({ name }) => name === "everywhere")).toMatchObject({ cpu_seconds: 2, servers: 2 })
    expect(other.groups).toBe(0)
    expect(groupsMax(5_000)).toBe(1_000)
  })

  test("ranks each group with its server; the first k are the first of k + 1", () => {
    const all = ask("server", 10).rows
    expect(all.map(({ name, server_id }) => `${name}@${server_id}`)).toEqual([
      "node@a",
      "postgres@b",
      "node@b",
      "nginx@a"
    ])
    for (let k = 1; k < 4; k++) expect(ask("server", k).rows).toEqual(all.slice(0, k))
  })

  test("rows and other are the whole, however many are listed", () => {
    for (const by of ["server", "name"] as const) {
      for (let limit = 1; limit <= 5; limit++) {
        const { other, rows } = ask(by, limit)
        const total = rows.reduce((sum, one) => sum + Number(one.cpu_seconds), 0) + other.cpu_seconds!
        expect(total).toBeCloseTo(82, 9)
      }
    }
  })

  test("by name, totals are sums over servers and the peak is the highest on one of them", () => {
    const { rows } = ask("name", 10)
    expect(names(rows)).toEqual(["node", "postgres", "nginx"])
    expect(rows[0]).toMatchObject({ servers: 2, num_procs: 2, cpu_seconds: 45, peak_cpu_percent: 30, memory_mb: 2 })
    expect(rows[0]).not.toHaveProperty("server_id")
  })

  test("ties are ordered by name, then by server", () => {
    const tied = merge({ exporter, metric: "memory", by: "server", limit: 10 }, servers).rows
    expect(tied.map(({ name, server_id }) => `${name}@${server_id}`)).toEqual([
      "nginx@a",
      "node@a",
      "node@b",
      "postgres@b"
    ])
  })

  test("no servers are an empty list", () => {
    expect(merge({ exporter, metric: "cpu", by: "server", limit: 10 }, [])).toMatchObject({
      rows: [],
      other: { groups: 0 }
    })
  })
})
