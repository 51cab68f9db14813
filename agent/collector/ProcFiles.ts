/**
 * Reads of procfs and sysfs: small files whose content the kernel makes up as they are read, so they are read synchronously.
 *
 * Every file is closed before a function returns, and no read is larger than its buffer. What is not there, or may not be
 * read, is undefined: processes come and go while they are looked at.
 */
import * as Fs from "node:fs"
import { endianness } from "node:os"
import { basename } from "node:path"
import { argumentsOf, COMMAND_LINE_BYTES } from "./names/CommandLine.ts"

/** A procfs, or sysfs, mounted at `root`. Not for concurrent use: its buffer is shared by its reads. */
export class ProcFiles {
  readonly root: string
  readonly #buffer = Buffer.allocUnsafe(BUFFER_BYTES)
  #sizeIsCount: boolean | undefined

  constructor(root = "/proc") {
    this.root = root
  }

  /** The file's bytes in a buffer that the next read overwrites; undefined where it cannot be read or is too long. */
  bytes(path: string): Buffer | undefined {
    let file: number
    try {
      file = Fs.openSync(`${this.root}/${path}`, "r")
    } catch {
      return undefined
    }
    try {
      let length = 0
      while (length < BUFFER_BYTES) {
        const read = Fs.readSync(file, this.#buffer, length, BUFFER_BYTES - length, null)
        if (read === 0) return this.#buffer.subarray(0, length)
        length += read
      }
      return undefined
    } catch {
      return undefined
    } finally {
      Fs.closeSync(file)
    }
  }

  /** The file as text of single bytes: what the kernel writes there is ASCII. */
  text(path: string): string | undefined {
    return this.bytes(path)?.toString("latin1")
  }

  /**
   * What one read gives of a file that the kernel makes up as one record, as those of a process are: whole. In a buffer that
   * the next read overwrites; undefined where it cannot be read.
   */
  record(path: string, bytesMax = BUFFER_BYTES): Buffer | undefined {
    let file: number
    try {
      file = Fs.openSync(`${this.root}/${path}`, "r")
    } catch {
      return undefined
    }
    try {
      return this.#buffer.subarray(0, Fs.readSync(file, this.#buffer, 0, bytesMax, null))
    } catch {
      return undefined
    } finally {
      Fs.closeSync(file)
    }
  }

  /** The arguments of a process, the first 64 KiB of them; empty where it has none, or they may not be read. */
  commandLine(pid: number): ReadonlyArray<string> {
    const bytes = this.record(`${pid}/cmdline`, COMMAND_LINE_BYTES)
    return bytes === undefined ? [] : argumentsOf(bytes)
  }

  /** The paths of a process's control groups, one a hierarchy; empty where they cannot be read. */
  controlGroups(pid: number): ReadonlyArray<string> {
    const lines = this.bytes(`${pid}/cgroup`)?.toString("utf8").split("\n") ?? []
    // A line is `number:controllers:path`, and a path may hold colons.
    return lines.flatMap((line) => /^\d+:[^:]*:(.*)$/.exec(line)?.[1] ?? [])
  }

  /** Who a process runs as, its effective user; undefined where it is gone. */
  owner(pid: number): number | undefined {
    const user = /^Uid:\t\d+\t(\d+)/m.exec(this.text(`${pid}/status`) ?? "")?.[1]
    return user === undefined ? undefined : Number(user)
  }

  /** When the machine was booted, epoch milliseconds, in whole seconds as the kernel tells it; undefined where it does not. */
  bootedAt(): number | undefined {
    const seconds = /^btime (\d+)$/m.exec(this.text("stat") ?? "")?.[1]
    return seconds === undefined ? undefined : Number(seconds) * 1_000
  }

  /** Where a link leads; undefined where it is none, or may not be read. */
  link(path: string): string | undefined {
    try {
      return Fs.readlinkSync(`${this.root}/${path}`)
    } catch {
      return undefined
    }
  }

  /** Whether there is such a file or folder. */
  exists(path: string): boolean {
    return Fs.existsSync(`${this.root}/${path}`)
  }

  /** The names of the folders in a folder; undefined where it cannot be read. Bytes that are not UTF-8 become U+FFFD. */
  folders(path: string): ReadonlyArray<string> | undefined {
    try {
      const entries = Fs.readdirSync(`${this.root}/${path}`, { withFileTypes: true })
      return entries.filter((entry) => entry.isDirectory()).map(({ name }) => name)
    } catch {
      return undefined
    }
  }

  /** The number that tells a folder from a later one of the same name; undefined where it is gone. */
  inode(path: string): number | undefined {
    return Fs.statSync(`${this.root}/${path}`, { throwIfNoEntry: false })?.ino
  }

  /** The last part of where a link leads; undefined where it is none. */
  linkName(path: string): string | undefined {
    try {
      return basename(Fs.readlinkSync(`${this.root}/${path}`))
    } catch {
      return undefined
    }
  }

  /** The ids of all processes; undefined where the folder cannot be read. */
  pids(): ReadonlyArray<number> | undefined {
    return this.numbersIn("")
  }

  /** The entries of a folder that are numbers; undefined where it cannot be read. */
  numbersIn(path: string): ReadonlyArray<number> | undefined {
    try {
      return Fs.readdirSync(`${this.root}/${path}`)
        .filter((name) => /^[1-9]\d*$/.test(name))
        .map(Number)
    } catch {
      return undefined
    }
  }

  /**
   * How many files a process has open; undefined where that may not be seen, or it is gone. Since Linux 6.2 their number is
   * the size of the folder, which anyone may ask for. Before, they are listed.
   */
  countOpen(pid: number): number | undefined {
    try {
      this.#sizeIsCount ??= (Fs.statSync(`${this.root}/self/fd`, { throwIfNoEntry: false })?.size ?? 0) > 0
      const folder = `${this.root}/${pid}/fd`
      return this.#sizeIsCount ? Fs.statSync(folder, { throwIfNoEntry: false })?.size : Fs.readdirSync(folder).length
    } catch {
      return undefined
    }
  }
}

/** What the kernel counts in: clock ticks a second (getconf CLK_TCK) and bytes a page (getconf PAGESIZE). */
export interface KernelUnits {
  readonly ticksPerSecond: number
  readonly pageBytes: number
}

/** From the auxiliary vector that the kernel hands to each process (getauxval(3)); 100 and 4096 where it is not readable. */
export const kernelUnits = (
  files: ProcFiles,
  wordBytes = process.arch === "arm" || process.arch === "ia32" ? 4 : 8
): KernelUnits => {
  const vector = files.bytes("self/auxv")
  const units = { ticksPerSecond: 100, pageBytes: 4096 }
  if (vector === undefined) return units
  const little = endianness() === "LE"
  const word = (at: number): number => {
    if (wordBytes === 4) return little ? vector.readUInt32LE(at) : vector.readUInt32BE(at)
    return Number(little ? vector.readBigUInt64LE(at) : vector.readBigUInt64BE(at))
  }
  for (let at = 0; at + 2 * wordBytes <= vector.length; at += 2 * wordBytes) {
    const value = word(at + wordBytes)
    if (word(at) === AT_CLKTCK && value > 0) units.ticksPerSecond = value
    if (word(at) === AT_PAGESZ && value > 0) units.pageBytes = value
  }
  return units
}

/** Enough for /proc/stat of a machine with 1 024 cores, whose `intr` line is the longest in procfs. */
const BUFFER_BYTES = 512 * 1024
const AT_PAGESZ = 6
const AT_CLKTCK = 17
