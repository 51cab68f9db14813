/**
 * Every metric is told of: docs/operations.md names each one that the server or an agent registers, and none that is gone. So do the
 * shipped alerts.
 *
 * Registrations are found as texts of the files that make metrics; what `GET /api/metrics/{resource}` has follows from declarations, and
 * what Node tells of itself is not ours.
 */
import { readdirSync, readFileSync } from "node:fs"
import { join } from "node:path"
import { describe, expect, test } from "vitest"

const root = join(import.meta.dirname, "..")
const read = (path: string) => readFileSync(join(root, path), "utf8")
const DOCUMENT = "docs/operations.md"

/** Files that make metrics. */
const sources = ["src", "agent"]
  .flatMap((folder) => readdirSync(join(root, folder), { recursive: true }).map((name) => join(folder, String(name))))
  .filter((path) => path.endsWith(".ts") && !path.endsWith(".test.ts") && !/\/Test[A-Z]\w*\.ts$/.test(path))
  .filter((path) => path.endsWith("AgentMetrics.ts") || /from "prom-client"/.test(read(path)))

const registered = new Set(sources.flatMap((path) => found(read(path), /"(nodepulse_[a-z0-9_]+)"/g)))

function found(text: string, pattern: RegExp): ReadonlyArray<string> {
  return [...text.matchAll(pattern)].map((match) => match[1]!)
}

/** Of a leading group, by ranking: `TopMetrics.ts`. */
const isDerived = (name: string) => /^nodepulse_(processes|units|nodes?|short_lived)_/.test(name)

describe("a metric", () => {
  test("is registered in few files, all of which are looked at", () => {
    expect(sources.length).toBeGreaterThanOrEqual(4)
    expect(registered.size).toBeGreaterThan(60)
  })

  test("is in docs/operations.md, with what it means", () => {
    const rows = found(read(DOCUMENT), /^\| `(nodepulse_[a-z0-9_]+)[^`]*` \| [^|]{10,}\|$/gm)
    expect([...registered].filter((name) => !rows.includes(name))).toEqual([])
    expect(rows.filter((name, n) => rows.indexOf(name) !== n)).toEqual([])
  })

  test.each([DOCUMENT, "docs/alerts/server.yml", "docs/alerts/agents.yml", "docs/alerts/runbook.md"])(
    "that %s names is there",
    (path) => {
      const named = found(read(path), /\b(nodepulse_[a-z0-9_]+)/g)
      const gone = named.filter((name) => !registered.has(name) && !isDerived(name))
      expect([...new Set(gone)]).toEqual([])
    }
  )
})
