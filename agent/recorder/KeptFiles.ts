/**
 * Files of procfs, sysfs and cgroups that are read each second: they stay open, since opening and closing one costs more than twice what
 * reading it does.
 *
 * Guarantee: a file of what is gone (a process, a cgroup) reads as undefined, whatever has its name now is opened anew; an open file keeps
 * neither from going. Bound: {@link KEPT_MAX} files; one that was not read for {@link IDLE_READS} beginnings of a sample is closed.
 */
import * as Fs from "node:fs"

const KEPT_MAX = 128
const IDLE_READS = 5
const BUFFER_BYTES = 512 * 1024
/** The kernel hands out what it makes up a page at a time: less than this much is the end. */
const SURELY_WHOLE = 3_000

interface Kept {
  readonly file: number
  used: number
}

export class KeptFiles {
  readonly root: string
  readonly #buffer = Buffer.allocUnsafe(BUFFER_BYTES)
  readonly #kept = new Map<string, Kept>()
  #sample = 0

  constructor(root: string) {
    this.root = root
  }

  /** Begins a sample: closes what is not read any more. */
  begin(): void {
    this.#sample++
    for (const [path, { used }] of this.#kept) if (this.#sample - used > IDLE_READS) this.#close(path)
  }

  /** Its bytes in a buffer that the next read overwrites; undefined where it cannot be read or is too long. */
  bytes(path: string): Buffer | undefined {
    const kept = this.#kept.get(path)
    const again = kept === undefined ? undefined : this.#read(path, kept)
    if (again !== undefined) return again
    const opened = this.#open(path)
    return opened === undefined ? undefined : this.#read(path, opened)
  }

  /** The file as text of single bytes. */
  text(path: string): string | undefined {
    return this.bytes(path)?.toString("latin1")
  }

  close(): void {
    for (const path of this.#kept.keys()) this.#close(path)
  }

  #open(path: string): Kept | undefined {
    try {
      const kept = { file: Fs.openSync(`${this.root}/${path}`, "r"), used: this.#sample }
      if (this.#kept.size >= KEPT_MAX) this.close()
      this.#kept.set(path, kept)
      return kept
    } catch {
      return undefined
    }
  }

  #read(path: string, kept: Kept): Buffer | undefined {
    try {
      let length = 0
      while (length < BUFFER_BYTES) {
        const read = Fs.readSync(kept.file, this.#buffer, length, BUFFER_BYTES - length, length)
        length += read
        if (read === 0 || length < SURELY_WHOLE) {
          kept.used = this.#sample
          return length === 0 ? undefined : this.#buffer.subarray(0, length)
        }
      }
    } catch {
      // It is gone.
    }
    this.#close(path)
    return undefined
  }

  #close(path: string): void {
    const kept = this.#kept.get(path)
    if (kept === undefined) return
    this.#kept.delete(path)
    Fs.closeSync(kept.file)
  }
}
