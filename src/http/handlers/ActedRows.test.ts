import { describe, expect, test } from "@effect/vitest"
import { Result } from "effect"
import plugins from "../../../plugins.config.ts"
import type { Act } from "../../acting/Acting.ts"
import type { Exporter } from "../../plugins/Exporter.ts"
import { makeRegistry } from "../../plugins/Registry.ts"
import { Regrouping } from "../../query/grouping/Regrouping.ts"
import { withActs } from "./ActedRows.ts"

const registry = Result.getOrThrow(makeRegistry(plugins))
const processes = registry.exporters.find(({ scrape }) => scrape.collector === "process")!
const units = registry.units!
const others = registry.exporters.filter((one) => one.top !== undefined && one !== processes && one !== units)

const act = (orderId: string, changes: Partial<Act> = {}): Act => ({
  orderId,
  at: 1_764_000_000_000_000,
  verb: "terminate",
  target: "node",
  group: "shop",
  result: "done",
  by: ["ada"],
  revertsAt: null,
  ...changes
})
const restart = (orderId: string, unit = "web.service") => act(orderId, { verb: "restart", target: unit, group: null })

const ROWS = [
  { name: "shop", units: ["web.service"], units_total: 1 },
  { name: "node", units: ["other.service"], units_total: 1 },
  { name: "web.service", units: null, units_total: null }
]
const told = (acts: ReadonlyArray<Act>, exporter: Exporter, regrouping?: Regrouping) =>
  Object.fromEntries(
    (
      withActs(ROWS, acts, registry, exporter, regrouping) as ReadonlyArray<{
        readonly name: string
        readonly acts?: ReadonlyArray<{ readonly order_id: string }>
      }>
    ).map(({ acts, name }) => [name, acts?.map(({ order_id }) => order_id)])
  )

describe("acts in the rows of a ranking", () => {
  test("of a process stand in the row of the name that the page has for it, and in no other", () => {
    expect(told([act("a")], processes)).toEqual({ shop: ["a"] })
    expect(told([act("a", { group: "web.service" })], units)).toEqual({})
  })

  test("of a unit stand in its own row, and in those of the processes in it", () => {
    expect(told([restart("a")], units)).toEqual({ "web.service": ["a"] })
    expect(told([restart("a")], processes)).toEqual({ shop: ["a"] })
  })

  test("stand in no row of what nobody acts on, whatever it is called", () => {
    expect(others.length).toBeGreaterThan(0)
    for (const exporter of others) expect(told([act("a"), restart("b")], exporter)).toEqual({})
  })

  test("follow their process where rules show its name as another", () => {
    const shown = { of: (name: string) => (name === "shop-1" ? "shop" : name), cost: () => 1 }
    const regrouping = new Regrouping({ name: "r", version: 1 }, shown)
    expect(told([act("a", { group: "shop-1" })], processes, regrouping)).toEqual({ shop: ["a"] })
    expect(told([act("a", { group: "shop-1" })], processes)).toEqual({})
  })

  test("are the latest three of a row, the latest first, and how many there are; where nobody acted, rows are as they were", () => {
    const acts = ["a", "b", "c", "d"].map((id) => act(id))
    const [shop] = withActs(ROWS, acts, registry, processes, undefined)
    expect(shop).toMatchObject({ acts_total: 4, acts: [{ order_id: "d" }, { order_id: "c" }, { order_id: "b" }] })
    expect(withActs(ROWS, [], registry, processes, undefined)).toBe(ROWS)
    expect(withActs(ROWS, acts, registry, processes, undefined)[1]).toBe(ROWS[1])
  })
})
