/** `nodepulse rules test` as a person or a build runs it: the examples of the documentation, a difference, and how it exits. */
import { execFile } from "node:child_process"
import { mkdtemp, rm, writeFile } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { describe, expect, test } from "vitest"

const root = join(import.meta.dirname, "..")
const example = join(root, "docs", "examples", "postgres.test.yml")

const run = (...args: ReadonlyArray<string>) =>
  new Promise<{ readonly code: number; readonly out: string; readonly err: string }>((resolve) => {
    const command = [join(root, "src", "main.ts"), "rules", "test", ...args]
    execFile(process.execPath, command, { env: { ...process.env, NO_COLOR: "1" } }, (error, out, err) =>
      resolve({ code: error === null ? 0 : Number(error.code), out, err })
    )
  })

const inFolder = async <A>(
  files: Readonly<Record<string, string>>,
  use: (path: (name: string) => string) => Promise<A>
) => {
  const folder = await mkdtemp(join(tmpdir(), "nodepulse-rules-"))
  try {
    for (const [name, text] of Object.entries(files)) await writeFile(join(folder, name), text)
    return await use((name) => join(folder, name))
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

const RULES = `rules:
  - {name: busy, resource: processes, metric: cpu, above: 80, for: 5m}
  - {name: switched off, resource: processes, metric: cpu, above: 10, enabled: false}
`
const tests = (firesAt: string) => `rules_file: rules.yml
tests:
  - name: goes on
    series: [{server: db-1, resource: processes, groups: {postgres: {cpu: "90x60"}}}]
    alerts: [{rule: busy, server: db-1, group: postgres, fires_at: ${firesAt}}]
`
const SHIPPED = `default_rules: true
tests:
  - name: a server that says nothing for six minutes
    series: [{server: web-1, resource: node, values: {load: "1x20 _x24 1x20"}}]
    alerts: [{rule: Server is silent, server: web-1, fires_at: 10m, resolves_at: 11m}]
`

describe("nodepulse rules test", { timeout: 180_000 }, () => {
  test("passes the examples of the documentation, and rules that are shipped", () =>
    inFolder({ "shipped.test.yml": SHIPPED }, async (path) => {
      const { code, err, out } = await run(example, path("shipped.test.yml"))
      expect({ code, err }).toEqual({ code: 0, err: "" })
      expect(out).toContain(`ok    ${example}: a vacuum of three minutes is not told`)
      expect(out).toMatch(/\n5 tests passed\n$/)
    }))

  test("exits with 1 where a test fails, and says what was expected and what fired", () =>
    inFolder({ "rules.yml": RULES, "a.test.yml": tests("5m"), "b.test.yml": tests("6m") }, async (path) => {
      const { code, err, out } = await run(path("a.test.yml"), path("b.test.yml"))
      expect(code).toBe(1)
      expect(out.split("\n").slice(0, 4)).toEqual([
        `FAIL  ${path("a.test.yml")}: goes on`,
        "      - expected  busy, db-1, postgres: fires at 5m, still fires at the end (14m45s)",
        "      + got       busy, db-1, postgres: fires at 6m, still fires at the end (14m45s)",
        `ok    ${path("b.test.yml")}: goes on`
      ])
      expect(err).toBe("nodepulse: 1 of 2 tests failed\n")
    }))

  test("exits with 2 where a file cannot be read or holds a problem, and tries the others", () =>
    inFolder(
      {
        "rules.yml": RULES,
        "a.test.yml": tests("6m"),
        "wrong.test.yml": tests("6m").replace("90x60", "9ox60"),
        "misnamed.test.yml": tests("6m").replace("rule: busy", "rule: busi"),
        "badrules.test.yml": tests("6m").replace("rules.yml", "a.test.yml")
      },
      async (path) => {
        const names = ["wrong", "misnamed", "badrules", "gone", "a"].map((name) => path(`${name}.test.yml`))
        const { code, err, out } = await run(...names)
        expect(code).toBe(2)
        expect(out).toBe(`ok    ${path("a.test.yml")}: goes on\n`)
        for (const said of [
          'series[0].groups.postgres.cpu (line 4) is "9ox60", which has the part "9ox60"',
          'alerts[0].rule (line 5) is "busi", which is no rule that is asked, did you mean "busy"? (known: busy, switched off)',
          `${path("a.test.yml")}: tests (line 3) is not a known key`,
          `${path("gone.test.yml")} cannot be read: ENOENT`,
          "nodepulse: 4 files cannot be tested\n"
        ]) {
          expect(err).toContain(said)
        }
      }
    ))

  test("explains itself", async () => {
    const { code, out } = await run("--help")
    expect(code).toBe(0)
    expect(out).toContain("Exits 0 where all tests pass, 1 where one fails, 2 where a file cannot be read")
  })
})
