/**
 * What the doctor checks of this host for agent and server alike: the Node that runs them, their unit, and whether files and
 * folders can be used by the user that the unit runs as, inside the walls that the unit draws.
 *
 * Each cure is a command that can be pasted, with the names of this host in it.
 */
import { execFile } from "node:child_process"
import { stat, statfs } from "node:fs/promises"
import { basename, dirname, resolve } from "node:path"
import { ConfigProvider, Effect, Layer } from "effect"
import manifest from "../../package.json" with { type: "json" }
import { doubtful, type Finding, fine, wrong } from "./Diagnosis.ts"
import { environmentOf, type Unit } from "./SystemdUnit.ts"
import { isMissing, type Refusal, refusals, type UnitIdentity, type Wish } from "./UnitUser.ts"

const VERSION_WITHIN = 5_000

/** The environment that the unit's program has, for whatever reads its settings from there. */
export const environmentLayer = (unit: Unit | undefined): Layer.Layer<never> =>
  unit === undefined
    ? Layer.empty
    : ConfigProvider.layer(ConfigProvider.fromEnv({ env: { ...environmentOf(unit, process.env) } }))

/** The Node that runs the unit's program: its own, where the unit names one; else the one that runs this. */
export const checkNode = (unit: Unit | undefined): Effect.Effect<Finding> =>
  Effect.promise(async () => {
    const program = unit?.command[0]
    const own = program !== undefined && /^node(js)?$/.test(basename(program)) ? program : undefined
    const version = own === undefined ? process.versions.node : await versionOf(own)
    const where = own ?? process.execPath
    const least = manifest.engines.node.replace(/[^\d.]/g, "")
    if (version === undefined) {
      const cure = `name one that is there in ExecStart= (systemctl edit --full ${unit!.name}), or install nodepulse-runtime`
      return wrong("node", `${where}, which ${unit!.name} starts, does not run`, cure)
    }
    if (isOlder(version, least)) {
      const cure = "install the package nodepulse-runtime, which brings its own, or a newer Node.js"
      return wrong("node", `${where} is ${version}, but NodePulse needs ${least} or newer`, cure)
    }
    return fine("node", `${version} (${where})`)
  })

const versionOf = (program: string) =>
  new Promise<string | undefined>((done) => {
    execFile(program, ["--version"], { timeout: VERSION_WITHIN }, (error, output) =>
      done(error === null ? /^v?(\d+\.\d+\.\d+)/.exec(output.trim())?.[1] : undefined)
    )
  })

const isOlder = (version: string, least: string): boolean => {
  const numbers = (text: string) => text.split(".").map(Number)
  const [have, want] = [numbers(version), numbers(least)]
  for (const [index, part] of want.entries()) {
    if ((have[index] ?? 0) !== part) return (have[index] ?? 0) < part
  }
  return false
}

/** What is wrong with the unit's files. */
export const checkUnit = (unit: Unit | undefined): Effect.Effect<ReadonlyArray<Finding>> =>
  Effect.gen(function* () {
    if (unit === undefined) return []
    if (unit.isMasked) {
      return [wrong("unit", `${unit.name} is masked: it never starts`, `systemctl unmask ${unit.name}`)]
    }
    const who = identityOf(unit)
    const findings = unit.problems.map((problem) =>
      /cannot be read/.test(problem)
        ? wrong(
            "unit",
            problem,
            `put the file back, or take its EnvironmentFile= away; then: systemctl restart ${unit.name}`
          )
        : doubtful("unit", problem, `mend that line, then: systemctl restart ${unit.name}`)
    )
    if (who === undefined || !(yield* isMissing(who))) return findings
    const cure = `useradd --system --user-group --no-create-home --shell /usr/sbin/nologin ${who.user}`
    return [...findings, wrong("unit", `its user ${who.user} is not on this machine: it cannot start`, cure)]
  })

const identityOf = (unit: Unit | undefined): UnitIdentity | undefined =>
  unit?.user === undefined ? undefined : { user: unit.user, group: unit.group }

/** A file or folder that a part needs. */
export interface Place extends Wish {
  /** The check's name. */
  readonly check: string
  /** What it is, such as "the spool". */
  readonly what: string
}

/** What is wrong with places, for the unit's user and within its walls; nothing of those that are well. */
export const checkPlaces = (
  unit: Unit | undefined,
  places: ReadonlyArray<Place>
): Effect.Effect<ReadonlyArray<Finding>> =>
  Effect.gen(function* () {
    const asked = yield* refusals(identityOf(unit), places)
    const findings: Array<Finding> = []
    for (const [index, place] of places.entries()) {
      const refusal = asked[index]
      if (refusal !== undefined) findings.push(refused(unit, place, refusal))
      else findings.push(...(yield* Effect.promise(() => walled(unit, place))))
    }
    return findings
  })

const refused = (unit: Unit | undefined, place: Place, { at, code }: Refusal): Finding => {
  const who = unit?.user ?? "this user"
  const owner = unit?.user === undefined ? "USER" : `${unit.user}:${unit.group ?? unit.user}`
  const verb = place.wants === "read" ? "read" : "write to"
  const saw = `${who} cannot ${verb} ${place.path}${at === place.path ? "" : `, because of ${at}`} (${code})`
  const cures: Readonly<Record<string, string>> = {
    EROFS: `it is mounted read-only: mount -o remount,rw "$(stat -c %m ${at})", and journalctl -k says why`,
    ENOTDIR: `${at} is no folder: move it away, or name another path for ${place.what}`,
    ENOENT: `it is not there: make it, or name another path for ${place.what}`
  }
  return wrong(place.check, saw, cures[code] ?? permit(place, at, owner))
}

/** The command that lets the owner in. */
const permit = ({ path, wants }: Place, at: string, owner: string): string => {
  const group = owner.split(":")[1] ?? owner
  const isAbove = path.startsWith(`${at}/`) || at === "/"
  if (wants === "read") {
    return isAbove ? `chmod o+x ${at}` : `chown root:${group} ${at} && chmod 640 ${at}`
  }
  if (!isAbove) return `chown -R ${owner} ${path} && chmod u+rwx ${path}`
  return `install -d -m 750 -o ${owner.split(":")[0]} -g ${group} ${path}`
}

/** What the unit's own rules, or a disk without room, keep it from. */
const walled = async (unit: Unit | undefined, { check, path, wants, what }: Place): Promise<ReadonlyArray<Finding>> => {
  const below = (folder: string) => path === resolve(folder) || path.startsWith(`${resolve(folder)}/`)
  if (unit?.hidden.some(below)) {
    const saw = `${path} is hidden from ${unit.name} (ProtectHome)`
    return [wrong(check, saw, `put ${what} elsewhere, below /etc/nodepulse or /var/lib, and name it there`)]
  }
  if (wants === "write" && unit?.writable !== undefined && !unit.writable.some(below)) {
    const saw = `${unit.name} may not write to ${path} (ProtectSystem=strict)`
    const cure = `printf '[Service]\\nReadWritePaths=${path}\\n' | systemctl edit --stdin ${unit.name} && systemctl restart ${unit.name}`
    return [wrong(check, saw, cure)]
  }
  return wants === "write" ? full(check, path) : []
}

const full = async (check: string, path: string): Promise<ReadonlyArray<Finding>> => {
  const there = await existing(path)
  const disk = await statfs(there)
  if (disk.bavail > 0 && (disk.files === 0 || disk.ffree > 0)) return []
  const saw = `the disk of ${path} is full${disk.bavail > 0 ? ": it has no inode left" : ""}`
  return [wrong(check, saw, `free some space on it: du -xh --max-depth=2 "$(stat -c %m ${there})" | sort -h | tail`)]
}

/** The path, or what is there above it. */
export const existing = async (path: string): Promise<string> => {
  for (let at = path; ; at = dirname(at)) {
    if ((await stat(at).catch(() => undefined)) !== undefined || dirname(at) === at) return at
  }
}
