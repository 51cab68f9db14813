/**
 * A test that reads the repository: the rules of the house that a compiler does not know. Each names what to do instead.
 */
import { execFileSync } from "node:child_process"
import { readFileSync } from "node:fs"
import { dirname, join, normalize } from "node:path"
import { describe, expect, test } from "vitest"
import config from "../plugins.config.ts"

const root = join(import.meta.dirname, "..")

const tracked = execFileSync("git", ["ls-files", "--cached", "--others", "--exclude-standard"], {
  cwd: root,
  encoding: "utf8"
})
  .split("\n")
  .filter((path) => path !== "")

const read = (path: string): string => {
  try {
    return readFileSync(join(root, path), "utf8")
  } catch {
    return ""
  }
}

const isTest = (path: string) =>
  /(\.test\.tsx?|\.fixture\.ts|Suite\.ts|\/(Conformance|Golden|Test[A-Z][A-Za-z]*)\.ts)$/.test(path) ||
  path.startsWith("test/")
const sources = tracked.filter(
  (path) => /^(src|agent|web|bench|scripts|test)\/.*\.tsx?$/.test(path) || path === "plugins.config.ts"
)
const shipped = sources.filter((path) => /^(src|agent)\//.test(path) && !isTest(path))

/** Source without comments, so that a rule may be talked about. Good enough for code that is formatted. */
const code = (path: string): string =>
  read(path)
    .replace(/\/\*[\s\S]*?\*\//g, (comment) => comment.replace(/[^\n]/g, " "))
    .replace(/(^|\s)\/\/.*$/gm, "$1")

interface Import {
  readonly from: string
  readonly to: string
  readonly typeOnly: boolean
}

const imports = (path: string): ReadonlyArray<Import> =>
  [...code(path).matchAll(/(?:import|export)\s+(type\s+)?(?:[^"';]*?\sfrom\s+)?"([^"]+)"/g)].map((match) => ({
    from: path,
    to: match[2]!.startsWith(".") ? normalize(join(dirname(path), match[2]!)) : match[2]!,
    typeOnly: match[1] !== undefined
  }))

const lines = (path: string, pattern: RegExp): ReadonlyArray<string> =>
  code(path)
    .split("\n")
    .flatMap((line, index) => (pattern.test(line) ? [`${path}:${index + 1}: ${line.trim()}`] : []))

describe("arrows point towards the contract", () => {
  const allowed: ReadonlyArray<{ readonly folder: string; readonly may: RegExp; readonly instead: string }> = [
    {
      folder: "src/engine/",
      may: /^(effect(\/.*)?$|src\/engine\/)/,
      instead: "the engine imports `effect` and itself: hand it what it needs as a value"
    },
    {
      folder: "src/plugins/",
      may: /^(effect(\/.*)?$|node:(buffer|crypto|fs|path|url)$|src\/plugins\/|@effect\/vitest$|vitest$)/,
      instead: "plugins and their contract know neither engine, sinks nor HTTP"
    },
    {
      folder: "src/sinks/",
      may: /^(?!src\/(http|commands)\/|agent\/|web\/)/,
      instead: "sinks are below HTTP and the agent"
    },
    {
      folder: "src/http/",
      may: /^(?!src\/(engine|commands)\/|agent\/)/,
      instead: "HTTP talks to ports in src/sinks; what it shows of the engine comes through PipelineView"
    },
    {
      folder: "agent/",
      may: /^(?!src\/(sinks|commands)\/|src\/http\/(?!Api\.ts))/,
      instead: "the agent may import the plugin contract and the API definition, never sinks"
    },
    {
      folder: "web/",
      may: /^(?!src\/(engine|sinks|commands)\/|agent\/)/,
      instead: "the page knows the API and the catalog"
    }
  ]
  for (const { folder, instead, may } of allowed) {
    test(`${folder} imports nothing it may not know`, () => {
      const wrong = sources
        .filter((path) => path.startsWith(folder) && !isTest(path))
        .flatMap(imports)
        // A path that is no file of ours is text of a template.
        .filter(({ to }) => (/^(src|agent|web|bench|test)\//.test(to) ? sources.includes(to) : true))
        .filter(({ to }) => !may.test(to))
        .map(({ from, to }) => `${from} imports ${to}`)
      expect(wrong, instead).toEqual([])
    })
  }

  test("no module imports itself in a circle", () => {
    const graph = new Map(
      sources.map((path) => [
        path,
        imports(path)
          .filter(({ typeOnly }) => !typeOnly)
          .map(({ to }) => to)
      ])
    )
    const circles: Array<string> = []
    const state = new Map<string, "open" | "done">()
    const visit = (path: string, trail: ReadonlyArray<string>): void => {
      if (state.get(path) === "done") return
      if (state.get(path) === "open") {
        circles.push([...trail.slice(trail.indexOf(path)), path].join(" -> "))
        return
      }
      state.set(path, "open")
      for (const next of graph.get(path) ?? []) if (graph.has(next)) visit(next, [...trail, path])
      state.set(path, "done")
    }
    for (const path of graph.keys()) visit(path, [])
    expect(circles, "move what both need into a module of its own").toEqual([])
  })
})

describe("a new exporter needs no change in the core", () => {
  for (const { name } of config.exporters) {
    test(`${name} is named only where it belongs`, () => {
      const kebab = name.replaceAll("_", "-")
      const camel = name.replace(/_./g, (part) => part[1]!.toUpperCase())
      const pattern = new RegExp(`${name}|${kebab}|${camel}`, "i")
      const home = new RegExp(`^(src/plugins/${kebab}/|plugins\\.config\\.ts$|bench/|scripts/|test/)`)
      const wrong = sources.filter((path) => !home.test(path) && !isTest(path)).flatMap((path) => lines(path, pattern))
      expect(wrong, "derive it from the registry, or mend the contract").toEqual([])
    })
  }
})

describe("what the house forbids, and what to use instead", () => {
  const forbidden: ReadonlyArray<{
    readonly what: RegExp
    readonly instead: string
    readonly except?: ReadonlyArray<string>
  }> = [
    {
      what: /\bDate\.now\(|\bnew Date\(\)|\bperformance\.now\(/,
      instead: "time comes from Effect's Clock, which tests can move"
    },
    { what: /\bas any\b|: any\b|<any>/, instead: "unknown, and a check" },
    { what: /\bconsole\./, instead: "Effect.log, or Console in a command" },
    { what: /\bMath\.random\(/, instead: "Effect's Random, or node:crypto for secrets" },
    { what: /Queue\.unbounded|PubSub\.unbounded/, instead: "a bound, and a decision what happens at it" },
    {
      what: /Effect\.(fork|forkChild|forkIn|forkScoped|forkDetach|runFork)\b/,
      instead: "a child of a supervisor: a fiber that nobody watches dies in silence",
      except: ["src/engine/Supervisor.ts"]
    },
    { what: /@ts-ignore|@ts-nocheck/, instead: "@ts-expect-error with a reason, in a type test only" },
    { what: /biome-ignore(?!.*: \S)/, instead: "say why after the colon" },
    { what: /\benum\b\s+\w+\s*\{/, instead: "a union of literals: Node strips types and cannot strip enums" }
  ]
  for (const { except, instead, what } of forbidden) {
    test(`${what.source}`, () => {
      const wrong = shipped.filter((path) => except?.includes(path) !== true).flatMap((path) => lines(path, what))
      expect(wrong, instead).toEqual([])
    })
  }

  test("no file is called utils, helpers, common or types", () => {
    expect(sources.filter((path) => /\/(utils?|helpers?|common|types|misc)\.tsx?$/i.test(path))).toEqual([])
  })

  test("modules are PascalCase, folders kebab-case", () => {
    const wrong = shipped.filter((path) => {
      const parts = path.split("/")
      const file = parts.pop()!
      return (
        !(/^[A-Z][A-Za-z0-9]*\.ts$/.test(file) || path === "src/main.ts") ||
        !parts.every((part) => /^[a-z][a-z0-9-]*$/.test(part))
      )
    })
    expect(wrong).toEqual([])
  })

  test("every module opens by saying what it is for", () => {
    expect(shipped.filter((path) => !/^(#!.*\n)?\/(\*\*|\/)/.test(read(path)))).toEqual([])
  })

  test("nothing committed names a path of somebody's machine or a registry host", () => {
    const wrong = tracked
      .filter((path) => !/\.(prom|png|gz|svg|woff2?)$/.test(path) && path !== "test/tidy.test.ts")
      .flatMap((path) =>
        read(path)
          .split("\n")
          .flatMap((line, index) =>
            /\/home\/[a-z]+\/|\/Users\/[a-z]+\/|\bregistry\.(npmjs|yarnpkg)\.|"resolved":/i.test(line)
              ? [`${path}:${index + 1}`]
              : []
          )
      )
    expect(wrong).toEqual([])
  })

  test("every dependency is pinned to an exact version", () => {
    const manifest = JSON.parse(read("package.json")) as Record<string, Record<string, string>>
    const wrong = Object.entries({ ...manifest.dependencies, ...manifest.devDependencies }).filter(
      ([, version]) => !/^\d+\.\d+\.\d+(-[\w.]+)?$/.test(version)
    )
    expect(wrong).toEqual([])
  })
})
