/**
 * The rules that are in force: all `*.yml` files of a folder, read again when they change, as a port.
 *
 * Guarantee: a file that cannot be read, or holds a problem, takes nothing away: the rules that it held before stay in force, and the
 * log says once what is wrong. Bound: {@link FILES_MAX} files, {@link RULES_MAX} rules.
 */
import { readdir, readFile, stat } from "node:fs/promises"
import { join } from "node:path"
import { Context, Effect, Layer, Result } from "effect"
import { Registry } from "../plugins/Registry.ts"
import type { Rule } from "./Rule.ts"
import { RULES_MAX, readRules } from "./RuleFile.ts"

const FILES_MAX = 100
const FILE_BYTES_MAX = 256 * 1024

export class Rulebook extends Context.Service<
  Rulebook,
  {
    /** The rules as the files say now. */
    readonly rules: Effect.Effect<ReadonlyArray<Rule>>
  }
>()("nodepulse/alerts/Rulebook") {
  /** The files of a folder, which need not be there. */
  static readonly layerFolder = (folder: string): Layer.Layer<Rulebook, never, Registry> =>
    Layer.effect(
      Rulebook,
      Effect.map(Registry, ({ exporters }) => {
        const files = new Map<string, { readonly stamp: string; readonly rules: ReadonlyArray<Rule> }>()
        let told = ""

        const read = async () => {
          const problems: Array<string> = []
          const names = await namesIn(folder, problems)
          if (names === undefined) return { rules: inForce(folder, files, problems), problems }
          if (names.length > FILES_MAX)
            problems.push(`${folder}: ${names.length} files, the first ${FILES_MAX} are read`)
          const there = new Set(names.slice(0, FILES_MAX))
          for (const name of files.keys()) if (!there.has(name)) files.delete(name)
          for (const name of there) {
            const path = join(folder, name)
            try {
              const { mtimeMs, size } = await stat(path)
              const stamp = `${mtimeMs} ${size}`
              if (files.get(name)?.stamp === stamp) continue
              if (size > FILE_BYTES_MAX) throw new Error(`it is larger than ${FILE_BYTES_MAX} bytes`)
              const found = readRules(await readFile(path, "utf8"), exporters)
              if (Result.isSuccess(found)) files.set(name, { stamp, rules: found.success })
              else problems.push(...found.failure.map((problem) => `${path}: ${problem}`))
            } catch (error) {
              problems.push(`${path} cannot be read: ${(error as Error).message}`)
            }
          }
          return { rules: inForce(folder, files, problems), problems }
        }

        return Rulebook.of({
          rules: Effect.gen(function* () {
            const { problems, rules } = yield* Effect.promise(read)
            const all = problems.join("\n")
            if (all !== told) for (const problem of problems) yield* Effect.logWarning(`rules: ${problem}`)
            told = all
            return rules
          })
        })
      })
    )
}

/** The files of rules in a folder; undefined where nobody knows. */
const namesIn = async (folder: string, problems: Array<string>): Promise<ReadonlyArray<string> | undefined> => {
  try {
    return (await readdir(folder)).filter((name) => name.endsWith(".yml")).sort()
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return []
    problems.push(`${folder} cannot be read: ${(error as Error).message}`)
    return undefined
  }
}

/** The rules of all files, each name once. */
const inForce = (
  folder: string,
  files: ReadonlyMap<string, { readonly rules: ReadonlyArray<Rule> }>,
  problems: Array<string>
): ReadonlyArray<Rule> => {
  const rules = new Map<string, Rule>()
  for (const [file, { rules: own }] of files) {
    for (const rule of own) {
      const where = `${join(folder, file)}: "${rule.name}"`
      if (rules.has(rule.name)) problems.push(`${where} is the name of two rules`)
      else if (rules.size < RULES_MAX) rules.set(rule.name, rule)
      else problems.push(`${where} is one too many: at most ${RULES_MAX} rules`)
    }
  }
  return [...rules.values()]
}
