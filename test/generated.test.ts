/** What is derived from plugins.config.ts is up to date, in every file that holds it. */
import { spawnSync } from "node:child_process"
import { join } from "node:path"
import { expect, test } from "vitest"

const root = join(import.meta.dirname, "..")

test("everything that is derived from plugins.config.ts is up to date; else: npm run generate", () => {
  const { status, stderr, stdout } = spawnSync(process.execPath, ["scripts/generate.ts", "--check"], {
    cwd: root,
    encoding: "utf8"
  })
  expect(stderr, stdout).toBe("")
  expect(status).toBe(0)
})
