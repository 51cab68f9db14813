/**
 * The files that a rule of the house reads: the checkout, or a few made-up files that a rule has to find something in.
 *
 * Bound: each file is read and parsed once.
 */
import { execFileSync } from "node:child_process"
import { readFileSync } from "node:fs"
import { dirname, join, normalize } from "node:path"
import { parseAst } from "rolldown/parseAst"

export interface Import {
  readonly from: string
  /** A path of the repository, or a package. */
  readonly to: string
  readonly typeOnly: boolean
}

export interface Repository {
  /** Of every file that is committed or about to be. */
  readonly paths: ReadonlyArray<string>
  /** Programs, tests too. */
  readonly sources: ReadonlyArray<string>
  /** Programs that people run: no tests. */
  readonly shipped: ReadonlyArray<string>
  /** Wire names of the enabled exporters. */
  readonly exporters: ReadonlyArray<string>
  readonly read: (path: string) => string
  /** A source without its comments, so that a rule may be talked about. Good enough for code that is formatted. */
  readonly code: (path: string) => string
  readonly tree: (path: string) => Node
  readonly imports: (path: string) => ReadonlyArray<Import>
}

/** A node of the syntax tree, as ESTree names them. */
export interface Node {
  readonly type: string
  readonly start: number
  readonly end: number
  readonly [key: string]: unknown
}

const isTest = (path: string): boolean =>
  /(\.test\.tsx?|\.roles\.ts|\.fixture\.ts|Suite\.ts|\/(Conformance|Golden|Test[A-Z][A-Za-z]*)\.ts)$/.test(path) ||
  path.startsWith("test/")

const SOURCE = /^(src|agent|web|bench|scripts|test)\/.*\.tsx?$/

const repositoryOf = (
  paths: ReadonlyArray<string>,
  readFile: (path: string) => string,
  exporters: ReadonlyArray<string>
): Repository => {
  const sources = paths.filter((path) => SOURCE.test(path) || path === "plugins.config.ts")
  const read = remembered(readFile)
  const code = remembered((path) =>
    read(path)
      .replace(/\/\*[\s\S]*?\*\//g, (comment) => comment.replace(/[^\n]/g, " "))
      .replace(/(^|\s)\/\/.*$/gm, "$1")
  )
  return {
    paths,
    sources,
    shipped: sources.filter((path) => /^(src|agent)\//.test(path) && !isTest(path)),
    exporters,
    read,
    code,
    tree: remembered((path) => parseAst(read(path), { lang: path.endsWith("x") ? "tsx" : "ts" }) as unknown as Node),
    imports: remembered((path) =>
      [...code(path).matchAll(/(?:import|export)\s+(type\s+)?(?:[^"';]*?\sfrom\s+)?"([^"]+)"/g)].map((match) => ({
        from: path,
        to: match[2]!.startsWith(".") ? normalize(join(dirname(path), match[2]!)) : match[2]!,
        typeOnly: match[1] !== undefined
      }))
    )
  }
}

/** The checkout itself. */
export const checkout = (exporters: ReadonlyArray<string>): Repository => {
  const root = join(import.meta.dirname, "..", "..")
  const listed = execFileSync("git", ["ls-files", "--cached", "--others", "--exclude-standard"], {
    cwd: root,
    encoding: "utf8"
  })
  const read = (path: string): string => {
    try {
      return readFileSync(join(root, path), "utf8")
    } catch {
      return ""
    }
  }
  // What is deleted and not committed yet is listed, too.
  return repositoryOf(
    listed.split("\n").filter((path) => path !== "" && (!SOURCE.test(path) || read(path) !== "")),
    read,
    exporters
  )
}

/** A repository of made-up files. */
export const madeUp = (files: Readonly<Record<string, string>>): Repository =>
  repositoryOf(Object.keys(files), (path) => files[path] ?? "", ["disk_exporter"])

const remembered = <A>(make: (path: string) => A): ((path: string) => A) => {
  const known = new Map<string, A>()
  return (path) => {
    if (!known.has(path)) known.set(path, make(path))
    return known.get(path)!
  }
}
