/**
 * Records of the kernel's process accounting, as Linux writes them to the file of acct(2): `struct acct_v3`, 64 bytes, one
 * for each process that ended, in the order of their ends.
 *
 * Pure and total. A record of another version, or of a machine of the other byte order, is told apart and never misread.
 * CPU times are what the kernel kept of them: whole hundredths of a second, cut off, in 13 bits and a power of 8. So
 * a process of less than 10 ms has none at all, and one of 82 s or more is cut to 80 ms, of 11 minutes to 0.64 s, of
 * 87 minutes to 5.12 s (at most 1 part in 1 024).
 */

export const RECORD_BYTES = 64

export interface AccountingRecord {
  /** The command name, at most 15 bytes; bytes that are not UTF-8 as U+FFFD. */
  readonly command: string
  readonly pid: number
  readonly parent: number
  /** Whether it ended as a copy of its parent: it never ran a program of its own. */
  readonly forkedOnly: boolean
  /** When it started, epoch seconds. */
  readonly startedAt: number
  /** How long it lived, in seconds, cut to hundredths. */
  readonly elapsedSeconds: number
  /** User and system time of all its threads, in seconds: at least this, at most 0.02 s more. */
  readonly cpuSeconds: number
}

/** Why a record cannot be read: what the kernel, or another program, wrote instead. */
export interface ForeignRecord {
  readonly reason: string
}

/** The record at `offset`, of which all 64 bytes must be there. */
export const readRecord = (bytes: Buffer, offset: number): AccountingRecord | ForeignRecord => {
  const version = bytes[offset + 1]!
  if (version !== VERSION) return { reason: foreign(version) }
  const end = bytes.indexOf(0, offset + COMMAND)
  const elapsed = bytes.readFloatLE(offset + 28)
  return {
    command: bytes.toString(
      "utf8",
      offset + COMMAND,
      end < 0 ? offset + RECORD_BYTES : Math.min(end, offset + RECORD_BYTES)
    ),
    pid: bytes.readUInt32LE(offset + 16),
    parent: bytes.readUInt32LE(offset + 20),
    forkedOnly: (bytes[offset]! & FORKED) !== 0,
    startedAt: bytes.readUInt32LE(offset + 24),
    elapsedSeconds: elapsed >= 0 && Number.isFinite(elapsed) ? elapsed / TICKS : 0,
    cpuSeconds: (compressed(bytes.readUInt16LE(offset + 32)) + compressed(bytes.readUInt16LE(offset + 34))) / TICKS
  }
}

/** The kernel's `comp_t`: 13 bits of a number, and above them a power of 8. */
export const compressed = (value: number): number => (value & 0x1fff) * 8 ** (value >> 13)

const foreign = (version: number): string => {
  if ((version & BIG_ENDIAN) !== 0) return "its records are of a machine of the other byte order"
  return version < VERSION
    ? `its records are of version ${version}, which name no process: the kernel needs CONFIG_BSD_PROCESS_ACCT_V3`
    : `its records are of version ${version}, and only version ${VERSION} can be read: is it another program's file?`
}

const VERSION = 3
/** The kernel sets it in `ac_version` on machines that store the most significant byte first. */
const BIG_ENDIAN = 0x80
const FORKED = 0x01
const COMMAND = 48
/** Accounting's own ticks a second, on every machine. */
const TICKS = 100
