/**
 * A folder that one process holds: a file in it names the holder. A holder that has ended holds nothing, also when its pid
 * was given to another process since (where /proc tells when a process began).
 *
 * It guards against a second start by mistake, not against somebody who deletes the file.
 */
import { randomBytes } from "node:crypto"
import { readFileSync } from "node:fs"
import * as fs from "node:fs/promises"
import { Effect, Schema } from "effect"

export class FolderLocked extends Schema.TaggedError<FolderLocked>()("FolderLocked", {
  path: Schema.String,
  /** The pid of the process that holds it. */
  holder: Schema.String
}) {
  override get message(): string {
    return `${this.path} is held by process ${this.holder}`
  }
}

export class FolderUnlockable extends Schema.TaggedError<FolderUnlockable>()("FolderUnlockable", {
  path: Schema.String,
  cause: Schema.Defect()
}) {
  override get message(): string {
    return `${this.path} cannot be written: ${this.cause}`
  }
}

/** Holds `path` while the scope is open. Fails with the pid of the living process that holds it already, or with the system's error. */
export const lockFolder = Effect.fnUntraced(function* (path: string) {
  const mine = `${process.pid} ${startTimeOf(process.pid)} ${randomBytes(6).toString("hex")}`
  const holder = yield* Effect.tryPromise({
    try: () => takeLock(path, mine),
    catch: (cause) => new FolderUnlockable({ path, cause })
  })
  if (holder !== undefined) return yield* new FolderLocked({ path, holder })
  yield* Effect.addFinalizer(() =>
    Effect.promise(async () => {
      if ((await fs.readFile(path, "utf8").catch(() => "")) === mine) await fs.rm(path, { force: true })
    })
  )
})

/** Resolves to the pid of the living process that holds the lock, or to undefined once it is ours. */
const takeLock = async (path: string, mine: string): Promise<string | undefined> => {
  for (let attempts = 0; attempts < 5; attempts++) {
    try {
      await fs.writeFile(path, mine, { flag: "wx" })
      return undefined
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error
    }
    const holder = await fs.readFile(path, "utf8").catch(() => "")
    const [pid, startTime] = holder.split(" ")
    if (pid !== undefined && sendSignal(Number(pid), 0) && startTimeOf(Number(pid)) === startTime) return pid
    // Renaming takes it from exactly one of several that see it stale; what was taken by mistake is put back.
    const stale = `${path}.${randomBytes(4).toString("hex")}`
    await fs.rename(path, stale).catch(() => {})
    if ((await fs.readFile(stale, "utf8").catch(() => holder)) !== holder) await fs.link(stale, path).catch(() => {})
    await fs.rm(stale, { force: true })
  }
  return "unknown"
}

/** Tells a process from a later one with the same pid; "-" where the system does not say (no /proc). */
const startTimeOf = (pid: number): string => {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "utf8")
    return stat.slice(stat.lastIndexOf(")") + 2).split(" ")[19] ?? "-"
  } catch {
    return "-"
  }
}

/** Sends a signal; 0 only asks. Whether there is such a process. */
export const sendSignal = (pid: number, signal: NodeJS.Signals | 0): boolean => {
  try {
    process.kill(pid, signal)
    return true
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "EPERM"
  }
}
