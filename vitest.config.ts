import { basename } from "node:path"
import { defineConfig } from "vitest/config"
import { BaseSequencer, type TestSpecification } from "vitest/node"

const ci = process.env.CI === "true"

/** They take a minute and more, and most of them are short to read: they would come last, and be waited for alone. */
const LONG = [
  ...["recipe.test.ts", "docs.test.ts", "conservation.test.ts", "web.test.ts", "agent-trouble.test.ts"],
  ...["web-views.test.ts", "roles-apart.test.ts", "cluster.test.ts", "flight-recorder.test.ts"]
]

/** The long ones first, in that order; the others as Vitest has them, which goes by size where it knows no times. */
class LongFirst extends BaseSequencer {
  override async sort(files: Array<TestSpecification>): Promise<Array<TestSpecification>> {
    const place = ({ moduleId }: TestSpecification) => {
      const index = LONG.indexOf(basename(moduleId))
      return index < 0 ? LONG.length : index
    }
    return (await super.sort(files)).sort((one, other) => place(one) - place(other))
  }
}

export default defineConfig({
  test: {
    include: ["src/**/*.test.ts", "agent/**/*.test.ts", "test/**/*.test.ts"],
    globalSetup: ["test/globalSetup.ts"],
    sequence: { sequencer: LongFirst },
    // Bounds, not expectations: a shared machine can be ten times as slow as an idle one.
    testTimeout: 180_000,
    hookTimeout: 240_000,
    expect: { poll: { timeout: 60_000, interval: 100 } },
    // Most of them wait for databases, browsers and processes: two at once take half the time, on two cores too.
    maxWorkers: 2,
    // Real databases, browsers and killed processes on shared machines: what fails once is tried once more, and named as flaky.
    retry: ci ? 1 : 0,
    reporters: ci
      ? ["default", "./.ci/flakyReporter.mjs", ["json", { outputFile: "coverage/suite.json" }]]
      : ["default"]
  }
})
