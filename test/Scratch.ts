/**
 * A copy of this checkout, for tests that run or change what a person would run or change in it. Whoever makes one removes it.
 */
import { execFileSync } from "node:child_process"
import { chmodSync, cpSync, existsSync, mkdirSync, mkdtempSync, symlinkSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { dirname, join } from "node:path"

const root = join(import.meta.dirname, "..")

/** A copy of what is committed or about to be, with the checkout's own dependencies. */
export const scratch = (): string => {
  const folder = mkdtempSync(join(tmpdir(), "nodepulse-scratch-"))
  const files = execFileSync("git", ["ls-files", "--cached", "--others", "--exclude-standard"], {
    cwd: root,
    encoding: "utf8"
  })
  for (const path of files.split("\n").filter((path) => path !== "" && existsSync(join(root, path)))) {
    mkdirSync(dirname(join(folder, path)), { recursive: true })
    cpSync(join(root, path), join(folder, path))
  }
  symlinkSync(join(root, "node_modules"), join(folder, "node_modules"))
  if (existsSync(join(root, "web", "dist")))
    cpSync(join(root, "web", "dist"), join(folder, "web", "dist"), { recursive: true })
  mkdirSync(join(folder, ".bin"))
  writeFileSync(join(folder, ".bin", "nodepulse"), `#!/bin/sh\nexec node "${join(folder, "src", "main.ts")}" "$@"\n`)
  chmodSync(join(folder, ".bin", "nodepulse"), 0o755)
  // The embedded PostgreSQL runs as another user where we are root.
  chmodSync(folder, 0o755)
  return folder
}
