/**
 * Asks whether files and folders can be used by the user that a part of NodePulse runs as, rather than by whoever asks.
 *
 * As root, a child process becomes that user first, with all its groups, so that the kernel answers: modes, ACLs, read-only
 * mounts. As somebody else, owner, group and mode are compared, from the root of the file system down. Nothing is written.
 *
 * Bound: `ANSWER_WITHIN` for one child, and `FILES_MAX` files of a folder.
 */
import { execFile } from "node:child_process"
import { stat } from "node:fs/promises"
import { userInfo } from "node:os"
import { dirname, join } from "node:path"
import { Effect } from "effect"

const ANSWER_WITHIN = 10_000
const FILES_MAX = 1_000

export interface Wish {
  readonly path: string
  /** `read`: a file's content. `write`: a folder and all files in it; where it is missing, it has to be makable. */
  readonly wants: "read" | "write"
}

export interface Refusal {
  /** What refuses: the file, a folder above it, or a file in it. */
  readonly at: string
  /** `EACCES`, `EROFS`, `ENOTDIR`, `ENOENT`, … */
  readonly code: string
}

export interface UnitIdentity {
  readonly user: string
  readonly group: string | undefined
}

/** What refuses each wish, undefined where nothing does; as `who`, or as whoever runs this. Of a missing user, nothing. */
export const refusals = (
  who: UnitIdentity | undefined,
  wishes: ReadonlyArray<Wish>
): Effect.Effect<ReadonlyArray<Refusal | undefined>> =>
  Effect.promise(async () => {
    if (who === undefined || who.user === userInfo().username) return answersOf(wishes, [])
    const ids = await idsOf(who)
    if (ids === undefined) return wishes.map(() => undefined)
    if (process.getuid?.() !== 0) return Promise.all(wishes.map((wish) => byMode(wish, ids)))
    return answersOf(wishes, [who.user, String(ids.uid), String(ids.gid)])
  })

/** Whether nobody of that name is on this machine. */
export const isMissing = (who: UnitIdentity): Effect.Effect<boolean> =>
  Effect.map(userIdOf(who), (id) => id === undefined)

/** The id of a user; undefined where there is nobody of that name. */
export const userIdOf = (who: UnitIdentity): Effect.Effect<number | undefined> =>
  Effect.promise(async () => (await idsOf(who))?.uid)

/** Runs in a process of its own, which becomes the user that it is given. Plain JavaScript, since it is no file. */
const CHILD = `
const fs = require("node:fs"), path = require("node:path")
const [wishes, name, uid, gid] = process.argv.slice(1)
if (name !== undefined) {
  process.initgroups(name, Number(gid)); process.setgid(Number(gid)); process.setuid(Number(uid))
}
const { R_OK, W_OK, X_OK } = fs.constants
const passable = (folder) => { try { fs.accessSync(folder, X_OK); return true } catch { return false } }
const above = (at) => (path.dirname(at) === at ? [] : [...above(path.dirname(at)), path.dirname(at)])
const refusal = (at, error) => {
  const code = error.code ?? String(error)
  const wall = code === "EACCES" ? above(at).find((folder) => !passable(folder)) : undefined
  return { at: wall ?? error.path ?? at, code }
}
const write = (wanted) => {
  let at = wanted
  for (;;) {
    try {
      if (!fs.statSync(at).isDirectory()) return { at, code: "ENOTDIR" }
      fs.accessSync(at, W_OK | X_OK)
      break
    } catch (error) {
      if (error.code !== "ENOENT" || path.dirname(at) === at) return refusal(at, error)
      at = path.dirname(at)
    }
  }
  if (at !== wanted) return null
  try {
    for (const file of fs.readdirSync(at).slice(0, ${FILES_MAX})) {
      try { fs.accessSync(path.join(at, file), R_OK | W_OK) } catch (error) { if (error.code !== "ENOENT") throw error }
    }
    return null
  } catch (error) { return refusal(at, error) }
}
const read = (at) => {
  try { fs.closeSync(fs.openSync(at, "r")); return null } catch (error) { return refusal(at, error) }
}
process.stdout.write(JSON.stringify(JSON.parse(wishes).map(({ path, wants }) => (wants === "write" ? write : read)(path))))
`

const answersOf = (wishes: ReadonlyArray<Wish>, as: ReadonlyArray<string>) =>
  new Promise<ReadonlyArray<Refusal | undefined>>((resolve) => {
    const args = ["-e", CHILD, JSON.stringify(wishes), ...as]
    execFile(process.execPath, args, { timeout: ANSWER_WITHIN, cwd: "/" }, (error, output) => {
      if (error === null) {
        const answers = JSON.parse(output) as ReadonlyArray<Refusal | null>
        return resolve(answers.map((one) => one ?? undefined))
      }
      resolve(wishes.map(({ path }) => ({ at: path, code: "no answer" })))
    })
  })

interface Ids {
  readonly uid: number
  readonly gid: number
  readonly groups: ReadonlyArray<number>
}

const idsOf = async ({ group, user }: UnitIdentity): Promise<Ids | undefined> => {
  const uid = Number(await printed("id", "-u", user))
  const groups = (await printed("id", "-G", user))?.split(" ").map(Number)
  const own = Number(await printed("id", "-g", user))
  if (groups === undefined || Number.isNaN(uid)) return undefined
  const entry = group === undefined ? undefined : await printed("getent", "group", group)
  const gid = entry === undefined ? own : Number(entry.split(":")[2])
  return { uid, gid, groups: [...groups, gid] }
}

const printed = (program: string, ...args: ReadonlyArray<string>) =>
  new Promise<string | undefined>((resolve) => {
    execFile(program, args, { timeout: ANSWER_WITHIN }, (error, output) =>
      resolve(error === null ? output.trim() : undefined)
    )
  })

const [READ, WRITE, PASS] = [4, 2, 1]

/** By owner, group and mode. */
const byMode = async ({ path, wants }: Wish, ids: Ids): Promise<Refusal | undefined> => {
  const steps = path.split("/").filter((part) => part !== "")
  for (let count = 0; count <= steps.length; count++) {
    const at = join("/", ...steps.slice(0, count))
    const isLast = count === steps.length
    const found = await stat(at).catch((error: NodeJS.ErrnoException) => error.code ?? "EIO")
    if (typeof found === "string") {
      if (found !== "ENOENT" || wants === "read") return { at, code: found }
      const above = await stat(dirname(at)).catch(() => undefined)
      return above !== undefined && may(above, ids, WRITE | PASS) ? undefined : { at: dirname(at), code: "EACCES" }
    }
    const bits = isLast ? (wants === "read" ? READ : WRITE | PASS) : PASS
    if (!may(found, ids, bits)) return { at, code: "EACCES" }
  }
  return undefined
}

const may = (file: { readonly uid: number; readonly gid: number; readonly mode: number }, ids: Ids, bits: number) => {
  const shift = file.uid === ids.uid ? 6 : ids.groups.includes(file.gid) ? 3 : 0
  return ids.uid === 0 || ((file.mode >> shift) & bits) === bits
}
