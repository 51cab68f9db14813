/**
 * Follows the file of the kernel's process accounting from its end on: what was appended since the last read.
 *
 * - A file that was replaced (savelog, logrotate) is read to its end before the new one is, and for as long as the kernel still
 *   writes to it: until the new one has grown.
 * - A file that was cut (`copytruncate`) is read from its beginning, also where it has grown again beyond what was read:
 *   the last record that was read is no longer in its place.
 * - A record that is not whole yet waits; half a record with others behind it (a disk that was full) is passed over.
 * - One read takes `BYTES_MAX`. Where more has come, the oldest of it is passed over and counted: what is told is of now.
 *
 * It holds two files open at most, reads synchronously like procfs, and never waits: a path that is no regular file is refused.
 */
import * as Fs from "node:fs"
import { type AccountingRecord, RECORD_BYTES, readRecord } from "./AccountingRecord.ts"

/** 16 384 records: more than a thousand ends a second, at 15 seconds. */
export const BYTES_MAX = 16_384 * RECORD_BYTES

export interface AccountingRead {
  /** In the order of the ends. */
  readonly records: ReadonlyArray<AccountingRecord>
  /** Records that were passed over, as there were too many, or half of one. */
  readonly skipped: number
  /** Why nothing can be read: a sentence that goes on from the file's name. */
  readonly problem: string | undefined
}

interface Followed {
  readonly file: number
  readonly device: number
  readonly inode: number
  offset: number
  /** The last record that was read; empty before the first. */
  last: Buffer
}

export class AccountingFile {
  readonly path: string
  #current: Followed | undefined
  #older: Followed | undefined
  #opened = false

  constructor(path: string) {
    this.path = path
  }

  /** What has come since the last read; at the first, nothing. */
  read(): AccountingRead {
    const records: Array<AccountingRecord> = []
    const taken = { records, skipped: 0, problem: this.#follow() }
    for (const followed of [this.#older, this.#current]) {
      if (followed === undefined) continue
      const problem = take(followed, taken)
      taken.problem ??= problem
    }
    // The kernel has turned to the new file, and what it had written to the old one has just been read.
    if (this.#older !== undefined && this.#current !== undefined && this.#current.offset > 0)
      this.#older = close(this.#older)
    return taken
  }

  close(): void {
    this.#older = close(this.#older)
    this.#current = close(this.#current)
  }

  /** Makes the file at the path the current one. Resolves to why that cannot be. */
  #follow(): string | undefined {
    let file: number
    try {
      file = Fs.openSync(this.path, Fs.constants.O_RDONLY | Fs.constants.O_NONBLOCK)
    } catch (cause) {
      return unreadable((cause as NodeJS.ErrnoException).code ?? String(cause))
    }
    const stat = Fs.fstatSync(file)
    if (!stat.isFile()) {
      Fs.closeSync(file)
      return "is no regular file"
    }
    const { dev: device, ino: inode, size } = stat
    if (this.#current?.device === device && this.#current.inode === inode) {
      Fs.closeSync(file)
      return undefined
    }
    if (this.#current !== undefined) {
      this.#older = close(this.#older)
      this.#older = this.#current
    }
    const offset = this.#opened ? 0 : size - (size % RECORD_BYTES)
    this.#current = { file, device, inode, offset, last: Buffer.alloc(0) }
    if (!this.#opened) remember(this.#current)
    this.#opened = true
    return undefined
  }
}

/** Reads on in one file. Resolves to what is wrong with it. */
const take = (followed: Followed, into: { records: Array<AccountingRecord>; skipped: number }): string | undefined => {
  try {
    const { size } = Fs.fstatSync(followed.file)
    if (size < followed.offset || !isInPlace(followed)) followed.offset = 0
    const backlog = Math.floor((size - followed.offset) / RECORD_BYTES)
    const over = backlog - BYTES_MAX / RECORD_BYTES
    if (over > 0) {
      followed.offset += over * RECORD_BYTES
      into.skipped += over
    }
    const bytes = Buffer.allocUnsafe(Math.max(0, Math.min(size - followed.offset, BYTES_MAX + RECORD_BYTES - 1)))
    const length = readFully(followed.file, bytes, followed.offset)
    let at = 0
    let problem: string | undefined
    while (at + RECORD_BYTES <= length) {
      const record = readRecord(bytes, at)
      // One whose successor is none is half of one, with the beginning of another.
      if (!("reason" in record) && (at + 2 * RECORD_BYTES > length || isPlausible(bytes, at + RECORD_BYTES))) {
        into.records.push(record)
        at += RECORD_BYTES
        continue
      }
      const next = nextRecord(bytes, at + 1, length)
      if (next === undefined) {
        // One that is alone with its kind may be half of one: the rest of it is still to come.
        if (length - at < 2 * RECORD_BYTES) break
        problem = "reason" in record ? record.reason : "holds something else than records"
        at = length
        break
      }
      into.skipped++
      at = next
    }
    followed.offset += at
    remember(followed)
    return problem
  } catch (cause) {
    return unreadable((cause as NodeJS.ErrnoException).code ?? String(cause))
  }
}

/** Where the next record begins whose successor, where there is one, is a record too. */
const nextRecord = (bytes: Buffer, from: number, length: number): number | undefined => {
  for (let at = from; at < from + RECORD_BYTES - 1 && at + RECORD_BYTES <= length; at++) {
    if (!isPlausible(bytes, at)) continue
    if (at + 2 * RECORD_BYTES > length || isPlausible(bytes, at + RECORD_BYTES)) return at
  }
  return undefined
}

/** Beyond its version, a record names a process that there can be and is padded with zeros. */
const isPlausible = (bytes: Buffer, at: number): boolean => {
  const record = readRecord(bytes, at)
  return !("reason" in record) && record.pid > 0 && record.pid <= PID_MAX && bytes[at + RECORD_BYTES - 1] === 0
}

/** Whether the last record that was read still stands where it was read. */
const isInPlace = ({ file, last, offset }: Followed): boolean => {
  if (last.length === 0) return true
  const now = Buffer.allocUnsafe(last.length)
  return readFully(file, now, offset - last.length) === last.length && now.equals(last)
}

const remember = (followed: Followed): void => {
  const length = Math.min(RECORD_BYTES, followed.offset)
  const last = Buffer.allocUnsafe(length)
  followed.last = last.subarray(0, readFully(followed.file, last, followed.offset - length))
}

const readFully = (file: number, into: Buffer, position: number): number => {
  let length = 0
  while (length < into.length) {
    const read = Fs.readSync(file, into, length, into.length - length, position + length)
    if (read === 0) break
    length += read
  }
  return length
}

const close = (followed: Followed | undefined): undefined => {
  if (followed !== undefined) Fs.closeSync(followed.file)
}

const unreadable = (code: string): string => {
  if (code === "ENOENT") return "is not there: apt install acct switches accounting on and makes it"
  if (code === "EACCES") return "may not be read by the agent: usermod -aG adm nodepulse-agent, and restart the agent"
  return `cannot be read (${code})`
}

/** The most that Linux gives, on 64 bits. */
const PID_MAX = 4_194_304
