/**
 * The names that a configuration gives: `process_names`, in the language of process_exporter 0.7.10. Pure.
 *
 * As there:
 * - The first entry that matches names the process; what none matches belongs to its parent's group.
 * - `comm` lists command names; `exe` lists first arguments, by their last part or, where one has a slash, in whole;
 *   `cmdline` lists regular expressions (RE2), all of which must be found in the arguments joined by blanks. What an
 *   entry has of these must all hold. An empty `cmdline` always holds, an empty `comm` or `exe` never.
 * - Without `name`, the group is `{{.ExeBase}}`. What an expression captures is `.Matches.Word`.
 * - Keys that are not known are ignored; here each comes with a warning.
 *
 * Otherwise than there: secrets become `***` (`Secrets.ts`), and an entry that cannot work is refused (a field that does
 * not exist, a function that is not known) where process_exporter serves half a name.
 *
 * Bounds: {@link ENTRIES_MAX} entries, {@link VALUES_MAX} values each, patterns of {@link INSTRUCTIONS_MAX} instructions
 * together, and {@link STEPS_MAX} steps a process: of a command line, so much is looked at as these allow.
 */
import { Result } from "effect"
import { RE2JS, RE2JSSyntaxException } from "re2js"
import { closest, valueText } from "../../../src/YamlDocument.ts"
import { compileTemplate, type NameTemplate } from "./NameTemplate.ts"
import type { NamedProcess, ProcessNames } from "./ProcessNames.ts"
import { withoutSecrets } from "./Secrets.ts"

const ENTRIES_MAX = 1_000
const VALUES_MAX = 1_000
const VALUE_LENGTH_MAX = 4_096
/** Of all patterns together: an everyday one has 30. */
const INSTRUCTIONS_MAX = 10_000
/**
 * Instructions times characters that one process may cost. The worst pattern takes 0.1 µs each, so a second or two; everyday
 * ones take a thousandth of that. With 30 patterns 16 KiB of a command line are looked at, with 7 all that is read.
 */
const STEPS_MAX = 16_000_000

export interface ConfiguredNames {
  readonly names: ProcessNames
  /** What is taken, but may not be meant. */
  readonly warnings: ReadonlyArray<string>
}

/** How users are called; their number where they have no name. */
export type UserName = (uid: number) => string

/**
 * Compiles the entries of `process_names`, or says all that is wrong. `place` says where an entry or its field stands.
 * Values are as they were written: numbers and switches as texts.
 */
export const compileNames = (
  entries: unknown,
  userName: UserName,
  place: (path: ReadonlyArray<string | number>) => string
): Result.Result<ConfiguredNames, ReadonlyArray<string>> => {
  const compiling: Compiling = { problems: [], warnings: [], instructions: 0, place }
  if (!Array.isArray(entries))
    return Result.fail([`${place([])} is ${valueText(entries)}, but must be a list of entries`])
  if (entries.length > ENTRIES_MAX)
    return Result.fail([`${place([])} has ${entries.length} entries, more than ${ENTRIES_MAX}`])
  const compiled = entries.flatMap((entry, index) => entryOf(entry, index, compiling) ?? [])
  const { problems, warnings } = compiling
  if (problems.length > 0) return Result.fail(problems)
  if (entries.length === 0) warnings.push(`${place([])} is empty: no process is in any group`)
  return Result.succeed({ names: namesOf(compiled, compiling.instructions, userName), warnings })
}

interface Compiling {
  readonly problems: Array<string>
  readonly warnings: Array<string>
  instructions: number
  readonly place: (path: ReadonlyArray<string | number>) => string
}

interface Entry {
  readonly template: NameTemplate
  readonly comm: ReadonlySet<string> | undefined
  /** Last part of the first argument -> the whole of it; "": any. */
  readonly exe: ReadonlyMap<string, string> | undefined
  readonly cmdline: ReadonlyArray<RE2JS> | undefined
}

const KEYS = ["name", "comm", "exe", "cmdline"]
const LISTS = ["comm", "exe", "cmdline"] as const

// -- compiling

const entryOf = (raw: unknown, index: number, compiling: Compiling): Entry | undefined => {
  const { place, problems, warnings } = compiling
  const before = problems.length
  if (typeof raw !== "object" || raw === null || Array.isArray(raw)) {
    problems.push(`${place([index])} is ${valueText(raw)}, but must have ${KEYS.join(", ")}`)
    return undefined
  }
  const fields = raw as Readonly<Record<string, unknown>>
  for (const key of Object.keys(fields).filter((key) => !KEYS.includes(key))) {
    const meant = closest(key, KEYS)
    const hint = meant === undefined ? "" : `, did you mean "${meant}"?`
    warnings.push(`${place([index, key])} is not known and ignored${hint} (known here: ${KEYS.join(", ")})`)
  }
  const [comm, exe, cmdline] = LISTS.map((key) => listOf(fields[key], [index, key], compiling))
  if (comm === undefined && exe === undefined && cmdline === undefined && problems.length === before) {
    problems.push(`${place([index])} matches nothing: it needs comm, exe or cmdline`)
  }
  const template = templateOf(fields.name, [index, "name"], compiling)
  const patterns = cmdline?.flatMap((pattern, n) => patternOf(pattern, [index, "cmdline", n], compiling) ?? [])
  if (template === undefined || problems.length > before) return undefined
  return {
    template,
    comm: comm === undefined ? undefined : new Set(comm),
    exe: exe === undefined ? undefined : new Map(exe.map((path) => [baseOf(path), path.includes("/") ? path : ""])),
    cmdline: patterns
  }
}

/** A list of texts; undefined where there is none, or something is wrong with it. */
const listOf = (
  raw: unknown,
  path: ReadonlyArray<string | number>,
  { place, problems }: Compiling
): ReadonlyArray<string> | undefined => {
  if (raw === undefined || raw === null) return undefined
  if (!Array.isArray(raw)) {
    problems.push(
      `${place(path)} is ${valueText(raw)}, but must be a list, such as [${JSON.stringify(String(raw)).slice(0, 60)}]`
    )
    return undefined
  }
  if (raw.length > VALUES_MAX) problems.push(`${place(path)} has ${raw.length} values, more than ${VALUES_MAX}`)
  return raw.slice(0, VALUES_MAX).flatMap((value, n) => {
    // A value that is left out is an empty text.
    if (value === null) return ""
    if (typeof value === "string" && value.length <= VALUE_LENGTH_MAX) return value
    const must = typeof value === "string" ? `at most ${VALUE_LENGTH_MAX} characters long` : "a text"
    problems.push(`${place([...path, n])} is ${valueText(value)}, but must be ${must}`)
    return []
  })
}

const templateOf = (
  raw: unknown,
  path: ReadonlyArray<string | number>,
  { place, problems }: Compiling
): NameTemplate | undefined => {
  if (raw !== undefined && raw !== null && typeof raw !== "string") {
    problems.push(`${place(path)} is ${valueText(raw)}, but must be a text`)
    return undefined
  }
  const text = raw === undefined || raw === null || raw === "" ? "{{.ExeBase}}" : raw
  const compiled = compileTemplate(text)
  if (Result.isSuccess(compiled)) return compiled.success
  problems.push(`${place(path)} is ${valueText(text)}: ${compiled.failure}`)
  return undefined
}

const patternOf = (pattern: string, path: ReadonlyArray<string | number>, compiling: Compiling): RE2JS | undefined => {
  const { place, problems } = compiling
  try {
    const compiled = RE2JS.compile(pattern)
    compiling.instructions += compiled.programSize()
    if (compiling.instructions <= INSTRUCTIONS_MAX) return compiled
    problems.push(`${place(path)} is ${valueText(pattern)}: what it repeats makes the patterns together too expensive`)
  } catch (error) {
    const reason = error instanceof RE2JSSyntaxException ? reasonOf(error, pattern) : "it cannot be compiled"
    problems.push(`${place(path)} is ${valueText(pattern)}: ${reason}`)
  }
  return undefined
}

const reasonOf = (error: RE2JSSyntaxException, pattern: string): string => {
  const fragment = error.getPattern() ?? ""
  if (/^\(\?[=!<]/.test(fragment)) return `${fragment} looks around, which regular expressions here (RE2) cannot`
  return fragment === "" || fragment === pattern ? error.getDescription() : `${error.getDescription()}: ${fragment}`
}

// -- naming

const namesOf = (entries: ReadonlyArray<Entry>, instructions: number, userName: UserName): ProcessNames => ({
  needs: {
    exe: false,
    cmdline: true,
    user: entries.some(({ template }) => template.says("Username")),
    cgroups: entries.some(({ template }) => template.says("Cgroups"))
  },
  nameOf: (process) => {
    const joined = process.cmdline.join(" ").slice(0, STEPS_MAX / Math.max(instructions, 1))
    for (const entry of entries) {
      const matches = matchesOf(entry, process, joined)
      if (matches !== undefined) return nameOf(entry.template, process, matches, userName)
    }
    return undefined
  }
})

const nameOf = (
  template: NameTemplate,
  process: NamedProcess,
  matches: ReadonlyMap<string, string>,
  userName: UserName
): string => {
  const full = process.cmdline[0] ?? process.comm
  const name = template.render({
    Comm: process.comm,
    ExeBase: process.cmdline.length === 0 ? process.comm : baseOf(full),
    ExeFull: full,
    Username: process.uid === undefined ? "" : userName(process.uid),
    PID: process.pid,
    StartTime: { millis: process.startedAt },
    Matches: matches,
    Cgroups: process.cgroups
  })
  return withoutSecrets(name, process.cmdline, [process.comm, ...process.cgroups])
}

/** What the expressions captured; undefined where the entry does not match. */
const matchesOf = (
  { cmdline, comm, exe }: Entry,
  process: NamedProcess,
  joined: string
): ReadonlyMap<string, string> | undefined => {
  if (comm !== undefined && !comm.has(process.comm)) return undefined
  if (exe !== undefined) {
    const [first] = process.cmdline
    const path = first === undefined ? undefined : exe.get(baseOf(first))
    if (path === undefined || (path !== "" && path !== first)) return undefined
  }
  const matches = new Map<string, string>()
  for (const pattern of cmdline ?? []) {
    const found = pattern.exec(joined)
    if (found === null) return undefined
    const names = new Map(Object.entries(pattern.namedGroups()).map(([name, group]) => [group, name]))
    // What has no name is there too, under an empty one: the last of them, or all that was found.
    for (let group = 0; group <= pattern.groupCount(); group++) matches.set(names.get(group) ?? "", found[group] ?? "")
  }
  return matches
}

/** The last part of a path, as Go has it. */
const baseOf = (path: string): string => {
  if (path === "") return "."
  let end = path.length
  while (end > 0 && path[end - 1] === "/") end--
  return end === 0 ? "/" : path.slice(path.lastIndexOf("/", end - 1) + 1, end)
}
