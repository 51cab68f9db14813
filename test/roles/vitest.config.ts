// The tests that need a machine of their own: `npm run test:roles`. Minutes, root, and Debian's packages.
import { defineConfig } from "vitest/config"

export default defineConfig({
  test: {
    root: import.meta.dirname,
    include: ["*.roles.ts"],
    testTimeout: 600_000,
    hookTimeout: 600_000,
    bail: 1,
    reporters: ["verbose"]
  }
})
