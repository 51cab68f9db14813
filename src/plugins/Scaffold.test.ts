import { spawnSync } from "node:child_process"
import { mkdirSync, rmSync, writeFileSync } from "node:fs"
import { basename, dirname, join } from "node:path"
import { fileURLToPath, pathToFileURL } from "node:url"
import { afterAll, describe, expect, it } from "@effect/vitest"
import { Result } from "effect"
import { conformance } from "./Conformance.ts"
import type { ExporterFactory } from "./Exporter.ts"
import { scaffold } from "./Scaffold.ts"

// Inside the project, where "effect" is found, and in the folder that git ignores: the compiler and the suite must see
// the generated files exactly as they will be, only with another way to the contract.
const root = fileURLToPath(new URL("../../", import.meta.url))
const place = join(root, ".nodepulse", `scaffold-${process.pid}`)
const made = Result.getOrThrow(scaffold("redis-cache"))
for (const { content, path } of made.files) {
  const file = join(place, path)
  mkdirSync(dirname(file), { recursive: true })
  writeFileSync(file, content.replaceAll('"../', `"${join(root, "src/plugins")}/`))
}
const source = join(place, "src/plugins/redis-cache-exporter/RedisCacheExporter.ts")
const generated = (await import(pathToFileURL(source).href)) as Record<string, ExporterFactory>

afterAll(() => rmSync(place, { recursive: true, force: true }))

conformance(generated.redisCacheExporter!, { fixtures: new URL("fixtures/", pathToFileURL(source)) })

describe("a scaffolded exporter", () => {
  it("is a folder with a declaration, a test and a fixture", () => {
    expect(made.exporter).toBe("redis_cache_exporter")
    expect(made.files.map(({ path }) => path)).toEqual([
      "src/plugins/redis-cache-exporter/RedisCacheExporter.ts",
      "src/plugins/redis-cache-exporter/RedisCacheExporter.test.ts",
      "src/plugins/redis-cache-exporter/fixtures/example/input.prom",
      "src/plugins/redis-cache-exporter/fixtures/example/expected.json"
    ])
    expect(made.next.join("\n")).toContain('import { redisCacheExporter } from "./src/plugins/redis-cache-exporter/')
  })

  it("compiles and passes the linter as it is", () => {
    const config = {
      extends: join(root, "tsconfig.json"),
      include: [],
      files: [source, source.replace(/ts$/, "test.ts")]
    }
    writeFileSync(join(place, "tsconfig.json"), JSON.stringify(config))
    const tsc = spawnSync(join(root, "node_modules/.bin/tsc"), ["-p", place], { encoding: "utf8", cwd: root })
    expect(tsc.stdout).toBe("")
    expect(tsc.status).toBe(0)
    const written = join(place, "as-written")
    for (const { content, path } of made.files.filter(({ path }) => path.endsWith(".ts"))) {
      mkdirSync(written, { recursive: true })
      writeFileSync(join(written, basename(path)), content)
    }
    const biome = spawnSync(join(root, "node_modules/.bin/biome"), ["check", "--vcs-enabled=false", written], {
      encoding: "utf8",
      cwd: root
    })
    expect(biome.status, biome.stderr).toBe(0)
  })

  it("is the same whether named redis, redis_exporter or redis-exporter", () => {
    expect(scaffold("redis_exporter")).toEqual(scaffold("redis"))
    expect(scaffold("redis-exporter")).toEqual(scaffold("redis"))
  })

  it.each(["", "_exporter", "Redis", "../../etc", "a b", "1st", "a__b", "é", "x".repeat(31), 'x"'])(
    "has no name like %j",
    (name) => {
      expect(Result.isFailure(scaffold(name))).toBe(true)
    }
  )
})
