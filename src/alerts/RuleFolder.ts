/**
 * The rules of all `*.yml` files of a folder, which need not be there; files are read again when they change.
 *
 * Guarantee: a file that cannot be read, or holds a problem, takes nothing away: the rules that it held before stay.
 * Bound: {@link FILES_MAX} files of {@link RULE_FILE_BYTES_MAX} bytes.
 */
import { readdir, readFile, stat } from "node:fs/promises"
import { join } from "node:path"
import { Effect, Result } from "effect"
import { stampOf } from "../FileStamp.ts"
import type { Exporter } from "../plugins/Exporter.ts"
import { type DocumentedEntry, readDocuments } from "./RuleDocument.ts"
import { RULE_FILE_BYTES_MAX } from "./RuleFile.ts"

export const FILES_MAX = 100

export interface FiledRule extends DocumentedEntry {
  /** The name of the file in the folder. */
  readonly file: string
}

export interface FolderRead {
  readonly rules: ReadonlyArray<FiledRule>
  /** What is wrong with the files now. */
  readonly problems: ReadonlyArray<string>
}

/** Reads the folder, each time that it is run. */
export const makeRuleFolder = (folder: string, exporters: ReadonlyArray<Exporter>): Effect.Effect<FolderRead> => {
  const files = new Map<string, ReadFile>()

  const readOne = async (name: string): Promise<void> => {
    const path = join(folder, name)
    const before = files.get(name)
    let stamp = ""
    const keep = (problems: ReadonlyArray<string>) =>
      files.set(name, { stamp, rules: before?.rules ?? [], problems: problems.map((problem) => `${name}${problem}`) })
    try {
      const there = await stat(path)
      stamp = stampOf(there)
      if (before?.stamp === stamp) return
      if (there.size > RULE_FILE_BYTES_MAX) throw new Error(`it is larger than ${RULE_FILE_BYTES_MAX} bytes`)
      const found = readDocuments(await readFile(path, "utf8"), exporters)
      if (Result.isFailure(found)) keep(found.failure.map((problem) => `: ${problem}`))
      else files.set(name, { stamp, rules: found.success, problems: [] })
    } catch (error) {
      // It may be readable the next time, with the same stamp.
      stamp = ""
      keep([` cannot be read: ${(error as Error).message}`])
    }
  }

  return Effect.promise(async () => {
    const problems: Array<string> = []
    const names = await namesIn(folder, problems)
    if (names !== undefined) {
      if (names.length > FILES_MAX) problems.push(`${names.length} files, the first ${FILES_MAX} are read`)
      const there = new Set(names.slice(0, FILES_MAX))
      for (const name of files.keys()) if (!there.has(name)) files.delete(name)
      for (const name of there) await readOne(name)
    }
    return together(files, problems)
  })
}

interface ReadFile {
  readonly stamp: string
  readonly rules: ReadonlyArray<DocumentedEntry>
  readonly problems: ReadonlyArray<string>
}

/** The files of rules in a folder; undefined where nobody knows. */
const namesIn = async (folder: string, problems: Array<string>): Promise<ReadonlyArray<string> | undefined> => {
  try {
    return (await readdir(folder)).filter((name) => name.endsWith(".yml")).sort()
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return []
    problems.push(`the folder of rules cannot be read: ${(error as Error).message}`)
    return undefined
  }
}

/** The rules of all files, each name once. */
const together = (files: ReadonlyMap<string, ReadFile>, problems: Array<string>): FolderRead => {
  const rules = new Map<string, FiledRule>()
  for (const [file, { problems: own, rules: read }] of files) {
    problems.push(...own)
    for (const documented of read) {
      const { name } = documented
      if (rules.has(name)) problems.push(`${file}: "${name}" is the name of two rules`)
      else rules.set(name, { ...documented, file })
    }
  }
  return { rules: [...rules.values()], problems }
}
