import { defineConfig } from "vitest/config"

const ci = process.env.CI === "true"

export default defineConfig({
  test: {
    include: ["src/**/*.test.ts", "agent/**/*.test.ts", "test/**/*.test.ts"],
    globalSetup: ["test/globalSetup.ts"],
    testTimeout: 60_000,
    hookTimeout: 120_000,
    // Most of them wait for databases, browsers and processes: two at once take half the time, on two cores too.
    maxWorkers: 2,
    // Real databases, browsers and killed processes on shared machines: what fails once is tried once more, and reported.
    retry: ci ? 1 : 0,
    reporters: ci ? ["default", ["json", { outputFile: "coverage/suite.json" }]] : ["default"]
  }
})
