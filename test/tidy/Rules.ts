/**
 * The rules of the house that a compiler does not know. Each names what to do instead, and carries a small bad example that
 * it has to find: a rule that finds nothing any more is worse than none.
 *
 * Exceptions stand beside their rule. One that is not needed any more is an error, so the lists can only shrink.
 */

import { deadExports, deadFiles } from "./Dead.ts"
import { longFunctions } from "./LongFunctions.ts"
import type { Repository } from "./Repository.ts"
import { staleReferences } from "./StaleReferences.ts"

export interface Rule {
  /** Reads alone in a list of failures. */
  readonly promise: string
  readonly instead: string
  /** What is wrong, a line each; nothing where all is well. */
  readonly find: (repository: Repository) => ReadonlyArray<string>
  /** Files in which it finds something. */
  readonly bad: Readonly<Record<string, string>>
}

const folder = (name: string, may: RegExp, instead: string, bad: string): Rule => ({
  promise: `${name} imports nothing it may not know`,
  instead,
  find: ({ imports, shipped, sources }) =>
    [...shipped, ...sources.filter((path) => path.startsWith("web/"))]
      .filter((path) => path.startsWith(name))
      .flatMap(imports)
      // A path that is no file of ours is text of a template.
      .filter(({ to }) => (/^(src|agent|web|bench|test)\//.test(to) ? sources.includes(to) : true))
      .filter(({ to }) => !may.test(to))
      .map(({ from, to }) => `${from} imports ${to}`),
  bad: {
    [`${name}Bad.ts`]: `import { x } from "${"../".repeat(name.split("/").length - 1)}${bad}"\n`,
    [bad]: "export const x = 1\n"
  }
})

const ARROWS: ReadonlyArray<Rule> = [
  folder(
    "src/engine/",
    /^(effect(\/.*)?$|src\/engine\/)/,
    "the engine imports `effect` and itself: hand it what it needs as a value",
    "src/plugins/Wire.ts"
  ),
  folder(
    "src/plugins/",
    /^(effect(\/.*)?$|node:(buffer|crypto|fs|path|url)$|src\/plugins\/|@effect\/vitest$|vitest$)/,
    "plugins and their contract know neither engine, sinks nor HTTP",
    "src/sinks/Digest.ts"
  ),
  folder(
    "src/sinks/",
    /^(?!src\/(access|http|commands)\/|agent\/|web\/)/,
    "sinks are below HTTP and the agent",
    "src/http/Api.ts"
  ),
  folder(
    "src/http/",
    /^(?!src\/(engine|commands)\/|agent\/)/,
    "HTTP talks to ports in src/sinks; what it shows of the engine comes through PipelineView",
    "agent/Agent.ts"
  ),
  folder(
    "agent/",
    /^(?!src\/(sinks|commands)\/|src\/http\/(?!api\/Api\.ts)|src\/query\/|src\/access\/)/,
    "the agent may import the plugin contract and the API definition, never sinks",
    "src/sinks/Digest.ts"
  ),
  folder(
    "web/",
    /^(?!src\/(engine|sinks|commands)\/|agent\/)/,
    "the page knows the API and the catalog",
    "agent/Agent.ts"
  ),
  {
    promise: "no module imports itself in a circle",
    instead: "move what both need into a module of its own",
    find: ({ imports, sources }) => {
      const known = new Set(sources)
      const circles: Array<string> = []
      const state = new Map<string, "open" | "done">()
      const visit = (path: string, trail: ReadonlyArray<string>): void => {
        if (state.get(path) === "done") return
        if (state.get(path) === "open") {
          circles.push([...trail.slice(trail.indexOf(path)), path].join(" -> "))
          return
        }
        state.set(path, "open")
        for (const { to, typeOnly } of imports(path)) if (!typeOnly && known.has(to)) visit(to, [...trail, path])
        state.set(path, "done")
      }
      for (const path of sources) visit(path, [])
      return circles
    },
    bad: {
      "src/A.ts": 'import { b } from "./B.ts"\nexport const a = b\n',
      "src/B.ts": 'import { a } from "./A.ts"\nexport const b = a\n'
    }
  }
]

/** Lines of a source whose code, without comments, matches. */
const lines = ({ code }: Repository, path: string, pattern: RegExp): ReadonlyArray<string> =>
  code(path)
    .split("\n")
    .flatMap((line, index) => (pattern.test(line) ? [`${path}:${index + 1}: ${line.trim()}`] : []))

const EXPORTERS: ReadonlyArray<Rule> = [
  {
    promise: "an enabled exporter is named only where it belongs",
    instead: "derive it from the registry, or mend the contract",
    find: (repository) =>
      repository.exporters.flatMap((name) => {
        const kebab = name.replaceAll("_", "-")
        const camel = name.replace(/_./g, (part) => part[1]!.toUpperCase())
        // A plain word is the exporter's name where it is a text of its own, or a path.
        const isWord = !name.includes("_")
        const pattern = isWord
          ? new RegExp(`["'\`]${name}["'\`]|plugins/${name}/`)
          : new RegExp(`${name}|${kebab}|${camel}`, "i")
        const home = new RegExp(`^(src/plugins/${kebab}/|plugins\\.config\\.ts$|bench/|scripts/|test/)`)
        return [...repository.shipped, ...repository.sources.filter((path) => path.startsWith("web/"))]
          .filter((path) => !home.test(path))
          .flatMap((path) => lines(repository, path, pattern))
      }),
    bad: { "web/src/Panel.tsx": 'export const title = "diskExporter"\n' }
  },
  {
    promise: "the core names no exporter in its code, not even one that nobody has enabled: an example may become real",
    instead: "say what a name looks like instead of giving one",
    find: (repository) =>
      repository.shipped
        .filter((path) => !/^src\/plugins\/[a-z0-9-]+-exporter\//.test(path))
        .flatMap((path) => lines(repository, path, /(?<![\w-])[a-z][a-z0-9]*_exporter\b/)),
    bad: { "src/Help.ts": 'export const help = "such as redis_exporter"\n' }
  }
]

const forbidden = (
  promise: string,
  what: RegExp,
  instead: string,
  bad: string,
  except: ReadonlyArray<string> = []
): Rule => ({
  promise,
  instead,
  find: (repository) => [
    ...repository.shipped.filter((path) => !except.includes(path)).flatMap((path) => lines(repository, path, what)),
    ...needless(
      except.filter((path) => repository.paths.includes(path)),
      (path) => lines(repository, path, what).length > 0
    )
  ],
  bad: { "src/Bad.ts": `${bad}\n` }
})

/** What is excepted and need not be. */
const needless = (except: ReadonlyArray<string>, isNeeded: (path: string) => boolean): ReadonlyArray<string> =>
  except.filter((path) => !isNeeded(path)).map((path) => `${path} needs no exception any more: take it off the list`)

const FORBIDDEN: ReadonlyArray<Rule> = [
  forbidden(
    "no code asks the machine for the time",
    /\bDate\.now\(|\bnew Date\(\)|\bperformance\.now\(/,
    "time comes from Effect's Clock, which tests can move",
    "const now = Date.now()"
  ),
  forbidden("nothing is any", /\bas any\b|: any\b|<any>/, "unknown, and a check", "const x = y as any"),
  forbidden(
    "nothing reaches a terminal but through Terminal.ts, which makes it printable",
    /\bConsole\.(log|error|info|warn)\b|\bconsolePretty\b/,
    "say or sayAside of src/commands/Terminal.ts",
    'yield* Console.log("x")',
    ["src/commands/Terminal.ts"]
  ),
  forbidden("nothing is printed by console", /\bconsole\./, "Effect.log, or Console in a command", 'console.log("x")'),
  forbidden(
    "no code throws Math's dice",
    /\bMath\.random\(/,
    "Effect's Random, or node:crypto for secrets",
    "const x = Math.random()"
  ),
  forbidden(
    "no queue is unbounded",
    /Queue\.unbounded|PubSub\.unbounded/,
    "a bound, and a decision what happens at it",
    "const q = Queue.unbounded()"
  ),
  forbidden(
    "no work runs at once without a bound",
    /concurrency:.*"unbounded"/,
    "the number that may run at once, next to why it is enough",
    'const all = Effect.all(asks, { concurrency: "unbounded" })'
  ),
  forbidden(
    "no fiber is forked outside the supervisor",
    /Effect\.(fork|forkChild|forkIn|forkScoped|forkDetach|runFork)\b/,
    "a child of a supervisor: a fiber that nobody watches dies in silence",
    "yield* Effect.forkScoped(run)",
    ["src/engine/Supervisor.ts"]
  ),
  forbidden(
    "no compiler error is hushed",
    /@ts-ignore|@ts-nocheck/,
    "@ts-expect-error with a reason, in a type test only",
    'const x: string = "@ts-ignore"'
  ),
  forbidden(
    "no warning of the linter is hushed without a reason",
    /biome-ignore(?!.*: \S)/,
    "say why after the colon",
    'const x = "biome-ignore lint/a:"'
  ),
  forbidden(
    "there is no enum",
    /\benum\b\s+\w+\s*\{/,
    "a union of literals: Node strips types and cannot strip enums",
    "enum A { B }"
  )
]

const NAMES: ReadonlyArray<Rule> = [
  {
    promise: "no file is called utils, helpers, common or types",
    instead: "call it by its noun",
    find: ({ sources }) => sources.filter((path) => /\/(utils?|helpers?|common|types|misc)\.tsx?$/i.test(path)),
    bad: { "src/utils.ts": "// x\n" }
  },
  {
    promise: "modules are PascalCase, folders kebab-case",
    instead: "rename it",
    find: ({ shipped }) =>
      shipped.filter((path) => {
        const parts = path.split("/")
        const file = parts.pop()!
        return (
          !(/^[A-Z][A-Za-z0-9]*\.ts$/.test(file) || path === "src/main.ts") ||
          !parts.every((part) => /^[a-z][a-z0-9-]*$/.test(part))
        )
      }),
    bad: { "src/myFolder/thing.ts": "// x\n" }
  },
  {
    promise: "every module opens by saying what it is for",
    instead: "a header: what it is for, what it guarantees, its bound",
    find: ({ read, shipped }) => shipped.filter((path) => !/^(#!.*\n)?\/(\*\*|\/)/.test(read(path))),
    bad: { "src/Silent.ts": "export const x = 1\n" }
  }
]

const LIVING: ReadonlyArray<Rule> = [
  {
    promise: "every export is imported by another module",
    instead: "delete it, or drop its `export` where its own module uses it",
    find: deadExports,
    bad: {
      "src/A.ts": "export const used = 1\nexport const dead = 2\nexport interface Lost {}\n",
      "src/main.ts": 'import { used } from "./A.ts"\nexport const main = () => used\n'
    }
  },
  {
    promise: "every module is imported, run by a script, or a test",
    instead: "delete it",
    find: deadFiles,
    bad: { "src/Forgotten.ts": "// Nobody knows it.\n", "package.json": '{ "scripts": {} }' }
  },
  {
    promise: "every function fits a screen",
    instead: "it usually holds two: give the second one a name",
    find: longFunctions,
    bad: { "src/Long.ts": `export const long = () => {\n${"  step()\n".repeat(80)}}\n` }
  },
  {
    promise: "every file, folder and npm script that a comment or a document names is there",
    instead: "name what is there now",
    find: staleReferences,
    bad: {
      "package.json": '{ "scripts": { "check": "" } }',
      "src/A.ts": "/** As TRUTH.md says (src/nowhere/Gone.ts). */\n",
      "docs/adr/0001.md": "See `test/gone.test.ts` and `npm run forgotten`.\n"
    }
  }
]

const SHARED: ReadonlyArray<Rule> = [
  {
    promise: "nothing committed names a path of somebody's machine or a registry host",
    instead: "a relative path; the lock file without addresses",
    find: ({ paths, read }) =>
      paths
        .filter((path) => !/\.(prom|png|gz|svg|woff2?)$/.test(path) && !path.startsWith("test/tidy/"))
        .flatMap((path) =>
          read(path)
            .split("\n")
            .flatMap((line, index) =>
              /\/home\/[a-z]+\/|\/Users\/[a-z]+\/|\bregistry\.(npmjs|yarnpkg)\.|"resolved":/i.test(line)
                ? [`${path}:${index + 1}`]
                : []
            )
        ),
    bad: { "docs/a.md": "cd /home/jane/nodepulse\n" }
  },
  {
    promise: "every dependency is pinned to an exact version",
    instead: "an exact version",
    find: ({ paths, read }) => {
      if (!paths.includes("package.json")) return []
      const manifest = JSON.parse(read("package.json")) as Record<string, Record<string, string>>
      return Object.entries({ ...manifest.dependencies, ...manifest.devDependencies })
        .filter(([, version]) => !/^\d+\.\d+\.\d+(-[\w.]+)?$/.test(version))
        .map(([name, version]) => `${name}: ${version}`)
    },
    bad: { "package.json": '{ "dependencies": { "effect": "^4.1.0" } }' }
  }
]

const ofTests = (promise: string, what: RegExp, instead: string, bad: string): Rule => ({
  promise,
  instead,
  find: (repository) =>
    repository.sources.filter((path) => /\.test\.ts$/.test(path)).flatMap((path) => lines(repository, path, what)),
  bad: { "test/bad.test.ts": `${bad}\n` }
})

const TESTS: ReadonlyArray<Rule> = [
  // That something is not there may be asked once, after what is there was waited for.
  ofTests(
    "what a page shows is waited for, not read once",
    /\bexpect\(await .*\.(count|textContent|innerText|allTextContents|allInnerTexts|isChecked|isDisabled|isEnabled|inputValue|getAttribute)\(.*\)\)\.(?!not\b|toBe\(0\))/,
    "await expect.poll(() => …): the browser may not have drawn it yet",
    "expect(await page.locator(x).count()).toBe(1)"
  ),
  ofTests(
    "no test polls for less than ten seconds",
    /\.poll\(.*\btimeout: (\d{1,4}|\d_\d{3})\b/,
    "the bound of vitest.config.ts, which is for slow machines",
    "await expect.poll(read, { timeout: 1_000 }).toBe(1)"
  ),
  ofTests(
    "ports of tests come from one place",
    /\bconst (free|closed|unused)Port\b/,
    "freePort or claimPort of test/Ports.ts: others are taken by somebody else before they are used",
    "const freePort = 1"
  )
]

/** All rules, by what they are about. */
export const RULES: Readonly<Record<string, ReadonlyArray<Rule>>> = {
  "arrows point towards the contract": ARROWS,
  "a new exporter needs no change in the core": EXPORTERS,
  "what the house forbids, and what to use instead": FORBIDDEN,
  "a file is found by its name": NAMES,
  "what is there is used, read and true": LIVING,
  "what is committed works elsewhere": SHARED,
  "a test does not depend on speed": TESTS
}
