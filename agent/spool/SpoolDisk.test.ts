import { execFile, spawn } from "node:child_process"
import { mkdir, mkdtemp, open, readdir, readFile, rm, stat, writeFile } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { promisify } from "node:util"
import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect, Logger, type Scope } from "effect"
import { TestClock } from "effect/testing"
import { seededRandom } from "../../test/Seeded.ts"
import { packRows } from "./PackedRows.ts"
import { type NewSpoolRecord, Spool } from "./Spool.ts"
import { layerDisk, type SpoolDiskOptions } from "./SpoolDisk.ts"
import type { SpoolLocked } from "./SpoolLock.ts"
import { encodeBody, encodeHeader, fileName, HEADER_BYTES } from "./SpoolSegment.ts"
import { randomRows } from "./SpoolSuite.ts"

const seed = Number(process.env.NODEPULSE_SEED ?? Math.floor(Math.random() * 2 ** 31))
const run = promisify(execFile)

const temporaryFolder: Effect.Effect<string, never, Scope.Scope> = Effect.acquireRelease(
  Effect.promise(() => mkdtemp(join(tmpdir(), "nodepulse-disk-"))),
  (path) => Effect.promise(() => rm(path, { recursive: true, force: true }))
)

/** One process's life with the spool in the folder: started for `effect`, stopped after it. */
const withSpool =
  (path: string, options: Omit<SpoolDiskOptions, "path"> = {}) =>
  <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, E | SpoolLocked, Exclude<R, Spool>> =>
    Effect.provide(effect, layerDisk({ path, ...options }))

const record = (n: number): NewSpoolRecord => ({
  exporter: "process_exporter",
  scrapedAt: n,
  rows: packRows([JSON.stringify({ name: `group-${n}` })])
})
const range = (from: number, to: number) => Array.from({ length: to - from }, (_, n) => from + n)
const append = (...numbers: ReadonlyArray<number>) => Spool.use((spool) => spool.append(numbers.map(record)))
const everything = Spool.use((spool) => spool.peek({ order: "oldest", maxBytes: Number.MAX_SAFE_INTEGER }))
const stats = Spool.use((spool) => spool.stats)
/** The numbers of the records that are held, each checked against what was appended. */
const numbers = Effect.map(everything, (found) =>
  found.map(({ id: _, ...rest }) => {
    assert.deepStrictEqual(rest, record(rest.scrapedAt))
    return rest.scrapedAt
  })
)
const remove = (...gone: ReadonlyArray<number>) =>
  Effect.gen(function* () {
    const spool = yield* Spool
    const found = yield* everything
    yield* spool.remove(found.filter(({ scrapedAt }) => gone.includes(scrapedAt)).map(({ id }) => id))
  })
const filesIn = (path: string, ending: string) =>
  Effect.promise(async () => (await readdir(path)).filter((name) => name.endsWith(ending)).sort())
const bytesIn = (path: string) =>
  Effect.promise(async () => {
    let bytes = 0
    for (const name of await readdir(path)) bytes += (await stat(join(path, name))).size
    return bytes
  })
/** Millions of years: the tests' records are of the year 1970. */
const ageless = { maxAge: "1000000000 days" } as const

describe("the spool on disk, restarted", () => {
  it.effect("has what was appended and not what was removed, under the same ids", () =>
    Effect.gen(function* () {
      const path = yield* temporaryFolder
      const before = yield* Effect.gen(function* () {
        yield* append(0, 1, 2)
        yield* append(3, 4, 5, 6)
        yield* remove(1, 4, 6)
        return yield* everything
      }).pipe(withSpool(path))
      for (let restart = 0; restart < 3; restart++) {
        assert.deepStrictEqual(yield* everything.pipe(withSpool(path)), before)
      }
      yield* Effect.gen(function* () {
        assert.deepStrictEqual(yield* numbers, [0, 2, 3, 5])
        yield* remove(3)
        yield* append(7)
        assert.deepStrictEqual(yield* numbers, [0, 2, 5, 7])
        const { damaged, dropped, durable, reason } = yield* stats
        assert.deepStrictEqual(
          { damaged, dropped, durable, reason },
          { damaged: 0, dropped: 0, durable: true, reason: null }
        )
      }).pipe(withSpool(path))
      assert.deepStrictEqual(yield* numbers.pipe(withSpool(path)), [0, 2, 5, 7])
    })
  )

  it.effect("numbers on from the last id, also where nothing is left", () =>
    Effect.gen(function* () {
      const path = yield* temporaryFolder
      const ids: Array<number> = []
      for (let life = 0; life < 5; life++) {
        yield* Effect.gen(function* () {
          yield* append(life, life + 100)
          ids.push(...(yield* everything).map(({ id }) => id))
          yield* remove(life, life + 100)
        }).pipe(withSpool(path))
      }
      assert.strictEqual(ids.length, 10)
      assert.isTrue(ids.every((id, at) => at === 0 || id > ids[at - 1]!))
    })
  )

  it.effect("deletes a segment once all of it is removed, in any order", () =>
    Effect.gen(function* () {
      const path = yield* temporaryFolder
      const random = seededRandom(3)
      yield* Effect.gen(function* () {
        const spool = yield* Spool
        for (const scrapedAt of range(0, 100)) {
          yield* spool.append([{ exporter: "e", scrapedAt, rows: randomRows(random, 2000) }])
        }
        const many = (yield* filesIn(path, ".segment")).length
        assert.isAbove(many, 5)
        const found = yield* spool.peek({ order: "newest", maxBytes: Number.MAX_SAFE_INTEGER })
        for (const { id, scrapedAt } of found) if (scrapedAt % 2 === 0) yield* spool.remove([id])
        assert.strictEqual((yield* filesIn(path, ".segment")).length, many)
        for (const { id } of found) yield* spool.remove([id])
        assert.strictEqual((yield* filesIn(path, ".segment")).length, 1)
      }).pipe(withSpool(path, { maxBytes: 256 * 1024 }))
      assert.deepStrictEqual(yield* everything.pipe(withSpool(path)), [])
      assert.isAtMost((yield* filesIn(path, "")).length, 2)
    })
  )

  it.effect(`holds what a list would hold over restarts, whatever is done (seed ${seed})`, () =>
    Effect.gen(function* () {
      const path = yield* temporaryFolder
      const random = seededRandom(seed)
      let model: Array<number> = []
      let lastId = 0
      let next = 0
      for (let life = 0; life < 25; life++) {
        yield* Effect.gen(function* () {
          const spool = yield* Spool
          assert.deepStrictEqual(yield* numbers, model, `seed ${seed}, life ${life}`)
          for (let step = 0; step < 12; step++) {
            const order = random() < 0.5 ? "oldest" : "newest"
            if (random() < 0.6) {
              const fresh = range(next, next + Math.floor(random() * 4))
              next += fresh.length
              yield* append(...fresh)
              model.push(...fresh)
              const newest = yield* spool.peek({ order: "newest", maxBytes: 0 })
              assert.isAtLeast(
                newest[0]?.id ?? lastId,
                fresh.length === 0 ? 0 : lastId + 1,
                `seed ${seed}, life ${life}`
              )
              lastId = Math.max(lastId, newest[0]?.id ?? 0)
            } else {
              const found = yield* spool.peek({ order, maxBytes: Math.floor(random() * 300) })
              const gone = found.filter(() => random() < 0.7)
              yield* spool.remove(gone.map(({ id }) => id))
              model = model.filter((n) => !gone.some(({ scrapedAt }) => scrapedAt === n))
            }
            yield* TestClock.adjust(Math.floor(random() * 3))
          }
          assert.deepStrictEqual(yield* numbers, model, `seed ${seed}, life ${life}`)
        }).pipe(withSpool(path, { ...ageless, maxBytes: 16_000 + Math.floor(random() * 100_000) }))
      }
      assert.isAbove(next, 100)
    })
  )

  it.effect("counts what is too old by then", () =>
    Effect.gen(function* () {
      const path = yield* temporaryFolder
      yield* append(0, 3_600_000).pipe(withSpool(path))
      yield* TestClock.adjust("90 minutes")
      yield* Effect.gen(function* () {
        assert.deepStrictEqual(yield* numbers, [3_600_000])
        assert.strictEqual((yield* stats).dropped, 1)
      }).pipe(withSpool(path, { maxAge: "1 hour" }))
      assert.deepStrictEqual(yield* numbers.pipe(withSpool(path)), [3_600_000])
    })
  )
})

describe("the bounds of the spool on disk", () => {
  it.effect("hold for the files, also where the middle is removed and over restarts", () =>
    Effect.gen(function* () {
      const path = yield* temporaryFolder
      const random = seededRandom(4)
      const maxBytes = 100_000
      let next = 0
      let dropped = 0
      let removed = 0
      for (let life = 0; life < 4; life++) {
        yield* Effect.gen(function* () {
          const spool = yield* Spool
          for (let step = 0; step < 100; step++) {
            yield* spool.append([{ exporter: "e", scrapedAt: next++, rows: randomRows(random, 1000) }])
            if (step % 3 === 0) {
              const [newest] = yield* spool.peek({ order: "newest", maxBytes: 0 })
              yield* spool.remove([newest!.id])
              removed++
            }
            // An ack file grows by 8 bytes a removal after the bound was looked at.
            assert.isAtMost(yield* bytesIn(path), maxBytes + 100)
          }
          dropped += (yield* stats).dropped
          const kept = (yield* everything).map(({ scrapedAt }) => scrapedAt)
          assert.strictEqual(kept.length + dropped + removed, next)
          assert.isAbove(kept.length, 60)
        }).pipe(withSpool(path, { ...ageless, maxBytes }))
      }
      assert.isAbove(dropped, 100)
    })
  )

  it.effect("are enforced at the start where they were lowered", () =>
    Effect.gen(function* () {
      const path = yield* temporaryFolder
      const random = seededRandom(5)
      yield* Spool.use((spool) =>
        Effect.forEach(range(0, 100), (scrapedAt) =>
          spool.append([{ exporter: "e", scrapedAt, rows: randomRows(random, 1000) }])
        )
      ).pipe(withSpool(path, { ...ageless, maxBytes: 200_000 }))
      yield* Effect.gen(function* () {
        const { records, dropped, oldest } = yield* stats
        assert.strictEqual(records + dropped, 100)
        assert.strictEqual(oldest, dropped)
        assert.isAtMost(yield* bytesIn(path), 20_100)
        assert.isAbove(records, 10)
      }).pipe(withSpool(path, { ...ageless, maxBytes: 20_000 }))
    })
  )

  it.effect("allow one sync for each append, and one of the folder where a segment begins", () =>
    Effect.gen(function* () {
      const path = yield* temporaryFolder
      const calls: Array<string> = []
      const handle = yield* Effect.promise(() => open(process.execPath))
      const methods = Object.getPrototypeOf(handle) as { datasync: () => Promise<void>; sync: () => Promise<void> }
      const { datasync, sync } = methods
      yield* Effect.acquireRelease(
        Effect.sync(() => {
          methods.datasync = function () {
            calls.push("data")
            return datasync.call(this)
          }
          methods.sync = function () {
            calls.push("folder")
            return sync.call(this)
          }
        }),
        () =>
          Effect.promise(() => {
            Object.assign(methods, { datasync, sync })
            return handle.close()
          })
      )
      yield* Effect.gen(function* () {
        for (const n of range(0, 10)) yield* append(2 * n, 2 * n + 1)
        yield* remove(...range(0, 20))
      }).pipe(withSpool(path))
      assert.deepStrictEqual(calls, ["folder", ...range(0, 10).map(() => "data")])
    })
  )

  it.effect("and its files are for this user only", () =>
    Effect.gen(function* () {
      const path = join(yield* temporaryFolder, "var", "spool")
      yield* Effect.gen(function* () {
        yield* append(0, 1)
        yield* remove(0)
        const mode = (name: string) => Effect.promise(async () => (await stat(join(path, name))).mode & 0o777)
        assert.strictEqual(yield* mode("."), 0o700)
        const names = yield* filesIn(path, "")
        assert.strictEqual(names.length, 3)
        for (const name of names) assert.strictEqual(yield* mode(name), 0o600, name)
      }).pipe(withSpool(path))
      assert.deepStrictEqual(yield* filesIn(path, "lock"), [])
    })
  )
})

describe("the spool on disk, damaged", () => {
  it.effect("starts with every good record, and counts a damaged one once", () =>
    Effect.gen(function* () {
      const path = yield* temporaryFolder
      const random = seededRandom(seed)
      const lengths = range(0, 100).map(
        (n) => encodeBody("process_exporter", record(n).rows)!.bytes.length + HEADER_BYTES
      )
      const ends = lengths.map((_, at) => lengths.slice(0, at + 1).reduce((sum, length) => sum + length, 0))
      for (let sample = 0; sample < 40; sample++) {
        yield* Effect.promise(() => rm(path, { recursive: true, force: true }))
        yield* append(...range(0, 100)).pipe(withSpool(path))
        const [name] = yield* filesIn(path, ".segment")
        const file = join(path, name!)
        const bytes = yield* Effect.promise(() => readFile(file))
        assert.strictEqual(bytes.length, ends.at(-1))
        const at = Math.floor(random() * bytes.length)
        const hit = ends.findIndex((end) => at < end)
        const cut = sample % 2 === 0
        const torn = at !== (ends[hit - 1] ?? 0)
        if (!cut) bytes[at] = bytes[at]! ^ (1 + Math.floor(random() * 255))
        yield* Effect.promise(() => writeFile(file, cut ? bytes.subarray(0, at) : bytes))
        const left = cut ? range(0, hit) : range(0, 100).filter((n) => n !== hit)
        const where = `seed ${seed}: ${cut ? "cut" : "flipped"} at ${at}`
        yield* Effect.gen(function* () {
          assert.deepStrictEqual(yield* numbers, left, where)
          assert.strictEqual((yield* stats).damaged, cut && !torn ? 0 : 1, where)
          yield* append(100)
        }).pipe(withSpool(path))
        yield* Effect.gen(function* () {
          assert.deepStrictEqual(yield* numbers, [...left, 100], where)
          assert.strictEqual((yield* stats).damaged, 0, where)
        }).pipe(withSpool(path))
      }
    })
  )

  it.effect("does not count what was removed before it was damaged", () =>
    Effect.gen(function* () {
      const path = yield* temporaryFolder
      yield* Effect.andThen(append(0, 1, 2), remove(0, 1)).pipe(withSpool(path))
      const [name] = yield* filesIn(path, ".segment")
      const bytes = yield* Effect.promise(() => readFile(join(path, name!)))
      bytes.fill(0, 0, HEADER_BYTES + 10)
      yield* Effect.promise(() => writeFile(join(path, name!), bytes))
      yield* Effect.gen(function* () {
        assert.deepStrictEqual(yield* numbers, [2])
        assert.strictEqual((yield* stats).damaged, 0)
      }).pipe(withSpool(path))
    })
  )

  it.effect("sends a record again where its ack is damaged, never the others", () =>
    Effect.gen(function* () {
      const path = yield* temporaryFolder
      yield* Effect.andThen(append(...range(0, 10)), remove(...range(0, 8))).pipe(withSpool(path))
      const [name] = yield* filesIn(path, ".acks")
      const bytes = yield* Effect.promise(() => readFile(join(path, name!)))
      bytes[8 * 3 + 1] = 0xaa
      yield* Effect.promise(() => writeFile(join(path, name!), bytes.subarray(0, bytes.length - 3)))
      yield* Effect.gen(function* () {
        assert.deepStrictEqual(yield* numbers, [3, 7, 8, 9])
        yield* remove(3, 9)
      }).pipe(withSpool(path))
      assert.deepStrictEqual(yield* numbers.pipe(withSpool(path)), [7, 8])
    })
  )

  it.effect("passes over a record that is damaged while it runs, and counts it", () =>
    Effect.gen(function* () {
      const path = yield* temporaryFolder
      yield* Effect.gen(function* () {
        yield* append(0, 1, 2)
        const [name] = yield* filesIn(path, ".segment")
        yield* Effect.promise(async () => {
          const handle = await open(join(path, name!), "r+")
          await handle.write(Buffer.from([0xff, 0xff]), 0, 2, HEADER_BYTES + 3)
          await handle.close()
        })
        assert.deepStrictEqual(yield* numbers, [1, 2])
        const { damaged, records } = yield* stats
        assert.deepStrictEqual([damaged, records], [1, 2])
      }).pipe(withSpool(path))
    })
  )

  it.effect("starts whatever else is in the folder", () =>
    Effect.gen(function* () {
      const path = yield* temporaryFolder
      const random = seededRandom(seed)
      yield* append(0, 1).pipe(withSpool(path))
      yield* Effect.promise(async () => {
        const noise = Buffer.from(range(0, 5000).map(() => Math.floor(random() * 256)))
        await writeFile(join(path, fileName(1_000, "segment")), noise)
        await writeFile(join(path, fileName(1_000, "acks")), noise)
        await writeFile(join(path, fileName(1_001, "segment")), "")
        await writeFile(join(path, fileName(1_002, "acks")), noise)
        await mkdir(join(path, fileName(1_003, "segment")))
        await writeFile(join(path, "notes.txt"), "not ours")
        await run("mkfifo", [join(path, fileName(1_005, "segment"))])
        const header = encodeHeader({ id: 7, scrapedAt: 0, body: { bytes: noise, rowsBytes: 10 } }, 0)
        await writeFile(join(path, fileName(1_004, "segment")), Buffer.concat([header, noise]))
      })
      yield* Effect.gen(function* () {
        const { records, damaged } = yield* stats
        // Noise, and a folder and a pipe in a segment's place. The record of id 7 is cut off...
        assert.deepStrictEqual([records, damaged], [2, 3])
        yield* append(2)
        assert.deepStrictEqual(yield* numbers, [0, 1, 2])
      }).pipe(withSpool(path))
      assert.include(yield* filesIn(path, ""), "notes.txt")
      yield* Effect.gen(function* () {
        assert.deepStrictEqual(yield* numbers, [0, 1, 2])
        assert.isAbove((yield* everything).at(-1)!.id, 1_005)
      }).pipe(withSpool(path))
    })
  )
})

describe("two agents on one spool", () => {
  const locked = (path: string) => numbers.pipe(withSpool(path), Effect.flip)

  it.effect("the second fails and says who has it; the next may have it", () =>
    Effect.gen(function* () {
      const path = yield* temporaryFolder
      yield* Effect.gen(function* () {
        yield* append(0)
        const error = yield* locked(path)
        assert.strictEqual(error._tag, "SpoolLocked")
        assert.include(error.message, `"${path}" is in use by process ${process.pid}`)
        assert.deepStrictEqual(yield* numbers, [0])
      }).pipe(withSpool(path))
      assert.deepStrictEqual(yield* numbers.pipe(withSpool(path)), [0])
    })
  )

  it.effect("a lock of a process that is gone is taken over, one of a process that lives is not", () =>
    Effect.gen(function* () {
      const path = yield* temporaryFolder
      const other = yield* Effect.acquireRelease(
        Effect.sync(() => spawn("sleep", ["60"], { stdio: "ignore" })),
        (child) => Effect.sync(() => child.kill("SIGKILL"))
      )
      const lock = (content: string) => Effect.promise(() => writeFile(join(path, "lock"), content))
      yield* append(0).pipe(withSpool(path))
      yield* lock(`${other.pid} \n`)
      assert.strictEqual((yield* locked(path)).pid, other.pid)
      // The same number, but of a process of an earlier boot.
      yield* lock(`${other.pid} 00000000-0000-0000-0000-000000000000:1\n`)
      if (process.platform === "linux") assert.deepStrictEqual(yield* numbers.pipe(withSpool(path)), [0])
      yield* lock(`${other.pid} \n`)
      yield* Effect.promise(
        () =>
          new Promise((resolve) => {
            other.on("exit", resolve)
            other.kill("SIGKILL")
          })
      )
      assert.deepStrictEqual(yield* numbers.pipe(withSpool(path)), [0])
      for (const content of ["", "nonsense", "0 \n", "-1 \n", "9999999999 x\n"]) {
        yield* lock(content)
        assert.deepStrictEqual(yield* numbers.pipe(withSpool(path)), [0], JSON.stringify(content))
      }
      assert.deepStrictEqual(yield* filesIn(path, "lock"), [])
    })
  )

  it.effect("of many that start at once on a stale lock, one gets it", () =>
    Effect.gen(function* () {
      const path = yield* temporaryFolder
      yield* Effect.promise(() => writeFile(join(path, "lock"), "0 \n"))
      const release = yield* Deferred.make<void>()
      let refused = 0
      const agent = Effect.andThen(append(1), Deferred.await(release)).pipe(
        withSpool(path),
        Effect.as("has it"),
        Effect.catch((error) => {
          refused++
          return Effect.as(refused === 7 ? Deferred.succeed(release, undefined) : Effect.void, error._tag)
        })
      )
      const outcomes = yield* Effect.all(Array(8).fill(agent) as Array<typeof agent>, { concurrency: "unbounded" })
      assert.deepStrictEqual(outcomes.sort(), [...Array<string>(7).fill("SpoolLocked"), "has it"])
      assert.deepStrictEqual(yield* numbers.pipe(withSpool(path)), [1])
    })
  )
})

describe("the spool on a disk that refuses", () => {
  it.effect("keeps records in memory and says why, and writes them once the disk takes them", () =>
    Effect.gen(function* () {
      const folder = yield* temporaryFolder
      const path = join(folder, "in-the-way", "spool")
      yield* Effect.promise(() => writeFile(join(folder, "in-the-way"), ""))
      yield* Effect.gen(function* () {
        yield* append(0, 1)
        yield* append(2)
        yield* remove(1)
        const refused = yield* stats
        assert.isFalse(refused.durable)
        assert.include(refused.reason, "ENOTDIR")
        assert.deepStrictEqual(yield* numbers, [0, 2])
        yield* Effect.promise(() => rm(join(folder, "in-the-way")))
        yield* append(3)
        assert.isFalse((yield* stats).durable)
        yield* TestClock.adjust("30 seconds")
        yield* append(4)
        const { durable, reason, records } = yield* stats
        assert.deepStrictEqual([durable, reason, records], [true, null, 4])
        assert.deepStrictEqual(yield* numbers, [0, 2, 3, 4])
        yield* remove(2)
      }).pipe(withSpool(path))
      assert.deepStrictEqual(yield* numbers.pipe(withSpool(path)), [0, 3, 4])
    })
  )

  it.effect("says so in the log once, and once more when it is over", () =>
    Effect.gen(function* () {
      const lines: Array<string> = []
      const logger = Logger.make(({ message }) => void lines.push(String(message)))
      const folder = yield* temporaryFolder
      yield* Effect.promise(() => writeFile(join(folder, "in-the-way"), ""))
      yield* Effect.gen(function* () {
        for (const n of [0, 1, 2]) {
          yield* append(n)
          yield* TestClock.adjust("30 seconds")
        }
        yield* Effect.promise(() => rm(join(folder, "in-the-way")))
        yield* append(3)
      }).pipe(withSpool(join(folder, "in-the-way", "spool")), Effect.provide(Logger.layer([logger])))
      assert.lengthOf(lines, 2)
      assert.match(lines[0]!, /kept in memory, and lost when the agent stops: .*ENOTDIR/)
      assert.match(lines[1]!, /is written again/)
    })
  )

  it.effect("goes on where its folder is deleted under it", () =>
    Effect.gen(function* () {
      const path = join(yield* temporaryFolder, "spool")
      yield* Effect.gen(function* () {
        yield* append(0)
        yield* Effect.promise(() => rm(path, { recursive: true }))
        yield* append(1)
        yield* append(2)
        const { durable, records } = yield* stats
        assert.deepStrictEqual([durable, records], [true, 3])
        assert.deepStrictEqual((yield* numbers).slice(-2), [1, 2])
      }).pipe(withSpool(path))
      assert.deepStrictEqual(yield* numbers.pipe(withSpool(path)), [1, 2])
    })
  )

  it.effect("does not mix with the records of a folder that appears later", () =>
    Effect.gen(function* () {
      const folder = yield* temporaryFolder
      const [path, away] = [join(folder, "in-the-way", "spool"), join(folder, "away")]
      yield* append(0, 1).pipe(withSpool(join(away, "spool")))
      yield* Effect.promise(() => writeFile(join(folder, "in-the-way"), ""))
      yield* TestClock.adjust("1 minute")
      yield* Effect.gen(function* () {
        yield* append(2)
        yield* Effect.promise(async () => {
          await rm(join(folder, "in-the-way"))
          await run("mv", [away, join(folder, "in-the-way")])
        })
        yield* TestClock.adjust("1 minute")
        yield* append(3)
        assert.deepStrictEqual(yield* numbers, [0, 1, 2, 3])
        assert.isTrue((yield* stats).durable)
      }).pipe(withSpool(path))
      assert.deepStrictEqual(yield* numbers.pipe(withSpool(path)), [0, 1, 2, 3])
    })
  )
})

/** A file system of its own, of `kib` KiB, where we may mount one. */
const smallDisk = (kib: number) =>
  Effect.gen(function* () {
    const path = yield* temporaryFolder
    yield* Effect.acquireRelease(
      Effect.promise(() => run("mount", ["-t", "tmpfs", "-o", `size=${kib}k,mode=0700`, "nodepulse", path])),
      () => Effect.promise(() => run("umount", ["-l", path]))
    )
    return path
  })

const mountable = await (async () => {
  if (process.platform !== "linux" || process.getuid?.() !== 0) return false
  const path = await mkdtemp(join(tmpdir(), "nodepulse-mount-"))
  try {
    await run("mount", ["-t", "tmpfs", "-o", "size=64k", "nodepulse", path])
    await run("umount", [path])
    return true
  } catch {
    return false
  } finally {
    await rm(path, { recursive: true, force: true })
  }
})()

describe.skipIf(!mountable)("the spool on a small disk (left out where this user cannot mount one)", () => {
  it.effect("keeps what a full disk does not take in memory, and writes it once there is room", () =>
    Effect.gen(function* () {
      const path = yield* smallDisk(256)
      const random = seededRandom(6)
      const spoolPath = join(path, "spool")
      const fill = (scrapedAt: number) =>
        Spool.use((spool) => spool.append([{ exporter: "e", scrapedAt, rows: randomRows(random, 3000) }]))
      yield* Effect.gen(function* () {
        yield* Effect.promise(() => writeFile(join(path, "ballast"), Buffer.alloc(100_000)))
        for (const n of range(0, 200)) {
          yield* fill(n)
          yield* TestClock.adjust("1 second")
        }
        const full = yield* stats
        assert.isFalse(full.durable)
        assert.include(full.reason, "ENOSPC")
        assert.strictEqual(full.records, 200)
        assert.deepStrictEqual(
          (yield* everything).map(({ scrapedAt }) => scrapedAt),
          range(0, 200)
        )
        // Removals free their segments, and the rest finds room.
        yield* Effect.gen(function* () {
          const spool = yield* Spool
          const oldest = (yield* everything).slice(0, 180)
          yield* spool.remove(oldest.map(({ id }) => id))
        })
        yield* TestClock.adjust("1 minute")
        yield* fill(200)
        const { durable, records, damaged } = yield* stats
        assert.deepStrictEqual([durable, records, damaged], [true, 21, 0])
      }).pipe(withSpool(spoolPath, { ...ageless, maxBytes: 1024 * 1024 }))
      yield* Effect.gen(function* () {
        assert.deepStrictEqual(
          (yield* everything).map(({ scrapedAt }) => scrapedAt),
          range(180, 201)
        )
        assert.strictEqual((yield* stats).damaged, 0)
      }).pipe(withSpool(spoolPath, { ...ageless, maxBytes: 1024 * 1024 }))
    })
  )

  it.effect("starts on a full disk, and what it delivers makes the room that it needs", () =>
    Effect.gen(function* () {
      const path = yield* smallDisk(256)
      const random = seededRandom(7)
      const options = { ...ageless, maxBytes: 1024 * 1024 }
      const fill = (scrapedAt: number) =>
        Spool.use((spool) => spool.append([{ exporter: "e", scrapedAt, rows: randomRows(random, 3000) }]))
      yield* Effect.forEach(range(0, 60), fill).pipe(withSpool(join(path, "spool"), options))
      yield* Effect.promise(() => writeFile(join(path, "ballast"), Buffer.alloc(300_000)).catch(() => undefined))
      yield* Effect.gen(function* () {
        yield* fill(60)
        const full = yield* stats
        assert.deepStrictEqual([full.durable, full.records, full.damaged], [false, 61, 0])
        assert.include(full.reason, "ENOSPC")
        const spool = yield* Spool
        yield* spool.remove((yield* everything).slice(0, 50).map(({ id }) => id))
        yield* TestClock.adjust("30 seconds")
        yield* fill(61)
        assert.isTrue((yield* stats).durable)
      }).pipe(withSpool(join(path, "spool"), options))
      yield* Effect.gen(function* () {
        assert.deepStrictEqual(
          (yield* everything).map(({ scrapedAt }) => scrapedAt),
          range(50, 62)
        )
      }).pipe(withSpool(join(path, "spool"), options))
    })
  )

  it.effect("reads a read-only disk, keeps new records in memory, and writes them once it may", () =>
    Effect.gen(function* () {
      const path = yield* smallDisk(1024)
      const remount = (mode: "ro" | "rw") => Effect.promise(() => run("mount", ["-o", `remount,${mode}`, path]))
      yield* append(0, 1, 2).pipe(withSpool(join(path, "spool")))
      yield* remount("ro")
      yield* Effect.gen(function* () {
        assert.deepStrictEqual(yield* numbers, [0, 1, 2])
        yield* append(3)
        yield* remove(1)
        const refused = yield* stats
        assert.isFalse(refused.durable)
        assert.include(refused.reason, "EROFS")
        assert.deepStrictEqual(yield* numbers, [0, 2, 3])
        yield* remount("rw")
        yield* TestClock.adjust("30 seconds")
        yield* append(4)
        assert.isTrue((yield* stats).durable)
        assert.deepStrictEqual(yield* numbers, [0, 2, 3, 4])
      }).pipe(withSpool(join(path, "spool")))
      assert.deepStrictEqual(yield* numbers.pipe(withSpool(join(path, "spool"))), [0, 2, 3, 4])
    })
  )
})
