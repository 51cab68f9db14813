/**
 * One agent per spool folder: a file `lock` that names the process that holds it.
 *
 * Guarantee: of several agents on one machine that start on one folder, one gets it; the others fail with `SpoolLocked`.
 * A lock whose process is gone is taken over; so is one whose number was given to another process since (told by the
 * boot and the moment at which the process began, where /proc says so).
 *
 * It does not see processes of other machines, nor of other containers that share the folder.
 */
import { randomUUID } from "node:crypto"
import { link, readFile, rename, rm, writeFile } from "node:fs/promises"
import { join } from "node:path"
import { Effect, Schema } from "effect"
import { attempt, SpoolDiskError } from "./SpoolFolder.ts"

/** Another agent has the folder. Not retryable: two agents must not share one. */
export class SpoolLocked extends Schema.TaggedError<SpoolLocked>()("SpoolLocked", {
  path: Schema.String,
  pid: Schema.Number
}) {
  readonly retryable = false
  override get message(): string {
    return `the spool "${this.path}" is in use by process ${this.pid}: give each agent a folder of its own`
  }
}

/** Takes the lock of the folder, or renews it where this process holds it already. Resolves to what `releaseLock` wants. */
export const acquireLock = (folder: string): Effect.Effect<SpoolLock, SpoolLocked | SpoolDiskError> =>
  Effect.tryPromise({
    try: () => acquire(folder),
    catch: (cause) =>
      cause instanceof SpoolLocked ? cause : new SpoolDiskError({ operation: "lock", path: join(folder, NAME), cause })
  })

/** Gives the lock back, if it is still ours. */
export const releaseLock = (lock: SpoolLock): Effect.Effect<void, SpoolDiskError> =>
  attempt("unlock", lock.file, async () => {
    if ((await readIfThere(lock.file)) === lock.content) await rm(lock.file, { force: true })
  })

/** Whether the lock is still ours: the folder may have been deleted, or another agent be told to take it. */
export const holdsLock = (lock: SpoolLock): Effect.Effect<boolean> =>
  Effect.promise(async () => {
    try {
      return (await readIfThere(lock.file)) === lock.content
    } catch {
      return false
    }
  })

/** The process that has the folder; undefined where none does. */
export const lockHolder = (folder: string): Effect.Effect<number | undefined> =>
  Effect.promise(async () => {
    const content = await readIfThere(join(folder, NAME)).catch(() => undefined)
    return content === undefined ? undefined : ownerAlive(content)
  })

export interface SpoolLock {
  readonly file: string
  readonly content: string
}

const NAME = "lock"
const ATTEMPTS_MAX = 5

const acquire = async (folder: string): Promise<SpoolLock> => {
  const file = join(folder, NAME)
  const content = `${process.pid} ${(await birth(process.pid)) ?? ""}\n`
  for (let attempts = 0; attempts < ATTEMPTS_MAX; attempts++) {
    const present = await readIfThere(file)
    if (present !== undefined) {
      const owner = await ownerAlive(present)
      if (owner !== undefined) throw new SpoolLocked({ path: folder, pid: owner })
      await takeAway(folder, file, present)
    }
    if (await place(file, content)) return { file, content }
  }
  throw new Error(`others took it ${ATTEMPTS_MAX} times`)
}

/** Puts the lock there with its content in one step, so that nobody reads half of it; false where there is one. */
const place = async (file: string, content: string): Promise<boolean> => {
  const own = `${file}.${randomUUID()}`
  try {
    await writeFile(own, content, { mode: 0o600 })
    await link(own, file)
    return true
  } catch (cause) {
    if (hasCode(cause, "EEXIST")) return false
    throw cause
  } finally {
    await rm(own, { force: true }).catch(() => undefined)
  }
}

/** Moves a stale lock away. Where somebody else did so first and this moved their new one: puts it back and gives up. */
const takeAway = async (folder: string, file: string, stale: string): Promise<void> => {
  const away = `${file}.${randomUUID()}`
  try {
    await rename(file, away)
  } catch (cause) {
    if (hasCode(cause, "ENOENT")) return
    throw cause
  }
  const moved = await readIfThere(away)
  const owner = moved === undefined || moved === stale ? undefined : await ownerAlive(moved)
  if (owner !== undefined) await link(away, file).catch(() => undefined)
  await rm(away, { force: true })
  if (owner !== undefined) throw new SpoolLocked({ path: folder, pid: owner })
}

/** The process that a lock names, if it lives. A lock that names none (a power cut emptied it) is nobody's. */
const ownerAlive = async (content: string): Promise<number | undefined> => {
  const [, digits, born] = /^(\d{1,10}) (\S*)\n$/.exec(content) ?? []
  const pid = Number(digits)
  if (!(pid > 0)) return undefined
  try {
    process.kill(pid, 0)
  } catch (cause) {
    // EPERM: it lives, as another user.
    if (!hasCode(cause, "EPERM")) return undefined
  }
  const actual = await birth(pid)
  return born !== "" && actual !== undefined && actual !== born ? undefined : pid
}

/** When a process began: the boot's id and the clock ticks since. Undefined where /proc does not say. */
const birth = async (pid: number): Promise<string | undefined> => {
  try {
    const boot = (await readFile("/proc/sys/kernel/random/boot_id", "utf8")).trim()
    const line = await readFile(`/proc/${pid}/stat`, "utf8")
    // Field 22; the second, the command, may hold spaces and brackets.
    const ticks = line.slice(line.lastIndexOf(")") + 2).split(" ")[19]
    return ticks === undefined ? undefined : `${boot}:${ticks}`
  } catch {
    return undefined
  }
}

const readIfThere = async (file: string): Promise<string | undefined> => {
  try {
    return await readFile(file, "utf8")
  } catch (cause) {
    if (hasCode(cause, "ENOENT")) return undefined
    throw cause
  }
}

const hasCode = (cause: unknown, code: string): boolean =>
  cause instanceof Error && "code" in cause && cause.code === code
