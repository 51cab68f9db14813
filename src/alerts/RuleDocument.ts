/**
 * Rules as documents: what a file of rules holds of each, as it was written. Pure.
 *
 * Guarantee: a document is read by the same decoder as a file (`RuleFile.ts`), so nothing is valid as one and not as the other.
 */
import { Result } from "effect"
import { parse, stringify } from "yaml"
import type { Exporter } from "../plugins/Exporter.ts"
import type { Rule } from "./Rule.ts"
import { type RuleEntry, readEntries } from "./RuleFile.ts"

/** A rule as YAML or JSON has it: names of keys and what they hold. */
export type RuleDocument = Readonly<Record<string, unknown>>

/** What a document says of a name: a rule, or only that the one of a layer below is switched off. */
export interface DocumentedEntry extends RuleEntry {
  readonly document: RuleDocument
  /** A rule that is switched off says `enabled: false`. */
  readonly enabled: boolean
}

export interface DocumentedRule extends DocumentedEntry {
  readonly rule: Rule
}

/** Reads the text of a file. A failure is the list of problems, one sentence each. */
export const readDocuments = (
  text: string,
  exporters: ReadonlyArray<Exporter>
): Result.Result<ReadonlyArray<DocumentedEntry>, ReadonlyArray<string>> =>
  Result.map(readEntries(text, exporters), (entries) => {
    const documents = documentsIn(text)
    return entries.map((entry, n) => documented(entry, documents[n]!))
  })

/** The documents of a text that was read by {@link readDocuments}, or that we wrote. */
export const documentsIn = (text: string): ReadonlyArray<RuleDocument> =>
  (parse(text) as { readonly rules: ReadonlyArray<RuleDocument> }).rules

/** Reads one document. Problems name its keys. */
export const readDocument = (
  document: RuleDocument,
  exporters: ReadonlyArray<Exporter>
): Result.Result<DocumentedEntry, ReadonlyArray<string>> => {
  // JSON is YAML.
  const read = readEntries(JSON.stringify({ rules: [document] }), exporters)
  return Result.mapBoth(read, {
    onSuccess: (entries) => documented(entries[0]!, document),
    onFailure: (problems) => problems.map((problem) => problem.replace(/^rules\[0\]\.?/, "").replace(" (line 1)", ""))
  })
}

/** A document as the text of a file, to take away. */
export const documentText = (document: RuleDocument): string => stringify({ rules: [document] }, { lineWidth: 0 })

/** What says least of a rule may be long: it comes last, where a bound may cut it. */
const LAST = ["runbook", "owners"]

/** What of a document is another one than before, as a phrase: `above: 80 -> 90; for: none -> "5m"`. */
export const changesText = (before: RuleDocument, after: RuleDocument): string =>
  [...new Set([...Object.keys(before), ...Object.keys(after)])]
    .sort((a, b) => LAST.indexOf(a) - LAST.indexOf(b))
    .map((key) => [key, shown(before[key]), shown(after[key])] as const)
    .filter(([, was, is]) => was !== is)
    .map(([key, was, is]) => `${key}: ${was} -> ${is}`)
    .join("; ")

const shown = (value: unknown): string => (value === undefined ? "none" : JSON.stringify(value))

/** What YAML leaves empty is not there. */
const documented = (entry: RuleEntry, document: RuleDocument): DocumentedEntry => ({
  ...entry,
  document: Object.fromEntries(Object.entries(document).filter(([, value]) => value !== null)),
  enabled: document.enabled !== false
})
