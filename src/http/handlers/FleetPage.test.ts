import { describe, expect, test } from "vitest"
import type { ServerGlance } from "../../query/Overview.ts"
import { fleetPage, type State } from "./FleetPage.ts"

const server = (serverId: string, cpuPercent: number | null, state: State = "live") => ({
  state,
  glance: {
    serverId,
    name: serverId.toUpperCase(),
    cpuCores: 4,
    cpuPercent,
    memoryTotalBytes: null,
    memoryUsedBytes: null,
    load: null,
    uptimeSeconds: null,
    trend: [],
    busiest: null
  } satisfies ServerGlance
})
const FLEET = [server("b", 20), server("a", 20), server("c", null, "silent"), server("d", 300), server("e", 1, "stale")]
const idsOf = (page: ReturnType<typeof fleetPage>) => page.rows.map(({ glance }) => glance.serverId)
const NOTHING = new Map()

describe("a part of the fleet's list", () => {
  test("is all of it, as it is listed, where nothing is asked for", () => {
    const page = fleetPage(FLEET, {}, NOTHING)
    expect(idsOf(page)).toEqual(["b", "a", "c", "d", "e"])
    expect(page).toMatchObject({ matching: 5, states: { live: 3, stale: 1, silent: 1 } })
  })
  test("is in an order in which ties go by id and what is not known comes last, in both directions", () => {
    expect(idsOf(fleetPage(FLEET, { sort: "cpu" }, NOTHING))).toEqual(["d", "a", "b", "e", "c"])
    expect(idsOf(fleetPage(FLEET, { sort: "cpu", dir: "up" }, NOTHING))).toEqual(["e", "a", "b", "d", "c"])
  })
  test("has all servers between its parts, each once", () => {
    const parts = [0, 2, 4].flatMap((offset) =>
      idsOf(fleetPage(FLEET, { sort: "name", dir: "up", offset, limit: 2 }, NOTHING))
    )
    expect(parts).toEqual(["a", "b", "c", "d", "e"])
  })
  test("counts what matches, and the states of all", () => {
    const page = fleetPage(FLEET, { state: "live", limit: 1 }, NOTHING)
    expect(page).toMatchObject({ matching: 3, states: { live: 3, stale: 1, silent: 1 } })
    expect(page.rows).toHaveLength(1)
  })
  test("finds a server by its name, or else by what runs on it, and says what that is", () => {
    const running = new Map([
      ["d", { name: "barman", value: 3 }],
      ["b", { name: "bash", value: 1 }]
    ])
    const page = fleetPage(FLEET, { search: "B", sort: "name", dir: "up" }, running)
    expect(page.rows.map(({ glance, match }) => [glance.serverId, match?.name ?? null])).toEqual([
      ["b", null],
      ["d", "barman"]
    ])
  })
})
