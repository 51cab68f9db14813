import { assert, describe, it } from "@effect/vitest"
import { Result } from "effect"
import config from "../../plugins.config.ts"
import { readRules } from "./RuleFile.ts"
import { ruleResources } from "./RuleResources.ts"

const { exporters } = config
const isTaken = (rule: object) =>
  Result.isSuccess(readRules(JSON.stringify({ rules: [{ name: "r", ...rule }] }), exporters))

describe("what rules may ask", () => {
  for (const { exhausts, grouped, metrics, resource } of ruleResources(exporters)) {
    it(`of ${resource} is what a file of rules takes, and nothing else`, () => {
      assert.isNotEmpty(metrics)
      for (const { grows, key: metric, share } of metrics) {
        assert.isTrue(isTaken({ resource, metric, above: 1 }), metric)
        assert.strictEqual(isTaken({ resource, metric, above: 1, of: "machine" }), share !== null, `share ${metric}`)
        assert.strictEqual(isTaken({ resource, metric, growth_above: 1 }), grows, `growth of ${metric}`)
      }
      assert.isFalse(isTaken({ resource, metric: "nothing_such", above: 1 }))
      assert.strictEqual(isTaken({ resource, exhausts_in: "2h" }), exhausts)
      assert.strictEqual(isTaken({ resource, metric: metrics[0]!.key, above: 1, group: "g" }), grouped)
    })
  }

  it("has one host, of which all metrics may be asked beside another", () => {
    const [host, ...others] = ruleResources(exporters).filter((one) => one.host)
    assert.isEmpty(others)
    for (const { key } of host!.metrics) {
      const only_while = { metric: key, above: 1 }
      assert.isTrue(isTaken({ resource: "processes", metric: "cpu", above: 1, only_while }), key)
    }
  })

  it("says how values are drawn: of series that the history has", () => {
    const metrics = ruleResources(exporters).flatMap(({ metrics }) => metrics)
    const of = (key: string) => metrics.find((metric) => metric.key === key)
    assert.deepStrictEqual(of("busy")?.drawn, {
      fields: ["cpu_user_seconds_per_second", "cpu_system_seconds_per_second"],
      less: null,
      part_of: "cpu_cores",
      scale: 100,
      peak: null
    })
    assert.deepInclude(of("memory_used")?.drawn, { less: "memory_available_bytes", part_of: "memory_total_bytes" })
    assert.deepInclude(of("cpu"), { unit: "% of a core", share: "cpu" })
    assert.isNull(of("unaccounted")?.drawn)
    assert.isNull(of("disk_used")?.drawn)
  })
})
