/**
 * The recipe of docs/add-an-exporter.md, followed to its end in a copy of the checkout: two exporters are scaffolded and
 * enabled, what is derived is generated, and the parts of `npm run check` that depend on the list of exporters pass.
 *
 * One of them is called redis, a name that documentation and tests use too; the other has two words.
 */
import { spawnSync } from "node:child_process"
import { appendFileSync, existsSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { afterAll, beforeAll, describe, expect, inject, test } from "vitest"
import config from "../plugins.config.ts"
import type {} from "./globalSetup.ts"
import { scratch } from "./Scratch.ts"

const EXPORTERS = [
  { bare: "redis", constant: "redisExporter", module: "redis-exporter/RedisExporter.ts" },
  { bare: "mail_queue", constant: "mailQueueExporter", module: "mail-queue-exporter/MailQueueExporter.ts" }
].filter(({ bare }) => config.exporters.every(({ name }) => name !== `${bare}_exporter`))

describe("the recipe for an exporter", () => {
  let folder: string
  beforeAll(() => {
    folder = scratch()
    // Tests that read the repository ask git what is in it.
    run("git", "init", "--quiet")
    // A link is no folder to git, so that .gitignore does not know it.
    appendFileSync(join(folder, ".git/info/exclude"), "/node_modules\n/.bin/\n")
    run("git", "add", "--all")
  })
  afterAll(() => rmSync(folder, { recursive: true, force: true, maxRetries: 5 }))

  const attempt = (program: string, ...args: ReadonlyArray<string>) =>
    spawnSync(program, args, {
      cwd: folder,
      encoding: "utf8",
      env: {
        PATH: `${join(folder, "node_modules", ".bin")}:${join(folder, "node_modules", "node", "bin")}:${process.env.PATH}`,
        HOME: process.env.HOME,
        LANG: "C.UTF-8",
        NO_COLOR: "1",
        NODEPULSE_TEST_DATABASE_URL: inject("postgresUrl"),
        // What Node compiled is kept where `.ci/run` says so.
        ...(process.env.NODE_COMPILE_CACHE === undefined ? {} : { NODE_COMPILE_CACHE: process.env.NODE_COMPILE_CACHE })
      }
    })
  const run = (program: string, ...args: ReadonlyArray<string>): string => {
    const { status, stderr, stdout } = attempt(program, ...args)
    expect(status, `${program} ${args.join(" ")}\n${stdout.slice(-6_000)}\n${stderr.slice(-2_000)}`).toBe(0)
    return stdout
  }

  /** The two lines that a newcomer writes, the import wherever it comes to lie. */
  const enable = ({ constant, module }: (typeof EXPORTERS)[number]) => {
    const path = join(folder, "plugins.config.ts")
    const text = readFileSync(path, "utf8")
    writeFileSync(
      path,
      text
        .replace(/^import/m, `import { ${constant} } from "./src/plugins/${module}"\nimport`)
        .replace(/\] \}\)\s*$/, `, ${constant}()] })\n`)
    )
  }

  test("scaffolds a folder that git sees, and what is not generated yet is named with the command that does it", () => {
    for (const exporter of EXPORTERS) {
      run("npm", "run", "--silent", "new:exporter", "--", exporter.bare)
      enable(exporter)
      expect(existsSync(join(folder, "src/plugins", exporter.module))).toBe(true)
    }
    const { status, stderr } = attempt("npm", "run", "--silent", "generate", "--", "--check")
    expect(status).toBe(1)
    expect(stderr).toContain("migrations/")
    expect(stderr).toContain("docs/exporters.md")
    expect(stderr).toContain("run `npm run generate`")
  })

  test("needs one command for all that is derived", () => {
    // That nothing is left to generate is what test/generated.test.ts says below.
    run("npm", "run", "--silent", "generate")
    for (const { bare } of EXPORTERS) expect(readFileSync(join(folder, "docs/exporters.md"), "utf8")).toContain(bare)
  })

  test("leaves types and linter green", () => {
    run("npm", "run", "--silent", "typecheck")
    run("biome", "ci", "--diagnostic-level=error", ".")
  })

  test("leaves green what reads the repository, the contract, the agent's configuration and the commands", () => {
    run("vitest", "run", "test/tidy.test.ts", "test/generated.test.ts", "src/plugins", "src/commands", "agent/config")
  })

  test("leaves green what a doctor says of a machine that does not run the exporter", () => {
    run("vitest", "run", "test/packaging.test.ts", "-t", "the agent|doctor|metrics that the program has")
  })

  test("leaves green the documentation that is executed", () => {
    run("vitest", "run", "test/docs.test.ts", "-t", "add-an-exporter|deployment|troubleshooting|links to")
  })
}, 300_000)
