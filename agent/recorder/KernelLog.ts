/**
 * What the kernel says of processes that it killed for want of memory: `/dev/kmsg`, where it may be read.
 *
 * Guarantee: nothing waits (the file is opened non-blocking), no more than {@link RECORDS_MAX} messages are read at a time, and nothing
 * of them is kept but victim, unit, memory and limit. What is not the kernel's own (anyone may write to its log) does not count.
 */
import * as Fs from "node:fs"
import { limitOf } from "./CgroupFiles.ts"

const RECORDS_MAX = 20_000
/** The kernel's own longest is some 1 KiB; a shorter buffer than the message is an error. */
const RECORD_BYTES = 8 * 1024

/** As the kernel tells it. */
export interface KernelKill {
  readonly pid: number
  /** The command name. */
  readonly comm: string
  readonly bytes: number
  readonly scope: "host" | "unit"
  /** The cgroup whose limit was reached; undefined where it was the machine's. */
  readonly limited: string | undefined
  /** That limit, bytes; undefined where it was the machine's, or is not told. */
  readonly limit: number | undefined
  /** The victim's own cgroup; undefined where it is not told. */
  readonly cgroup: string | undefined
}

export interface KernelLog {
  /** Kills since the last question; undefined where the log cannot be read. */
  readonly kills: () => ReadonlyArray<KernelKill> | undefined
}

/** For machines and users without a log to read. */
export const noKernelLog: KernelLog = { kills: () => undefined }

/** The log at `path`, from now on. */
export const openKernelLog = (path = "/dev/kmsg"): KernelLog & { readonly close: () => void } => {
  let file: number | undefined
  try {
    file = Fs.openSync(path, Fs.constants.O_RDONLY | Fs.constants.O_NONBLOCK)
    linesOf(file)
  } catch {
    if (file !== undefined) Fs.closeSync(file)
    return { ...noKernelLog, close: () => {} }
  }
  const opened = file
  return {
    kills: () => {
      try {
        return killsIn(linesOf(opened))
      } catch {
        return undefined
      }
    },
    close: () => Fs.closeSync(opened)
  }
}

/** The kernel's messages that have not been read yet, about kills. */
const linesOf = (file: number): ReadonlyArray<string> => {
  const buffer = Buffer.allocUnsafe(RECORD_BYTES)
  const lines: Array<string> = []
  for (let record = 0; record < RECORDS_MAX; record++) {
    let length: number
    try {
      length = Fs.readSync(file, buffer, 0, RECORD_BYTES, null)
    } catch (cause) {
      const { code } = cause as NodeJS.ErrnoException
      // Overwritten before it was read, or longer than any of ours: the next one.
      if (code === "EPIPE" || code === "EINVAL") continue
      if (code === "EAGAIN") break
      throw cause
    }
    if (length === 0) break
    const line = messageOf(buffer.toString("latin1", 0, length))
    if (line !== undefined && /^memory: usage |oom-kill:|Killed process /.test(line)) lines.push(line)
  }
  return lines
}

/** The message of a record `priority,sequence,microseconds,flags;message`; undefined where it is not the kernel's own. */
export const messageOf = (record: string): string | undefined => {
  const semicolon = record.indexOf(";")
  const priority = Number.parseInt(record, 10)
  // The facility is what the priority is of, above its three lowest bits: 0 is the kernel.
  if (semicolon < 0 || !(priority >= 0 && priority < 8)) return undefined
  const end = record.indexOf("\n", semicolon)
  return record.slice(semicolon + 1, end < 0 ? undefined : end)
}

/** The kills that messages tell, in order of time. */
export const killsIn = (lines: ReadonlyArray<string>): ReadonlyArray<KernelKill> => {
  const kills: Array<KernelKill> = []
  let about: Readonly<Record<string, string>> = {}
  let limit: number | undefined
  for (const line of lines) {
    // What the cgroup held and may hold is said before who is chosen.
    const usage = USAGE.exec(line)
    if (usage !== null) {
      limit = limitOf(1024 * Number(usage[1]))
      continue
    }
    // Longer than a command name, and in front: no process can be called so as to be taken for it.
    if (line.startsWith(FACTS_BEGIN)) {
      about = factsOf(line.slice("oom-kill:".length))
      continue
    }
    const killed = KILLED.exec(line)
    if (killed === null) continue
    const [, pid = "", comm = "", anonymous = "", files = "", shared = "0"] = killed
    const own = about.pid === pid ? about : {}
    const isOfUnit = own.constraint === "CONSTRAINT_MEMCG" || line.startsWith("Memory cgroup out of memory")
    kills.push({
      pid: Number(pid),
      comm,
      bytes: 1024 * (Number(anonymous) + Number(files) + Number(shared)),
      scope: isOfUnit ? "unit" : "host",
      limited: isOfUnit ? own.oom_memcg : undefined,
      limit: isOfUnit && own.oom_memcg !== undefined ? limit : undefined,
      cgroup: own.task_memcg
    })
    about = {}
    limit = undefined
  }
  return kills
}

const FACTS_BEGIN = "oom-kill:constraint="

/** Of the cgroup that reached its limit. Version 1 counts swap on a line of its own. */
const USAGE = /^memory: usage \d{1,19}kB, limit (\d{1,19})kB, failcnt \d{1,19}$/

/** A command name has at most 15 characters, a kernel thread's 63. */
const KILLED =
  /Killed process (\d{1,10}) \((.{0,63})\),? total-vm:\d{1,19}kB, anon-rss:(\d{1,15})kB, file-rss:(\d{1,15})kB(?:, shmem-rss:(\d{1,15})kB)?/

/** `constraint=…,nodemask=(null),cpuset=/,…,oom_memcg=/a,task_memcg=/a,task=hog,pid=1,uid=0`: a path may hold a comma, too. */
const factsOf = (text: string): Readonly<Record<string, string>> => {
  const facts: Record<string, string> = {}
  for (const key of FACTS) {
    const from = text.startsWith(`${key}=`) ? 0 : text.indexOf(`,${key}=`) + 1
    if (from === 0 && !text.startsWith(`${key}=`)) continue
    const value = text.slice(from + key.length + 1)
    const next = FACTS.map((other) => value.indexOf(`,${other}=`)).filter((at) => at >= 0)
    facts[key] = value.slice(0, next.length === 0 ? undefined : Math.min(...next))
  }
  return facts
}

const FACTS = [
  ...["constraint", "nodemask", "cpuset", "mems_allowed", "global_oom"],
  ...["oom_memcg", "task_memcg", "task", "pid", "uid"]
]
