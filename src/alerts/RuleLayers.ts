/**
 * All rules that there are, in three layers: those that are shipped, those that were saved from the page or over the API, and those
 * of files, as a port. Of rules of one name that of a file counts, then the one that was saved. What holds nothing but
 * `enabled: false` switches off the rule below it, and is listed with what that one asks.
 *
 * Guarantee: what cannot be read takes nothing away. A file with a problem leaves its rules as they were; where the database is away,
 * nobody is told that there are fewer rules. Bound: {@link RULES_MAX} rules of all layers together.
 */
import { Context, Effect, Layer, Result, Schema } from "effect"
import type { Exporter } from "../plugins/Exporter.ts"
import { Registry } from "../plugins/Registry.ts"
import type { DatabaseUnavailable } from "../sinks/storage/DatabaseUnavailable.ts"
import { closest } from "../YamlDocument.ts"
import {
  type DocumentedEntry,
  type DocumentedRule,
  documentsIn,
  type RuleDocument,
  readDocument
} from "./RuleDocument.ts"
import { RULES_MAX } from "./RuleFile.ts"
import { makeRuleFolder } from "./RuleFolder.ts"
import { type RuleConflict, type StoredRule, StoredRules, TooManyRules, UnknownRule } from "./StoredRules.ts"

/** Where a rule comes from. */
export type RuleOrigin =
  | { readonly kind: "default" }
  /** The name of the file in the folder. */
  | { readonly kind: "file"; readonly file: string }
  /** `at`: epoch milliseconds. */
  | { readonly kind: "stored"; readonly version: number; readonly by: string; readonly at: number }

export interface LayeredRule extends DocumentedRule {
  readonly origin: RuleOrigin
  /** Layers below that have a rule of this name, which does not count. */
  readonly replaces: ReadonlyArray<RuleOrigin["kind"]>
}

export interface LayersRead {
  /** Each name once, by name; also those that are switched off. */
  readonly rules: ReadonlyArray<LayeredRule>
  /** What is wrong with files now, and rules that do not count any more. */
  readonly problems: ReadonlyArray<string>
}

/** The rule is one of a file, which counts: it is changed there. Not retryable. */
export class RuleInFile extends Schema.TaggedError<RuleInFile>()("RuleInFile", {
  name: Schema.String,
  file: Schema.String
}) {
  readonly retryable = false
  override get message(): string {
    return `${JSON.stringify(this.name)} is a rule of the file ${this.file}: change it there`
  }
}

export interface RuleLayersOptions {
  /** Of files. */
  readonly folder: string
  /** The text of a file with the rules that are shipped; undefined: none. */
  readonly defaults?: string | undefined
}

export class RuleLayers extends Context.Service<
  RuleLayers,
  {
    readonly read: Effect.Effect<LayersRead, DatabaseUnavailable>
    /** Saves a rule, whose document was read, as the version after `base` (0: it is new). */
    readonly save: (
      rule: DocumentedEntry,
      base: number
    ) => Effect.Effect<LayeredRule, RuleInFile | UnknownRule | RuleConflict | TooManyRules | DatabaseUnavailable>
    /** Removes a rule that was saved; what it replaced counts again. */
    readonly remove: (
      name: string,
      base: number | undefined
    ) => Effect.Effect<void, UnknownRule | RuleConflict | DatabaseUnavailable>
  }
>()("nodepulse/alerts/RuleLayers") {
  static readonly layerWith = (options: RuleLayersOptions): Layer.Layer<RuleLayers, never, Registry | StoredRules> =>
    Layer.effect(RuleLayers, make(options))
}

const make = Effect.fnUntraced(function* ({ defaults, folder }: RuleLayersOptions) {
  const { exporters } = yield* Registry
  const stored = yield* StoredRules
  const files = makeRuleFolder(folder, exporters)
  const shipped = defaults === undefined ? { rules: [], idle: [] } : shippedIn(defaults, exporters)
  const known = makeStoredReader((document) => readDocument(document, exporters))

  const look = Effect.gen(function* () {
    const filed = yield* files
    const saved = known(yield* stored.list)
    const ofFiles = filed.rules.map(
      ({ file, ...documented }): Layered => ({ ...documented, origin: { kind: "file", file } })
    )
    const { found, more } = layered([ofFiles, saved.rules, shipped.rules])
    return { found, problems: [...filed.problems, ...saved.problems, ...more] }
  })

  return RuleLayers.of({
    read: Effect.map(look, ({ found, problems }) => inForce(found, problems, shipped.idle)),
    save: Effect.fn("RuleLayers.save")(function* (documented, base) {
      const { name } = documented
      const { found } = yield* look
      const before = found.get(name)
      if (before?.origin.kind === "file") return yield* new RuleInFile({ name, file: before.origin.file })
      if (before === undefined && found.size >= RULES_MAX) return yield* new TooManyRules({ limit: RULES_MAX })
      const below = shipped.rules.find((one) => one.name === name)
      const { document, rule } = below === undefined ? documented : above(documented, below)
      if (rule === undefined) return yield* new UnknownRule({ name, instead: NOTHING_BELOW })
      const { at, by, version } = yield* stored.save({ name, document: documented.document, base }, RULES_MAX)
      const replaces: LayeredRule["replaces"] = below === undefined ? [] : ["default"]
      return { ...documented, document, rule, origin: { kind: "stored", version, by, at }, replaces }
    }),
    remove: Effect.fn("RuleLayers.remove")(function* (name, base) {
      const { found } = yield* look
      const there = found.get(name)
      yield* Effect.catchTag(stored.remove(name, base), "UnknownRule", () =>
        Effect.fail(new UnknownRule({ name, ...(there === undefined ? {} : { instead: INSTEAD[there.origin.kind] }) }))
      )
    })
  })
})

/** What to do with a rule that was not saved. */
const INSTEAD: Readonly<Record<RuleOrigin["kind"], string>> = {
  default: "it is one that is shipped, so save it with enabled: false to switch it off",
  file: "it is one of a file, so remove it there",
  stored: "somebody removed it"
}

const NOTHING_BELOW = "nor is one shipped, so that there is nothing to switch off; save the whole rule"

/** An entry of one layer. */
interface Layered extends DocumentedEntry {
  readonly origin: RuleOrigin
}

/** The entry that counts of a name. */
interface Found extends Layered {
  readonly replaces: ReadonlyArray<RuleOrigin["kind"]>
}

/** The rules that are shipped; what is shipped for an exporter that is not enabled asks nothing, and is `idle`. */
const shippedIn = (defaults: string, exporters: ReadonlyArray<Exporter>) => {
  const rules: Array<Layered> = []
  const idle: Array<string> = []
  for (const document of documentsIn(defaults)) {
    const read = readDocument(document, exporters)
    if (Result.isSuccess(read)) rules.push({ ...read.success, origin: { kind: "default" } })
    else idle.push(String(document.name))
  }
  return { rules, idle }
}

/** Reads what is stored; what has not changed is not read again. */
const makeStoredReader = (read: (document: RuleDocument) => ReturnType<typeof readDocument>) => {
  let known = new Map<number, ReturnType<typeof readDocument>>()
  return (all: ReadonlyArray<StoredRule>) => {
    known = new Map(all.map(({ document, version }) => [version, known.get(version) ?? read(document)]))
    const rules: Array<Layered> = []
    const problems: Array<string> = []
    for (const { at, by, name, version } of all) {
      const found = known.get(version)!
      if (Result.isSuccess(found)) rules.push({ ...found.success, origin: { kind: "stored", version, by, at } })
      else problems.push(`the rule "${name}" that ${by} saved cannot be read any more: ${found.failure.join("; ")}`)
    }
    return { rules, problems }
  }
}

/** An entry over the one of the next layer: what only switches off asks what that one asks. */
const above = <A extends DocumentedEntry>(one: A, { document, rule }: DocumentedEntry): A =>
  one.rule === undefined ? { ...one, rule, document: { ...document, enabled: false } } : one

/** Each name once, of layers of which the first counts. */
const layered = (layers: ReadonlyArray<ReadonlyArray<Layered>>) => {
  const found = new Map<string, Found>()
  const more: Array<string> = []
  for (const one of layers.flat()) {
    const { name } = one
    const over = found.get(name)
    if (over !== undefined) found.set(name, { ...above(over, one), replaces: [...over.replaces, one.origin.kind] })
    else if (found.size < RULES_MAX) found.set(name, { ...one, replaces: [] })
    else more.push(`"${name}" is one too many: at most ${RULES_MAX} rules`)
  }
  return { found, more }
}

/** The rules that were found. What switches off nothing is a problem, unless the rule is only idle. */
const inForce = (
  found: ReadonlyMap<string, Found>,
  problems: ReadonlyArray<string>,
  idle: ReadonlyArray<string>
): LayersRead => {
  const rules = [...found.values()].filter((one): one is Found & LayeredRule => one.rule !== undefined)
  const names = rules.map(({ name }) => name)
  const idling = new Set(idle)
  const more = [...found.values()]
    .filter(({ name, rule }) => rule === undefined && !idling.has(name))
    .map(({ name, origin }) => `${whoseText(origin)}: ${switchesNothing(name, [...names, ...idle])}`)
  return { rules: rules.sort((a, b) => (a.name < b.name ? -1 : 1)), problems: [...problems, ...more] }
}

/** That a name is switched off, and nothing has it. */
export const switchesNothing = (name: string, known: ReadonlyArray<string>, but = "there is no such rule"): string => {
  const meant = closest(name, known)
  return `"${name}" is switched off, but ${but}${meant === undefined ? "" : `, did you mean "${meant}"?`}`
}

const whoseText = (origin: RuleOrigin): string =>
  origin.kind === "file" ? origin.file : origin.kind === "stored" ? `saved by ${origin.by}` : "shipped"
