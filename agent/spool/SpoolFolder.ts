/**
 * The spool's folder: its segments and their ack files, one operation of the file system each.
 *
 * Guarantees: what `write` resolved for is on the disk (one `fdatasync` per call); a write that fails leaves the segment
 * as it was, or torn after its last good record, and sealed. An ack file is not synced: an ack that a power cut takes
 * only means that a record is sent again. A segment is deleted before its ack file, never the other way round.
 *
 * Bound: at most two files are open. It decides nothing: when to roll, what to drop and when to try again is
 * `SpoolDisk.ts`'s. One caller at a time.
 */
import { constants, mkdir, open, readdir, rm } from "node:fs/promises"
import { join } from "node:path"
import { Effect, Schema, type Scope } from "effect"
import {
  type Content,
  decodeAcks,
  decodeRecord,
  encodeAcks,
  fileName,
  parseFileName,
  type ScannedRecord,
  SEGMENT_BYTES_MAX,
  scanSegment,
  wholeAcks
} from "./SpoolSegment.ts"

/** The disk does not do what the spool asks of it: full, read-only, missing, no permission. */
export class SpoolDiskError extends Schema.TaggedError<SpoolDiskError>()("SpoolDiskError", {
  operation: Schema.String,
  path: Schema.String,
  cause: Schema.Defect()
}) {
  readonly retryable = true
  override get message(): string {
    return `spool ${this.operation} "${this.path}": ${this.cause instanceof Error ? this.cause.message : String(this.cause)}`
  }
}

/** One segment and its ack file, as far as they are on the disk. */
export interface Segment {
  readonly firstId: number
  size: number
  acksSize: number
  nextSequence: number
  /** Records in it that are still held. */
  live: number
  /** Places that are done with: removed, dropped or damaged. */
  readonly done: Set<number>
  /** Those of `done` that the ack file does not have yet. */
  unsaved: Array<number>
  /** Nothing is appended any more. */
  sealed: boolean
}

/** A segment of an earlier process. */
export interface LoadedSegment {
  readonly segment: Segment
  /** The good records that are not done with. */
  readonly records: ReadonlyArray<ScannedRecord>
  /** The last id in it, done with or not. */
  readonly lastId: number
  /** Records in it that are torn or damaged, those that were done with left out. */
  readonly damaged: number
}

export interface SpoolFolder {
  readonly path: string
  readonly prepare: Effect.Effect<void, SpoolDiskError>
  /** The first ids of all segments, ascending. Deletes ack files whose segment is gone. */
  readonly list: Effect.Effect<ReadonlyArray<number>, SpoolDiskError>
  /** Reads a segment of an earlier process, which stays as it is. */
  readonly load: (firstId: number) => Effect.Effect<LoadedSegment, SpoolDiskError>
  readonly create: (firstId: number) => Effect.Effect<Segment, SpoolDiskError>
  /** Appends to the segment that was created last, and syncs. */
  readonly write: (segment: Segment, bytes: Buffer) => Effect.Effect<void, SpoolDiskError>
  /** A record's content; undefined where it is damaged. */
  readonly read: (segment: Segment, record: ScannedRecord) => Effect.Effect<Content | undefined, SpoolDiskError>
  readonly saveAcks: (segment: Segment) => Effect.Effect<void, SpoolDiskError>
  readonly delete: (segment: Segment) => Effect.Effect<void, SpoolDiskError>
}

/** Runs one operation of the file system, its failure typed. */
export const attempt = <A>(operation: string, path: string, run: () => Promise<A>): Effect.Effect<A, SpoolDiskError> =>
  Effect.tryPromise({ try: run, catch: (cause) => new SpoolDiskError({ operation, path, cause }) })

type Handle = Awaited<ReturnType<typeof open>>

/** A segment's file, open. */
interface Opened {
  readonly segment: Segment
  readonly handle: Handle
}

/** The folder at `path`, which need not exist yet. Its files are closed with the scope. */
export const makeFolder = (path: string): Effect.Effect<SpoolFolder, never, Scope.Scope> =>
  Effect.gen(function* () {
    let writer: Opened | undefined
    let reader: Opened | undefined

    const closeWriter = async () => {
      const opened = writer
      writer = undefined
      await opened?.handle.close().catch(() => undefined)
    }
    const closeReader = async () => {
      const opened = reader
      reader = undefined
      await opened?.handle.close().catch(() => undefined)
    }
    yield* Effect.addFinalizer(() => Effect.promise(() => Promise.all([closeWriter(), closeReader()])))

    const segmentPath = (firstId: number) => join(path, fileName(firstId, "segment"))
    const acksPath = (firstId: number) => join(path, fileName(firstId, "acks"))

    const list = async () => {
      const names = await readdir(path)
      const ids = names.flatMap((name) => parseFileName(name, "segment") ?? []).sort((a, b) => a - b)
      const known = new Set(ids)
      for (const id of names.flatMap((name) => parseFileName(name, "acks") ?? [])) {
        if (!known.has(id)) await rm(acksPath(id), { force: true }).catch(() => undefined)
      }
      return ids
    }

    const load = async (firstId: number): Promise<LoadedSegment> => {
      const file = await readUpTo(segmentPath(firstId), SEGMENT_BYTES_MAX)
      const acks = await readUpTo(acksPath(firstId), SEGMENT_BYTES_MAX).catch(() => ({
        bytes: Buffer.alloc(0),
        size: 0
      }))
      const scan = scanSegment(file.bytes)
      const done = decodeAcks(acks.bytes)
      // What is damaged is counted once: from now on it is done with, like what was delivered.
      const unsaved: Array<number> = []
      for (const { from, to } of scan.lost) {
        for (let sequence = from; sequence <= to; sequence++) {
          if (!done.has(sequence)) unsaved.push(sequence)
        }
      }
      const records = scan.records.filter((record) => !done.has(record.sequence))
      for (const sequence of unsaved) done.add(sequence)
      const segment: Segment = {
        firstId,
        size: file.size,
        acksSize: wholeAcks(acks.size),
        nextSequence: scan.nextSequence,
        live: 0,
        done,
        unsaved,
        sealed: true
      }
      const lastId = Math.max(firstId, scan.records.at(-1)?.id ?? 0)
      return { segment, records, lastId, damaged: unsaved.length }
    }

    const create = async (firstId: number): Promise<Segment> => {
      await closeWriter()
      const handle = await open(segmentPath(firstId), "wx", 0o600)
      try {
        // A file is only there after a power cut if its folder was synced as well.
        await syncFolder(path)
      } catch (cause) {
        await handle.close().catch(() => undefined)
        await rm(segmentPath(firstId), { force: true }).catch(() => undefined)
        throw cause
      }
      const segment: Segment = {
        firstId,
        size: 0,
        acksSize: 0,
        nextSequence: 0,
        live: 0,
        done: new Set(),
        unsaved: [],
        sealed: false
      }
      writer = { segment, handle }
      return segment
    }

    const write = async (segment: Segment, bytes: Buffer) => {
      const handle = writer?.segment === segment ? writer.handle : undefined
      if (handle === undefined || segment.sealed) throw new Error("the segment is sealed")
      try {
        await writeAt(handle, bytes, segment.size)
        await handle.datasync()
        if ((await handle.stat()).nlink === 0) throw new Error("the segment was deleted")
        segment.size += bytes.length
      } catch (cause) {
        // After a failed write or sync nobody knows what the disk has: what is torn goes, and a new segment begins.
        segment.sealed = true
        await handle.truncate(segment.size).catch(() => undefined)
        await closeWriter()
        throw cause
      }
    }

    const read = async (segment: Segment, record: ScannedRecord) => {
      if (reader?.segment !== segment) {
        await closeReader()
        reader = { segment, handle: await open(segmentPath(segment.firstId), "r") }
      }
      const bytes = Buffer.alloc(record.length)
      let length = 0
      while (length < bytes.length) {
        const { bytesRead } = await reader.handle.read(bytes, length, bytes.length - length, record.offset + length)
        if (bytesRead === 0) return undefined
        length += bytesRead
      }
      return decodeRecord(bytes, record)
    }

    const saveAcks = async (segment: Segment) => {
      const bytes = encodeAcks(segment.unsaved)
      const handle = await open(acksPath(segment.firstId), constants.O_WRONLY | constants.O_CREAT, 0o600)
      try {
        await writeAt(handle, bytes, segment.acksSize)
      } finally {
        await handle.close().catch(() => undefined)
      }
      segment.acksSize += bytes.length
      segment.unsaved = []
    }

    const remove = async (segment: Segment) => {
      segment.sealed = true
      if (writer?.segment === segment) await closeWriter()
      if (reader?.segment === segment) await closeReader()
      await rm(segmentPath(segment.firstId), { force: true })
      await rm(acksPath(segment.firstId), { force: true })
    }

    return {
      path,
      prepare: attempt("make folder", path, async () => {
        await mkdir(path, { recursive: true, mode: 0o700 })
      }),
      list: attempt("list", path, list),
      load: (firstId) => attempt("read", segmentPath(firstId), () => load(firstId)),
      create: (firstId) => attempt("create", segmentPath(firstId), () => create(firstId)),
      write: (segment, bytes) => attempt("write", segmentPath(segment.firstId), () => write(segment, bytes)),
      read: (segment, record) => attempt("read", segmentPath(segment.firstId), () => read(segment, record)),
      saveAcks: (segment) =>
        segment.unsaved.length === 0
          ? Effect.void
          : attempt("write", acksPath(segment.firstId), () => saveAcks(segment)),
      delete: (segment) => attempt("delete", segmentPath(segment.firstId), () => remove(segment))
    }
  })

/** The first `max` bytes of a file, and how many it has. */
const readUpTo = async (path: string, max: number): Promise<{ readonly bytes: Buffer; readonly size: number }> => {
  // Without waiting: whoever put a pipe in a file's place would otherwise stop us for good.
  const handle = await open(path, constants.O_RDONLY | constants.O_NONBLOCK)
  try {
    const file = await handle.stat()
    if (!file.isFile()) throw new Error("not a file")
    const { size } = file
    const bytes = Buffer.alloc(Math.min(size, max))
    let length = 0
    while (length < bytes.length) {
      const { bytesRead } = await handle.read(bytes, length, bytes.length - length, length)
      if (bytesRead === 0) break
      length += bytesRead
    }
    return { bytes: bytes.subarray(0, length), size }
  } finally {
    await handle.close().catch(() => undefined)
  }
}

const writeAt = async (handle: Handle, bytes: Buffer, position: number): Promise<void> => {
  let length = 0
  while (length < bytes.length) {
    const { bytesWritten } = await handle.write(bytes, length, bytes.length - length, position + length)
    if (bytesWritten === 0) throw new Error("nothing was written")
    length += bytesWritten
  }
}

const syncFolder = async (path: string): Promise<void> => {
  const handle = await open(path, "r")
  try {
    await handle.sync()
  } finally {
    await handle.close().catch(() => undefined)
  }
}
