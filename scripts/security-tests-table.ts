/**
 * Writes docs/security-tests.md, what was tried against NodePulse and what happened: the names of the tests in `test/security`,
 * each of which says both. Part of `npm run generate`; with `--check` it writes nothing, says whether the file differs, and
 * exits with 1 where it does.
 */
import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { parseAst } from "rolldown/parseAst"

const root = join(import.meta.dirname, "..")
const folder = join(root, "test", "security")
const path = join(root, "docs", "security-tests.md")

interface Node {
  readonly type: string
  readonly [key: string]: unknown
}

interface Tried {
  readonly about: string
  readonly name: string
}

/** The tests of a source, with what each is about: the names of the blocks that it is in. */
const triedIn = (source: string): ReadonlyArray<Tried> => {
  const found: Array<Tried> = []
  const visit = (node: unknown, about: string): void => {
    if (Array.isArray(node)) {
      for (const one of node) visit(one, about)
      return
    }
    if (typeof node !== "object" || node === null) return
    const call = node as Node
    if (call.type === "CallExpression") {
      const kind = calleeOf(call.callee as Node)
      const title = titleOf((call.arguments as ReadonlyArray<Node>)[0])
      if (title !== undefined && (kind === "it" || kind === "test")) found.push({ about, name: title })
      if (title !== undefined && kind === "describe") {
        for (const value of (call.arguments as ReadonlyArray<Node>).slice(1)) visit(value, title)
        return
      }
    }
    for (const value of Object.values(call)) visit(value, about)
  }
  visit(parseAst(source, { lang: "ts" }), "")
  return found
}

/** `it` of `it`, `it.live`, `it.each([…])`, `it.effect.prop`. */
const calleeOf = (callee: Node): string => {
  if (callee.type === "Identifier") return String(callee.name)
  if (callee.type === "MemberExpression") return calleeOf(callee.object as Node)
  if (callee.type === "CallExpression") return calleeOf(callee.callee as Node)
  return ""
}

const titleOf = (node: Node | undefined): string | undefined => {
  if (node?.type === "Literal" && typeof node.value === "string") return node.value
  if (node?.type !== "TemplateLiteral") return undefined
  const quasis = node.quasis as ReadonlyArray<{ readonly value: { readonly cooked: string } }>
  return quasis.map(({ value }) => value.cooked).join("…")
}

/** What a file is for: the sentences of its first comment, on one line. */
const introduction = (source: string): string =>
  (/^\/\*\*([\s\S]*?)\*\//.exec(source)?.[1] ?? "").replace(/\s*\n \* ?/g, " ").trim()

const files = () =>
  readdirSync(folder)
    .filter((name) => name.endsWith(".test.ts"))
    .sort()

/** The whole document. */
const securityDocument = (): string =>
  [
    "# What was tried, and what happened",
    "",
    "Attacks on NodePulse as tests from outside (`npx vitest run test/security`), each named by what is tried and what happens. Made by",
    "`npm run generate` from `test/security`. What is defended and what is not: [SECURITY.md](../SECURITY.md).",
    ...files().flatMap((name) => {
      const source = readFileSync(join(folder, name), "utf8")
      return [
        "",
        `## ${name.replace(/\.test\.ts$/, "").replaceAll("-", " ")}`,
        "",
        introduction(source),
        "",
        "| | what is tried, and what happens |",
        "|---|---|",
        ...triedIn(source).map(({ about, name }) => `| ${cell(about)} | ${cell(name)} |`)
      ]
    }),
    ""
  ].join("\n")

const cell = (text: string): string => text.replaceAll("|", "\\|").replaceAll("\n", " ").replaceAll("<", "\\<")

if (import.meta.main) {
  const text = securityDocument()
  if (!existsSync(path) || readFileSync(path, "utf8") !== text) {
    if (process.argv.includes("--check")) {
      process.stdout.write("docs/security-tests.md differs: npm run generate\n")
      process.exitCode = 1
    } else {
      writeFileSync(path, text)
      process.stdout.write("docs/security-tests.md\n")
    }
  }
}
