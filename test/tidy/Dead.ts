/**
 * Finds what nobody uses: exports that no other module imports, modules that nobody imports or runs.
 *
 * An export counts as used where another module, a test too, imports it by name or through its namespace. Types and typed
 * errors are part of what a module says of itself, so they are dead only where nothing mentions them, not even their own
 * module.
 */
import { dirname, join, normalize } from "node:path"
import type { Node, Repository } from "./Repository.ts"

/** Modules whose exports are their purpose: `file` or `file#name`. */
const EXCEPT: ReadonlyArray<string> = [
  // A type test: each export is one declaration that has to compile, or not.
  "test/contract.types.ts",
  "src/sinks/rollups/RollupTables.ts#DAILY",
  "src/sinks/storage/Migrations.ts#nothingDeclared"
]

export const deadExports = (repository: Repository): ReadonlyArray<string> => {
  const used = usesOf(repository)
  const dead = repository.sources
    .filter((path) => !isEntry(path))
    .flatMap((path) =>
      exportsOf(repository.tree(path))
        .filter(({ name }) => !used.has(`${path}#${name}`) && !used.has(`${path}#*`))
        .filter(({ isSurface, name }) => !isSurface || mentions(repository.code(path), name) < 2)
        .map(({ name }) => `${path}#${name}`)
    )
  const isExcepted = (one: string) => EXCEPT.some((except) => one === except || one.startsWith(`${except}#`))
  const known = EXCEPT.filter((except) => repository.paths.includes(except.replace(/#.*/, "")))
  const needless = known.filter((except) => !dead.some((one) => one === except || one.startsWith(`${except}#`)))
  return [
    ...dead.filter((one) => !isExcepted(one)).map((one) => `${one} is exported and imported by nobody`),
    ...needless.map((except) => `${except} needs no exception any more: take it off the list in test/tidy/Dead.ts`)
  ]
}

/** Modules that a person or a tool runs. */
const isEntry = (path: string): boolean =>
  /\.(test|roles)\.tsx?$|\.config\.ts$|^plugins\.config\.ts$|^(src|web\/src)\/main\.tsx?$|^bench\/[a-z-]+\.ts$/.test(
    path
  )

export const deadFiles = ({ imports, paths, read, sources }: Repository): ReadonlyArray<string> => {
  const imported = new Set(sources.flatMap(imports).map(({ to }) => to))
  const texts = paths
    .filter(
      (path) => /\.(tsx?|json|ya?ml|sh|html)$|^\.ci\/|^Dockerfile$|^bin\//.test(path) && !path.includes("/fixtures/")
    )
    .map((path) => ({ path, text: read(path) }))
  return sources.filter((path) => {
    if (isEntry(path) || imported.has(path)) return false
    const file = path.slice(path.lastIndexOf("/") + 1)
    // Run by a script, started by a test, or imported when it is needed: by its name in a text.
    return !texts.some((other) => other.path !== path && other.text.includes(file))
  })
}

interface Export {
  readonly name: string
  /** A type, or a class that is one too. */
  readonly isSurface: boolean
}

const exportsOf = (tree: Node): ReadonlyArray<Export> =>
  (tree.body as ReadonlyArray<Node>).flatMap((node): ReadonlyArray<Export> => {
    if (node.type !== "ExportNamedDeclaration") return []
    const declaration = node.declaration as Node | null
    if (declaration === null) {
      return (node.specifiers as ReadonlyArray<Node>).map((one) => ({
        name: nameOf(one.exported),
        isSurface: node.exportKind === "type" || /^[A-Z]/.test(nameOf(one.exported))
      }))
    }
    if (declaration.type === "VariableDeclaration") {
      const declared = declaration.declarations as ReadonlyArray<Node>
      // A schema is named like the type that is made of it.
      return declared.map(({ id }) => ({ name: nameOf(id), isSurface: /^[A-Z][a-z]/.test(nameOf(id)) }))
    }
    return [{ name: nameOf(declaration.id), isSurface: /^(TS|Class)/.test(declaration.type) }]
  })

const nameOf = (node: unknown): string => String((node as { readonly name?: string } | null)?.name)

/** `file#name` of everything that some module imports; `file#*` where it takes all of it. */
const usesOf = ({ code, sources, tree }: Repository): ReadonlySet<string> => {
  const used = new Set<string>()
  for (const path of sources) {
    const pathOf = (node: Node) => normalize(join(dirname(path), String((node.source as Node).value)))
    for (const node of tree(path).body as ReadonlyArray<Node>) {
      if (node.type === "ExportAllDeclaration") used.add(`${pathOf(node)}#*`)
      if (node.type === "ExportNamedDeclaration" && node.source != null) {
        for (const one of node.specifiers as ReadonlyArray<Node>) used.add(`${pathOf(node)}#${nameOf(one.local)}`)
      }
      if (node.type !== "ImportDeclaration") continue
      for (const one of node.specifiers as ReadonlyArray<Node>) {
        if (one.type === "ImportSpecifier") used.add(`${pathOf(node)}#${nameOf(one.imported)}`)
        if (one.type !== "ImportNamespaceSpecifier") continue
        const members = code(path).matchAll(new RegExp(`\\b${nameOf(one.local)}\\.([A-Za-z_$][\\w$]*)`, "g"))
        for (const [, name] of members) used.add(`${pathOf(node)}#${name}`)
      }
    }
    for (const [, to] of code(path).matchAll(/\bimport\(\s*"(\.[^"]+)"/g)) {
      used.add(`${normalize(join(dirname(path), to!))}#*`)
    }
  }
  return used
}

const mentions = (code: string, name: string): number => [...code.matchAll(new RegExp(`\\b${name}\\b`, "g"))].length
