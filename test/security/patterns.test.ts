/**
 * No pattern of the shipped programs takes more than linear time, whatever text it is given: each regular expression in
 * `src` and `agent` is examined by `recheck`, which builds its automaton, so that nothing here is measured by a clock.
 */
import { checkSync } from "recheck"
import { describe, expect, test } from "vitest"
import config from "../../plugins.config.ts"
import { checkout, madeUp, type Node, type Repository } from "../tidy/Repository.ts"

interface Pattern {
  readonly path: string
  readonly source: string
  readonly flags: string
}

/** Every literal. */
const patternsOf = ({ shipped, tree }: Repository): ReadonlyArray<Pattern> => {
  const found: Array<Pattern> = []
  const visit = (path: string, node: unknown): void => {
    if (Array.isArray(node)) for (const one of node) visit(path, one)
    else if (typeof node === "object" && node !== null) {
      const { regex } = node as Partial<Record<"regex", { readonly pattern: string; readonly flags: string }>>
      if (regex?.pattern !== undefined) found.push({ path, source: regex.pattern, flags: regex.flags })
      for (const value of Object.values(node as Node)) visit(path, value)
    }
  }
  for (const path of shipped) visit(path, tree(path))
  // Without a repetition there is nothing that could take long.
  return found.filter(({ source }) => /[*+{]/.test(source))
}

/** Patterns that see only text of our own, or of this machine's administrator: each with what it is. */
const TRUSTED: Readonly<Record<string, string>> = {
  [String.raw`src/commands/SystemdUnit.ts "((?:\\.|[^"\\])*)"|'([^']*)'`]: "a unit file of this machine, word by word",
  [String.raw`src/http/server/Docs.ts <script(?:\s[^>]*)?>([\s\S]*?)<\/script>`]: "the page that effect makes",
  [String.raw`src/http/server/Docs.ts <style(?:\s[^>]*)?>([\s\S]*?)<\/style>`]: "the page that effect makes",
  [String.raw`src/sinks/storage/SqlScript.ts '(?:[^']|'')*'|"(?:[^"]|"")*"|--[^\n]*|\/\*[\s\S]*?\*\/|\$([A-Za-z_]*)\$[\s\S]*?\$\1\$|;`]:
    "our own migrations",
  [String.raw`src/sinks/storage/SqlScript.ts --[^\n]*|\/\*[\s\S]*?\*\/`]: "our own migrations"
}

const examine = (patterns: ReadonlyArray<Pattern>) =>
  patterns.flatMap(({ flags, path, source }) => {
    if (TRUSTED[`${path} ${source}`] !== undefined) return []
    const examined = checkSync(source, flags, { attackTimeout: 10_000, timeout: 20_000 })
    if (examined.status === "safe") return []
    return [
      `${path}: /${source}/${flags} is ${examined.status === "vulnerable" ? examined.complexity.summary : "unknown"}`
    ]
  })

describe("no pattern on text from outside is more than linear", () => {
  const patterns = patternsOf(checkout(config.exporters.map(({ name }) => name)))

  test("every regular expression of src and agent", () => {
    expect(patterns.length).toBeGreaterThan(50)
    expect(examine(patterns), "anchor it, bound the text's length first, or walk the characters").toEqual([])
  })

  test("a list of exceptions holds nothing that is gone", () => {
    const known = new Set(patterns.map(({ path, source }) => `${path} ${source}`))
    expect(Object.keys(TRUSTED).filter((name) => !known.has(name))).toEqual([])
  })

  test("no pattern is put together from text, but from lists of our own", () => {
    const { code, shipped } = checkout([])
    expect(shipped.filter((path) => code(path).includes("RegExp("))).toEqual([
      "agent/collector/names/Secrets.ts",
      "agent/hands/PrivilegeRules.ts",
      "agent/hands/Reverts.ts",
      "src/alerts/delivery/NotifyFile.ts",
      "src/commands/DoctorAgent.ts",
      "src/plugins/node-exporter/Devices.ts",
      "src/protocol/PrintableText.ts",
      "src/sinks/stream/valkey/ValkeyInfo.ts"
    ])
  })

  test("and blanks before an end would be found", () => {
    expect(examine(patternsOf(madeUp({ "src/a.ts": "export const a = /\\s+$/\n" })))).toHaveLength(1)
  })
})
