/**
 * How processes are named, by the configuration: `process_names` in `nodepulse.yml`, or `process_names_file`, a file as the
 * exporter of processes takes it, so that one that works there works here as it is. The language is
 * `agent/collector/names/ConfiguredNames.ts`.
 *
 * A file is read as there: merge keys (`<<`) hold, of a key that is there twice the last, and a key that is not known is
 * ignored, with a warning. Bounds: {@link FILE_BYTES_MAX}, and those of the language.
 */
import { Effect, Result, Schema } from "effect"
import { type Path, type Place, readYaml } from "../../src/YamlDocument.ts"
import { type ConfiguredNames, compileNames, type UserName } from "../collector/names/ConfiguredNames.ts"
import type { ConfigDocument } from "./ConfigDocument.ts"
import { readConfigText } from "./ConfigText.ts"

const FILE_BYTES_MAX = 256 * 1024

type Compiled = Result.Result<ConfiguredNames, ReadonlyArray<string>>

/** The names that the document asks for, in its own entries or in its file; undefined where it asks for none. */
export const configuredNames = (
  { process_names, process_names_file: path }: ConfigDocument,
  userName: UserName
): Effect.Effect<Result.Result<ConfiguredNames | undefined, ReadonlyArray<string>>> =>
  Effect.gen(function* () {
    if (process_names !== undefined) return compileNames(process_names, userName, (inner) => pathOf(inner))
    if (path === undefined) return Result.succeed(undefined)
    const file = yield* readConfigText(path, FILE_BYTES_MAX)
    if (Result.isFailure(file)) {
      return Result.fail([`process_names_file ${path} cannot be read (${file.failure.code})`])
    }
    const within = (problem: string) => `process_names_file ${path}: ${problem}`
    const read = readNamesFile(file.success, userName)
    if (Result.isFailure(read)) return Result.fail(read.failure.map(within))
    return Result.succeed({ ...read.success, warnings: read.success.warnings.map(within) })
  })

/** Compiles the text of such a file. */
export const readNamesFile = (text: string, userName: UserName): Compiled => {
  let compiled: Compiled = Result.fail([])
  const read = readYaml<typeof FileSchema.Type>(text, {
    decode: Schema.decodeUnknownResult(FileSchema),
    keys: [],
    written: "process_names",
    options: { merge: true, uniqueKeys: false },
    contradictions: ({ process_names = [] }, place) => {
      compiled = compileNames(process_names, userName, underNames(place))
      return Result.isFailure(compiled) ? compiled.failure : []
    },
    bounds: { bytes: FILE_BYTES_MAX, keys: 5_000, parts: 50_000 }
  })
  return Result.isFailure(read) ? Result.fail(read.failure) : compiled
}

const FileSchema = Schema.Struct({ process_names: Schema.optionalKey(Schema.Unknown) })

/** What is wrong with the document's own entries, with their lines. */
export const namesProblems = (entries: unknown, place: Place): ReadonlyArray<string> => {
  const compiled = compileNames(entries, String, underNames(place))
  return Result.isFailure(compiled) ? compiled.failure : []
}

const underNames = (place: Place) => (path: Path) => place(["process_names", ...path])

const pathOf = (path: Path): string =>
  `process_names${path.map((part) => (typeof part === "number" ? `[${part}]` : `.${part}`)).join("")}`
