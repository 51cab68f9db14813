/**
 * Finds functions that do not fit a screen.
 *
 * What counts are a function's own lines: a closure that holds named functions, as a service does, is as long as what is
 * left without them.
 */
import type { Node, Repository } from "./Repository.ts"

const LINES_MAX = 70

/**
 * Longer ones that are there, with the lines that they may have. An entry may shrink and go, never grow.
 *
 * Components of the page are mostly markup; what is in src/query is being rewritten by core.
 */
const EXCEPT: Readonly<Record<string, number>> = {
  // One literal of a host's row.
  "scripts/demo-fleet.ts at": 84,
  "src/plugins/Conformance.ts conformance": 110,
  "src/query/IncreaseSql.ts measuredCtes": 117,
  "src/query/TopSql.ts topSql": 71,
  "web/src/server/Explorer.tsx Workbench": 100,
  "web/src/fleet/Fleet.tsx Servers": 125,
  "web/src/server/GroupPanel.tsx GroupPanel": 140,
  "web/src/server/RankedTable.tsx RankedTable": 200
}

export const longFunctions = ({ paths, read, shipped, sources, tree }: Repository): ReadonlyArray<string> => {
  const measured = [...shipped, ...sources.filter((path) => /^(web|scripts)\//.test(path))]
    .concat(sources.filter((path) => path === "src/plugins/Conformance.ts"))
    .flatMap((path) => functionsOf(tree(path), read(path)).map((one) => ({ ...one, key: `${path} ${one.name}` })))
  const wrong = measured
    .filter(({ key, own }) => own > (EXCEPT[key] ?? LINES_MAX))
    .map(
      ({ key, line, own }) => `${key} (line ${line}) has ${own} lines of its own, more than ${EXCEPT[key] ?? LINES_MAX}`
    )
  const needless = Object.keys(EXCEPT)
    .filter((key) => paths.includes(key.replace(/ .*/, "")))
    .filter((key) => !measured.some((one) => one.key === key && one.own > LINES_MAX))
    .map((key) => `${key} needs no exception any more: take it off the list in test/tidy/LongFunctions.ts`)
  return [...wrong, ...needless]
}

interface Measured {
  readonly name: string
  readonly line: number
  readonly own: number
}

interface Open {
  readonly name: string
  readonly line: number
  readonly total: number
  /** Lines of the named functions in it. */
  inner: number
}

const functionsOf = (tree: Node, text: string): ReadonlyArray<Measured> => {
  const found: Array<Open> = []
  const linesUpTo = lineCounter(text)
  const visit = (value: unknown, name: string | undefined, outer: Open | undefined): void => {
    if (typeof value !== "object" || value === null) return
    if (Array.isArray(value)) {
      for (const one of value) visit(one, undefined, outer)
      return
    }
    const node = value as Node
    let owner = outer
    if (/^(FunctionDeclaration|FunctionExpression|ArrowFunctionExpression)$/.test(node.type)) {
      const called = identifier(node.id) ?? name
      if (called !== undefined) {
        const line = linesUpTo(node.start)
        owner = { name: called, line, total: linesUpTo(node.end) - line + 1, inner: 0 }
        if (outer !== undefined) outer.inner += owner.total
        found.push(owner)
      }
    }
    for (const [key, child] of Object.entries(node)) {
      // `const read = Effect.fn("read")(function* () { … })`: the argument has the name.
      const args = node.type === "CallExpression" && key === "arguments" && Array.isArray(child)
      if (args) for (const one of child) visit(one, name, owner)
      else visit(child, givenName(node, key), owner)
    }
  }
  visit(tree, undefined, undefined)
  return found.map(({ inner, line, name, total }) => ({ name, line, own: total - inner }))
}

/** The name that a node gives to its child. */
const givenName = (node: Node, key: string): string | undefined => {
  if (node.type === "VariableDeclarator" && key === "init") return identifier(node.id)
  const isMember = /^(Property|PropertyDefinition|MethodDefinition)$/.test(node.type)
  return isMember && key === "value" ? identifier(node.key) : undefined
}

const identifier = (node: unknown): string | undefined => {
  const { name } = (node ?? {}) as { readonly name?: unknown }
  return typeof name === "string" ? name : undefined
}

/** Line numbers, from 1, by offset. */
const lineCounter = (text: string): ((offset: number) => number) => {
  const starts = [0]
  for (let at = text.indexOf("\n"); at !== -1; at = text.indexOf("\n", at + 1)) starts.push(at + 1)
  return (offset) => {
    let [low, high] = [0, starts.length]
    while (low < high - 1) {
      const middle = (low + high) >> 1
      if (starts[middle]! <= offset) low = middle
      else high = middle
    }
    return low + 1
  }
}
