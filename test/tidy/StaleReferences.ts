/**
 * Finds files, folders and npm scripts that comments and documents name and that are not there (any more).
 *
 * It reads the comments of programs, units, playbooks and scripts, and all of every document: specifications and decisions
 * too. A file may be named from the root, from where the text is, or by the end of its path.
 */
import { dirname, join, normalize } from "node:path"
import type { Repository } from "./Repository.ts"

/** What is made by whoever follows a text, or by a build, or belongs to another program. */
const MADE_LATER: ReadonlyArray<RegExp> = [
  /^(\.\/)?dist\//,
  /^web\/dist\b/,
  // docs/deployment.md
  /^inventory\/mine\.yml$/,
  // docs/notify.md
  /^notify\.yml$/,
  // docs/grouping.md
  /^workers\.yml$/,
  // process-exporter's and Prometheus' own.
  /^(config|prometheus)\.yml$/,
  // The example of docs/add-an-exporter.md.
  /(^|\/)(redis-exporter|RedisExporter\.ts)/
]

const FILE =
  /(?<![\w/.:~{}$*<>-])(?!\.\.?\/\.)([\w@.-]+(?:\/[\w@.-]+)*\.(?:tsx?|mjs|md|sql|ya?ml|json|sh|css|j2|html|service))(?![\w/-])/g
const FOLDER = /(?<![\w/.-])((?:src|agent|web|test|scripts|bench|docs|ansible|migrations|packaging)\/[\w./-]*\w)/g
const SCRIPT = /npm run (?:-s |--silent )?([\w:-]+)/g

export const staleReferences = ({ paths, read }: Repository): ReadonlyArray<string> => {
  const known = new Set(paths)
  const endings = new Set(paths.flatMap((path) => path.split("/").map((_, at, parts) => parts.slice(at).join("/"))))
  const folders = new Set(paths.flatMap((path) => path.split("/").map((_, at, parts) => parts.slice(0, at).join("/"))))
  const scripts = known.has("package.json")
    ? (JSON.parse(read("package.json")) as { readonly scripts: Readonly<Record<string, string>> }).scripts
    : {}
  const isThere = (from: string, target: string) =>
    endings.has(target) ||
    known.has(normalize(join(dirname(from), target))) ||
    MADE_LATER.some((made) => made.test(target))
  const isFolder = (target: string) =>
    /\.\w+$/.test(target) ||
    folders.has(target) ||
    paths.some((path) => path.startsWith(target)) ||
    MADE_LATER.some((made) => made.test(target))
  return paths.flatMap((path) => {
    const text = proseOf(path, read)
    const named = (pattern: RegExp) => [...text.matchAll(pattern)].map((match) => match[1]!)
    return [
      ...named(FILE).filter((target) => !isThere(path, target)),
      ...named(FOLDER).filter((target) => !isFolder(target)),
      ...named(SCRIPT)
        .filter((script) => !(script in scripts))
        .map((script) => `npm run ${script}`)
    ].map((target) => `${path} names ${target}`)
  })
}

/** What is written for people in a file. */
const proseOf = (path: string, read: (path: string) => string): string => {
  if (path.includes("/fixtures/") || path.startsWith("test/tidy/")) return ""
  if (path.endsWith(".md")) return read(path)
  if (/\.tsx?$/.test(path)) {
    return [...read(path).matchAll(/\/\*[\s\S]*?\*\/|(?:^|\s)\/\/.*$/gm)].map(([comment]) => comment).join("\n")
  }
  if (!/\.(ya?ml|sh|css|service|j2)$|^Dockerfile$|^\.ci\//.test(path)) return ""
  return read(path)
    .split("\n")
    .filter((line) => /^\s*(#|\/\*| \*)/.test(line))
    .join("\n")
}
