/**
 * Writes all that is derived from the declarations in plugins.config.ts: `npm run generate`. With `--check` it writes
 * nothing, names what differs, and exits with 1.
 *
 * Each part is a program of its own that takes `--check` too, so that one can also be run alone. A new derived file is a
 * new line in `PARTS`.
 */
import { spawnSync } from "node:child_process"
import { join } from "node:path"

const root = join(import.meta.dirname, "..")
const check = process.argv.includes("--check")

interface Part {
  readonly what: string
  readonly command: ReadonlyArray<string>
}

const ours = (script: string): ReadonlyArray<string> => [
  process.execPath,
  join("scripts", script),
  ...(check ? ["--check"] : [])
]

const PARTS: ReadonlyArray<Part> = [
  {
    what: "the order of imports and the format of plugins.config.ts and src/plugins",
    command: [
      join("node_modules", ".bin", "biome"),
      "check",
      ...(check ? [] : ["--write"]),
      "--log-level=error",
      "--vcs-enabled=false",
      "plugins.config.ts",
      "src/plugins"
    ]
  },
  { what: "migrations/", command: ours("migrations.ts") },
  { what: "ansible/", command: ours("ansible-vars.ts") },
  { what: "docs/exporters.md", command: ours("exporters-table.ts") },
  { what: "docs/limits.md", command: ours("limits-table.ts") },
  { what: "THIRD_PARTY.md", command: ours("third-party.ts") },
  { what: "docs/security-tests.md", command: ours("security-tests-table.ts") }
]

const drifted: Array<string> = []
for (const { command, what } of PARTS) {
  const [program, ...args] = command
  const { status } = spawnSync(program!, args, { cwd: root, stdio: "inherit" })
  if (status !== 0) drifted.push(what)
}
if (drifted.length > 0) {
  const advice = check ? "run `npm run generate`, and commit what it writes" : "mend what is said above"
  process.stderr.write(`not up to date: ${drifted.join("; ")}\n-> ${advice}\n`)
  process.exitCode = 1
}
