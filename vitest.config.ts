import { defineConfig } from "vitest/config"

const ci = process.env.CI === "true"

export default defineConfig({
  test: {
    include: ["src/**/*.test.ts", "agent/**/*.test.ts", "test/**/*.test.ts"],
    globalSetup: ["test/globalSetup.ts"],
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
