// The tests that need a machine of their own: `npm run test:roles`. Minutes, root, and Debian's packages.
import { join } from "node:path"
import { defineConfig } from "vitest/config"

const outputFile = join(import.meta.dirname, "..", "..", "coverage", "roles.json")

export default defineConfig({
  test: {
    root: import.meta.dirname,
    include: ["*.roles.ts"],
    testTimeout: 600_000,
    hookTimeout: 600_000,
    bail: 1,
    // Both wait most of their time, for installations and for services that run.
    maxWorkers: 2,
    reporters: process.env.CI === "true" ? ["verbose", ["json", { outputFile }]] : ["verbose"]
  }
})
