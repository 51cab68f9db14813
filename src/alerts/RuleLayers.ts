/**
 * All rules that there are, in three layers: those that are shipped, those that were saved from the page or over the API, and those
 * of files, as a port. Of rules of one name that of a file counts, then the one that was saved.
 *
 * Guarantee: what cannot be read takes nothing away. A file with a problem leaves its rules as they were; where the database is away,
 * nobody is told that there are fewer rules. Bound: {@link RULES_MAX} rules of all layers together.
 */
import { Context, Effect, Layer, Result, Schema } from "effect"
import { Registry } from "../plugins/Registry.ts"
import type { DatabaseUnavailable } from "../sinks/storage/DatabaseUnavailable.ts"
import { type DocumentedRule, documentsIn, type RuleDocument, readDocument } from "./RuleDocument.ts"
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
      rule: DocumentedRule,
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
  // What is shipped for an exporter that is not enabled asks nothing.
  const shipped = (defaults === undefined ? [] : documentsIn(defaults)).flatMap((document) =>
    Result.match(readDocument(document, exporters), {
      onSuccess: (documented): ReadonlyArray<Layered> => [{ ...documented, origin: { kind: "default" } }],
      onFailure: () => []
    })
  )
  const known = makeStoredReader((document) => readDocument(document, exporters))

  const read = Effect.gen(function* () {
    const filed = yield* files
    const saved = known(yield* stored.list)
    const ofFiles = filed.rules.map(
      ({ file, ...documented }): Layered => ({ ...documented, origin: { kind: "file", file } })
    )
    const { more, rules } = layered([ofFiles, saved.rules, shipped])
    return { rules, problems: [...filed.problems, ...saved.problems, ...more] }
  })

  return RuleLayers.of({
    read,
    save: Effect.fn("RuleLayers.save")(function* (documented, base) {
      const { name } = documented.rule
      const { rules } = yield* read
      const before = rules.find(({ rule }) => rule.name === name)
      if (before?.origin.kind === "file") return yield* new RuleInFile({ name, file: before.origin.file })
      if (before === undefined && rules.length >= RULES_MAX) return yield* new TooManyRules({ limit: RULES_MAX })
      const { at, by, version } = yield* stored.save({ name, document: documented.document, base }, RULES_MAX)
      const isDefault = before?.origin.kind === "default" || before?.replaces.includes("default") === true
      return { ...documented, origin: { kind: "stored", version, by, at }, replaces: isDefault ? ["default"] : [] }
    }),
    remove: Effect.fn("RuleLayers.remove")(function* (name, base) {
      const { rules } = yield* read
      const found = rules.find(({ rule }) => rule.name === name)
      yield* Effect.catchTag(stored.remove(name, base), "UnknownRule", () =>
        Effect.fail(new UnknownRule({ name, ...(found === undefined ? {} : { instead: INSTEAD[found.origin.kind] }) }))
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

type Layered = Omit<LayeredRule, "replaces">

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

/** The rules of layers, the one that counts first. */
const layered = (layers: ReadonlyArray<ReadonlyArray<Layered>>) => {
  const found = new Map<string, Layered & { readonly replaces: Array<RuleOrigin["kind"]> }>()
  const more: Array<string> = []
  for (const one of layers.flat()) {
    const { name } = one.rule
    const above = found.get(name)
    if (above !== undefined) above.replaces.push(one.origin.kind)
    else if (found.size < RULES_MAX) found.set(name, { ...one, replaces: [] })
    else more.push(`"${name}" is one too many: at most ${RULES_MAX} rules`)
  }
  const rules = [...found.values()].sort((a, b) => (a.rule.name < b.rule.name ? -1 : 1))
  return { rules: rules as ReadonlyArray<LayeredRule>, more }
}
