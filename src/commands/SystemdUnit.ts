/**
 * What systemd knows of a part of NodePulse: user, environment, command and what the unit may write, from its files.
 *
 * A doctor that is asked in a shell sees another environment and another user than the unit has; what is broken for the unit
 * only shows by its eyes. The files are read as systemd reads them: the first folder that has the unit wins, drop-ins come
 * after it in the order of their names, an empty value resets a list, an `EnvironmentFile` overrides `Environment`.
 *
 * It asks no systemd, so it works in an image that is not booted. Specifiers are left as they are, but for the folders (%S,
 * %E, %t) and `%%`. Bound: some dozen small files.
 */
import { readdir, readFile, readlink } from "node:fs/promises"
import { join } from "node:path"
import { Context, Effect } from "effect"

/** Where units are, the most important first. */
export const UnitFolders = Context.Reference<ReadonlyArray<string>>("nodepulse/UnitFolders", {
  defaultValue: () => [
    "/etc/systemd/system",
    "/run/systemd/system",
    "/usr/local/lib/systemd/system",
    "/usr/lib/systemd/system",
    "/lib/systemd/system"
  ]
})

export interface Unit {
  readonly name: string
  /** The unit itself, then its drop-ins. */
  readonly files: ReadonlyArray<string>
  /** Linked to nothing: systemd never starts it. */
  readonly isMasked: boolean
  /** Undefined: root, or a user that systemd makes up at each start. */
  readonly user: string | undefined
  readonly group: string | undefined
  /** What its program finds in its environment. */
  readonly environment: Readonly<Record<string, string>>
  /** Those of its variables that come from an `EnvironmentFile`: what a launcher may have read, too. */
  readonly fromFiles: Readonly<Record<string, string>>
  /** Program and arguments. */
  readonly command: ReadonlyArray<string>
  readonly workingDirectory: string | undefined
  /** Folders that it may write to; undefined: whatever its user may. */
  readonly writable: ReadonlyArray<string> | undefined
  /** Folders whose content it does not see. */
  readonly hidden: ReadonlyArray<string>
  /** What systemd passes over in silence, or cannot read. */
  readonly problems: ReadonlyArray<string>
}

/** The unit of that name; undefined where there is none. */
export const readUnit = (name: string): Effect.Effect<Unit | undefined> =>
  Effect.flatMap(UnitFolders, (folders) => Effect.promise(() => read(name, folders)))

/**
 * What the unit's program finds in its environment, over what a person set in this shell. A variable that is set here as
 * in the unit's own file was read from there by the launcher, so it is none of that person's.
 */
export const environmentOf = (
  unit: Unit,
  shell: Readonly<Record<string, string | undefined>>
): Readonly<Record<string, string>> => {
  const merged: Record<string, string> = { ...unit.environment }
  for (const [name, value] of Object.entries(shell)) {
    if (value !== undefined && value !== unit.fromFiles[name]) merged[name] = value
  }
  return merged
}

/** The value of a flag of the unit's command: `--config FILE` or `--config=FILE`. */
export const flagOf = ({ command }: Unit, ...names: ReadonlyArray<string>): string | undefined => {
  for (const [index, word] of command.entries()) {
    if (names.includes(word)) return command[index + 1]
    const name = names.find((one) => word.startsWith(`${one}=`))
    if (name !== undefined) return word.slice(name.length + 1)
  }
  return undefined
}

const read = async (name: string, folders: ReadonlyArray<string>): Promise<Unit | undefined> => {
  const main = await firstOf(folders.map((folder) => join(folder, name)))
  if (main === undefined) return undefined
  const files = [main, ...(await dropIns(name, folders))]
  const isMasked = (await readlink(main).catch(() => "")) === "/dev/null"
  const settings = new Map<string, Array<string>>()
  for (const file of files) {
    for (const { key, value } of settingsOf(await readFile(file, "utf8").catch(() => ""))) {
      const values = settings.get(key) ?? []
      settings.set(key, value === "" ? [] : [...values, value])
    }
  }
  const all = (key: string) => settings.get(key) ?? []
  const last = (key: string) => all(key).at(-1)
  const fromUnit = variablesOf(all("Environment").flatMap(wordsOf))
  const { problems, variables } = await readEnvironmentFiles(all("EnvironmentFile"))
  const dynamic = last("DynamicUser") === "yes"
  return {
    name,
    files,
    isMasked,
    user: dynamic ? undefined : last("User"),
    group: dynamic ? undefined : last("Group"),
    environment: { ...fromUnit, ...variables },
    fromFiles: variables,
    command: wordsOf((all("ExecStart").at(-1) ?? "").replace(/^[-@:+!]+/, "")),
    workingDirectory: last("WorkingDirectory"),
    writable: last("ProtectSystem") === "strict" ? writableOf(all) : undefined,
    hidden: /^(yes|true|tmpfs)$/.test(last("ProtectHome") ?? "") ? ["/home", "/root", "/run/user"] : [],
    problems
  }
}

/** The folders that systemd gives to a unit whose file system is otherwise read-only. */
const writableOf = (all: (key: string) => ReadonlyArray<string>): ReadonlyArray<string> => [
  ...all("StateDirectory")
    .flatMap(wordsOf)
    .map((folder) => `/var/lib/${folder}`),
  ...all("CacheDirectory")
    .flatMap(wordsOf)
    .map((folder) => `/var/cache/${folder}`),
  ...all("LogsDirectory")
    .flatMap(wordsOf)
    .map((folder) => `/var/log/${folder}`),
  ...all("RuntimeDirectory")
    .flatMap(wordsOf)
    .map((folder) => `/run/${folder}`),
  ...all("ReadWritePaths")
    .flatMap(wordsOf)
    .map((folder) => folder.replace(/^[-+]+/, "")),
  ...(all("PrivateTmp").at(-1) === "yes" ? ["/tmp", "/var/tmp"] : []),
  "/dev"
]

const firstOf = async (paths: ReadonlyArray<string>): Promise<string | undefined> => {
  for (const path of paths) {
    if ((await readFile(path).catch(() => undefined)) !== undefined) return path
  }
  return undefined
}

const dropIns = async (name: string, folders: ReadonlyArray<string>): Promise<ReadonlyArray<string>> => {
  const found = new Map<string, string>()
  for (const folder of folders) {
    const place = join(folder, `${name}.d`)
    for (const file of await readdir(place).catch(() => [])) {
      if (file.endsWith(".conf") && !found.has(file)) found.set(file, join(place, file))
    }
  }
  return [...found].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, path]) => path)
}

/** The settings of the section `[Service]`, in their order. */
const settingsOf = (text: string): ReadonlyArray<{ readonly key: string; readonly value: string }> => {
  let section = ""
  const settings: Array<{ readonly key: string; readonly value: string }> = []
  for (const line of text.replace(/\\\r?\n/g, " ").split(/\r?\n/)) {
    const heading = /^\[(.*)\]\s*$/.exec(line)?.[1]
    if (heading !== undefined) section = heading
    const [, key, value] = /^([A-Za-z]+)\s*=(.*)$/.exec(line.trim()) ?? []
    if (section === "Service" && key !== undefined) settings.push({ key, value: specified(value!.trim()) })
  }
  return settings
}

const SPECIFIERS: Readonly<Record<string, string>> = { "%S": "/var/lib", "%E": "/etc", "%t": "/run", "%%": "%" }
const specified = (value: string): string => value.replace(/%[SEt%]/g, (one) => SPECIFIERS[one] ?? one)

/** Words, with the quotes that systemd knows. */
const wordsOf = (value: string): ReadonlyArray<string> =>
  [...value.matchAll(/(?:"(?:\\.|[^"\\])*"|'[^']*'|[^\s"'])+/g)].map(([word]) =>
    word.replace(/"((?:\\.|[^"\\])*)"|'([^']*)'/g, (_, double: string | undefined, single: string | undefined) =>
      double === undefined ? (single ?? "") : double.replace(/\\(.)/g, "$1")
    )
  )

const variablesOf = (words: ReadonlyArray<string>): Record<string, string> =>
  Object.fromEntries(
    words.flatMap((word) => {
      const at = word.indexOf("=")
      return at > 0 ? [[word.slice(0, at), word.slice(at + 1)]] : []
    })
  )

const readEnvironmentFiles = async (paths: ReadonlyArray<string>) => {
  const variables: Record<string, string> = {}
  const problems: Array<string> = []
  for (const given of paths) {
    const path = given.replace(/^-/, "")
    const text = await readFile(path, "utf8").catch((error: NodeJS.ErrnoException) => {
      if (!given.startsWith("-") || error.code !== "ENOENT") problems.push(`${path} cannot be read (${error.code})`)
      return ""
    })
    for (const [index, line] of text.split("\n").entries()) {
      const bare = line.trim()
      if (bare === "" || /^[#;]/.test(bare)) continue
      const [, name, value] = /^([A-Za-z_][A-Za-z0-9_]*)=(.*)$/.exec(bare) ?? []
      if (name === undefined) {
        problems.push(`${path}, line ${index + 1}, is no NAME=value: systemd passes over it`)
      } else variables[name] = unquoted(value!.trim())
    }
  }
  return { variables, problems }
}

const unquoted = (value: string): string => /^(["'])([\s\S]*)\1$/.exec(value)?.[2] ?? value
