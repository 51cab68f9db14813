import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { dirname, join } from "node:path"
import { assert, describe, it } from "@effect/vitest"
import { Clock, Effect, Result } from "effect"
import { parseExposition } from "../../src/plugins/Exposition.ts"
import { NAMED_BY_COMM, openProcessCollector, type ProcessNaming } from "./CollectorProcess.ts"
import { ProcessReader } from "./ProcessReader.ts"
import { ProcFiles } from "./ProcFiles.ts"
import { parseProcStat } from "./ProcStat.ts"

const UP_SECONDS = 10_000
const SCAN_SECONDS = 15

interface Process {
  readonly comm?: string
  /** Ticks of user time. */
  readonly user?: number
  readonly flags?: number
  readonly start?: number
  readonly pages?: number
  /** What each thread waited, in nanoseconds, by its number; one that is not told is the process's own. */
  readonly waits?: Readonly<Record<number, number>>
  /** Other contents of its files; null: no such file. */
  readonly files?: Readonly<Record<string, string | null>>
}

const io = (read: number, written: number) =>
  `rchar: 9\nwchar: 9\nsyscr: 9\nsyscw: 9\nread_bytes: ${read}\nwrite_bytes: ${written}\ncancelled_write_bytes: 1\n`
const status = (switches: number, name = "x") =>
  `Name:\t${name}\nState:\tS (sleeping)\nVmSize:\t  100 kB\nVmSwap:\t   7 kB\nvoluntary_ctxt_switches:\t${switches}\nnonvoluntary_ctxt_switches:\t1\n`

/** The files of a process, as in procfs. */
const filesOf = (
  pid: number,
  { comm = "x", files = {}, flags = 0, pages = 10, start = 5, user = 0, waits }: Process
) => {
  const threads = waits ?? { [pid]: 5 }
  const count = Object.keys(threads).length
  const whole: Record<string, string | null> = {
    stat: `${pid} (${comm}) S 1 1 1 0 -1 ${flags} 0 0 3 0 ${user} 0 0 0 20 0 ${count} 0 ${start} 1000 ${pages} 18446744073709551615 1 1\n`,
    cmdline: flags === 0 ? "x\0" : "",
    status: status(100),
    io: io(1_000, 2_000),
    "fd/0": "",
    "fd/1": ""
  }
  for (const [thread, wait] of Object.entries(threads)) {
    whole[`task/${thread}/schedstat`] = `12345 ${wait} 9\n`
    whole[`task/${thread}/status`] = status(100)
  }
  return Object.entries({ ...whole, ...files }).filter((entry): entry is [string, string] => entry[1] !== null)
}

/** A folder like procfs, that shows each set of processes that it is given. */
const procTree = Effect.gen(function* () {
  const root = yield* Effect.acquireRelease(
    Effect.sync(() => mkdtempSync(join(tmpdir(), "nodepulse-proc-"))),
    (path) => Effect.sync(() => rmSync(path, { recursive: true, force: true }))
  )
  const write = (path: string, text: string) => {
    mkdirSync(dirname(join(root, path)), { recursive: true })
    writeFileSync(join(root, path), text, "latin1")
  }
  const show = (processes: Readonly<Record<number, Process>>) => {
    for (const pid of new ProcFiles(root).pids() ?? []) rmSync(join(root, String(pid)), { recursive: true })
    for (const [pid, process] of Object.entries(processes)) {
      for (const [path, text] of filesOf(Number(pid), process)) write(`${pid}/${path}`, text)
    }
  }
  return { root, write, show }
})

/** A machine whose processes are what each scan is given. Resolves to the value of each series. */
const machine = (more: { readonly schedstat?: string; readonly naming?: (root: string) => ProcessNaming } = {}) =>
  Effect.gen(function* () {
    const { root, show, write } = yield* procTree
    if (more.schedstat !== "") write("self/schedstat", more.schedstat ?? "1 2 3\n")
    const naming = more.naming?.(root) ?? NAMED_BY_COMM
    const collector = yield* openProcessCollector(new ProcFiles(root), yield* Clock.Clock, naming)
    let upSeconds = UP_SECONDS
    return (processes: Readonly<Record<number, Process>>) =>
      Effect.gen(function* () {
        write("uptime", `${upSeconds}.00 1.00\n`)
        upSeconds += SCAN_SECONDS
        show(processes)
        const { samples, skipped } = Result.getOrThrow(parseExposition((yield* collector.collect).text))
        assert.deepStrictEqual(skipped, [])
        return new Map(
          samples.map(({ labels: { groupname, ...labels }, name, value }) => [
            [name.replace(/^(namedprocess|nodepulse)_namegroup_/, ""), groupname, ...Object.values(labels)].join(" "),
            value
          ])
        )
      })
  })

const WAIT = "run_queue_wait_seconds_total"

describe("the process collector", () => {
  it.effect("tells what a process's files tell, counted from the first scan", () =>
    Effect.gen(function* () {
      const scan = yield* machine()
      yield* scan({ 10: { comm: "db" } })
      const series = yield* scan({
        10: { comm: "db", user: 4, waits: { 10: 2_000_000_005 }, files: { io: io(1_500, 2_001), status: status(103) } }
      })
      const expected = {
        "cpu_seconds_total db user": 0.04,
        "read_bytes_total db": 500,
        "write_bytes_total db": 1,
        "context_switches_total db voluntary": 3,
        "context_switches_total db nonvoluntary": 0,
        "memory_bytes db swapped": 7_168,
        "open_filedesc db": 2,
        "num_threads db": 1,
        "major_page_faults_total db": 0,
        "states db Sleeping": 1,
        "states db Running": 0,
        [`${WAIT} db`]: 2
      }
      for (const [name, value] of Object.entries(expected)) assert.strictEqual(series.get(name), value, name)
      assert.strictEqual(series.get("memory_bytes db proportionalResident"), undefined)
    })
  )

  it.effect("counts a thread once that a reading missed", () =>
    Effect.gen(function* () {
      const scan = yield* machine()
      yield* scan({ 10: { comm: "db", waits: { 10: 0, 11: 100e9, 12: 0 } } })
      yield* scan({ 10: { comm: "db", user: 1, waits: { 10: 0, 11: 101e9, 12: 0 } } })
      yield* scan({ 10: { comm: "db", user: 2, waits: { 10: 0, 12: 0 } } })
      const back = yield* scan({ 10: { comm: "db", user: 3, waits: { 10: 0, 11: 103e9, 12: 0 } } })
      assert.strictEqual(back.get(`${WAIT} db`), 3)
      // Less than it had: another thread.
      yield* scan({ 10: { comm: "db", user: 4, waits: { 10: 0, 12: 0 } } })
      const other = yield* scan({ 10: { comm: "db", user: 5, waits: { 10: 0, 11: 2e9, 12: 0 } } })
      assert.strictEqual(other.get(`${WAIT} db`), 5)
    })
  )

  it.effect("is not deceived by a command name that looks like the rest of a file", () =>
    Effect.gen(function* () {
      const scan = yield* machine()
      const comm = ") S 1\nx"
      const named = { status: status(100, "\\nVmSwap:\\t9999 kB\\nvoluntary_ctxt_switches:\\t5") }
      const series = yield* scan({ 10: { comm, files: named } })
      assert.strictEqual(series.get(`memory_bytes ${comm} swapped`), 7_168)
    })
  )

  it.effect(
    "tells no part of a group's measure, and no 0, where a file of one process may not be read or is cut short",
    () =>
      Effect.gen(function* () {
        const cuts: ReadonlyArray<readonly [Readonly<Record<string, string | null>>, ReadonlyArray<string>]> = [
          [{ io: null }, ["read_bytes_total db", "write_bytes_total db"]],
          [{ io: "" }, ["read_bytes_total db", "write_bytes_total db"]],
          [{ io: io(1_000, 2_000).slice(0, 60) }, ["write_bytes_total db"]],
          // In the middle of a number.
          [{ io: io(1_000, 2_000).slice(0, 68) }, ["write_bytes_total db"]],
          [{ "fd/0": null, "fd/1": null }, ["open_filedesc db"]],
          [{ "task/11/schedstat": null }, [`${WAIT} db`]],
          [{ "task/11/schedstat": "12345 77" }, [`${WAIT} db`]],
          [{ status: status(100).slice(0, -30) }, ["context_switches_total db nonvoluntary"]]
        ]
        const whole = yield* (yield* machine())({ 10: { comm: "db" }, 11: { comm: "db" }, 12: { comm: "web" } })
        for (const [files, untold] of cuts) {
          const series = yield* (yield* machine())({
            10: { comm: "db" },
            11: { comm: "db", files },
            12: { comm: "web" }
          })
          assert.deepStrictEqual(
            [...whole.keys()].filter((name) => !series.has(name)),
            untold
          )
        }
      })
  )

  it.effect("keeps the last readings of a process that goes away while it is read, and its group", () =>
    Effect.gen(function* () {
      let vanish = false
      const scan = yield* machine({
        naming: (root) => ({
          ...NAMED_BY_COMM,
          names: {
            ...NAMED_BY_COMM.names,
            // The name is asked between the reading of `stat` and that of the other files.
            nameOf: ({ comm, pid }) => {
              if (vanish) rmSync(join(root, String(pid)), { recursive: true })
              return comm
            }
          }
        })
      })
      yield* scan({ 10: { comm: "db" } })
      vanish = true
      const process = { comm: "db", user: 5, files: { io: io(9_000, 9_000) } }
      const series = yield* scan({ 10: process, 11: { comm: "new", start: 1_000_001 } })
      assert.strictEqual(series.get("cpu_seconds_total db user"), 0.05)
      assert.strictEqual(series.get("read_bytes_total db"), 0)
      assert.strictEqual(series.get("open_filedesc db"), 2)
      // Of one that was never read there is nothing but what its `stat` told.
      assert.strictEqual(series.get("num_procs new"), 1)
      assert.isFalse(series.has("read_bytes_total new"))
    })
  )

  it.effect("leaves kernel threads out, and tells no wait where the kernel does not count it", () =>
    Effect.gen(function* () {
      for (const schedstat of ["", "0 0 0\n"]) {
        const scan = yield* machine({ schedstat })
        const series = yield* scan({ 2: { comm: "kthreadd", flags: 0x0020_0000 }, 10: { comm: "db" } })
        assert.isFalse([...series.keys()].some((name) => name.includes("kthreadd") || name.startsWith(WAIT)))
        assert.isTrue(series.has("context_switches_total db voluntary"))
      }
    })
  )

  it.effect("adds up the waits of threads, keeps those of the gone, and counts a new one in whole", () =>
    Effect.gen(function* () {
      const scan = yield* machine()
      const seconds = (wait: number) => wait * 1e9
      yield* scan({ 10: { waits: { 10: seconds(1), 20: seconds(100), 21: seconds(50) } } })
      const second = yield* scan({ 10: { user: 1, waits: { 10: seconds(2), 21: seconds(53), 22: seconds(10) } } })
      assert.strictEqual(second.get(`${WAIT} x`), 1 + 3 + 10)
      assert.strictEqual(second.get("states x Sleeping"), 4)
      // Another thread got the number 22.
      const third = yield* scan({ 10: { user: 2, waits: { 10: seconds(2), 22: seconds(4) } } })
      assert.strictEqual(third.get(`${WAIT} x`), 14 + 4)
      const alone = yield* scan({ 10: { user: 3, waits: { 10: seconds(3) } } })
      assert.strictEqual(alone.get(`${WAIT} x`), 18 + 1)
    })
  )

  it.effect("reads a bounded number of threads a scan, all of them in turn", () =>
    Effect.gen(function* () {
      const { root, show, write } = yield* procTree
      write("self/schedstat", "1 2 3\n")
      const files = new ProcFiles(root)
      const reader = new ProcessReader(files, 100, 10)
      let ticks = 1_000_000
      /** Resolves to what each process waited, of six threads, six, and eleven. */
      const scan = (user: number, wait: number) => {
        const waits = (first: number, threads: number) =>
          Object.fromEntries(Array.from({ length: threads }, (_, n) => [first + n, wait]))
        show({
          100: { user, waits: waits(100, 6) },
          230: { user, waits: waits(230, 6) },
          300: { waits: waits(300, 11) }
        })
        reader.begin(ticks)
        ticks += 1_500
        const stats = [100, 230, 300].map((pid) => {
          const line = files.bytes(`${pid}/stat`)!
          return parseProcStat(line, line.length)!
        })
        for (const stat of stats) reader.read(stat)
        reader.end()
        return stats.map((stat) => reader.readingsOf(stat).waitNanos)
      }
      assert.deepStrictEqual(scan(0, 1), [6, Number.NaN, Number.NaN])
      assert.deepStrictEqual(scan(1, 2), [6, 12, Number.NaN])
      assert.deepStrictEqual(scan(2, 3), [18, 12, Number.NaN])
      // Those that had no room are read when there is, though they used no CPU since.
      assert.deepStrictEqual(scan(2, 4), [18, 24, Number.NaN])
    })
  )

  it.effect(
    "reads a process that used no CPU again within a minute, one that did at once, and never all in one scan",
    () =>
      Effect.gen(function* () {
        const scan = yield* machine()
        const pids = Array.from({ length: 24 }, (_, n) => 100 + 5 * n)
        const all = (read: number) =>
          Object.fromEntries(pids.map((pid) => [pid, { comm: `p${pid}`, files: { io: io(read, 0) } }]))
        yield* scan(all(1_000))
        const readAt: Array<number> = []
        for (let run = 1; run <= 4; run++) {
          const series = yield* scan({
            ...all(1_000 + run),
            100: { comm: "p100", user: run, files: { io: io(1_000 + run, 0) } }
          })
          assert.strictEqual(series.get("read_bytes_total p100"), run)
          readAt.push(pids.slice(1).filter((pid) => series.get(`read_bytes_total p${pid}`) === run).length)
        }
        assert.strictEqual(
          readAt.reduce((sum, count) => sum + count, 0),
          23
        )
        for (const count of readAt) assert.isAtMost(count, 8)
      })
  )

  it.effect("tells the share of memory of a large group once each of its processes was sampled", () =>
    Effect.gen(function* () {
      const scan = yield* machine()
      const large = (pss: string | null) => ({ pages: 4_096, files: { smaps_rollup: pss } })
      const rollup = (kilobytes: number) =>
        `55-7f ---p 00000000 00:00 0 [rollup]\nRss: 16384 kB\nPss: ${kilobytes} kB\n`
      const series = yield* scan({
        10: { comm: "fpm", ...large(rollup(9_000)) },
        11: { comm: "fpm", ...large(rollup(1_000)) },
        12: { comm: "alone", ...large(rollup(9_000)) },
        13: { comm: "denied", ...large(rollup(9_000)) },
        14: { comm: "denied", ...large(null) },
        15: { comm: "small", files: { smaps_rollup: rollup(1) } },
        16: { comm: "small", files: { smaps_rollup: rollup(1) } },
        17: { comm: "vast", ...large(rollup(9)) },
        18: { comm: "vast", pages: 600_000, files: { smaps_rollup: rollup(9) } }
      })
      const told = [...series].filter(([name]) => name.endsWith("proportionalResident"))
      assert.deepStrictEqual(told, [["memory_bytes fpm proportionalResident", 10_000 * 1_024]])
      assert.strictEqual(series.get("memory_bytes fpm resident"), 2 * 4_096 * 4_096)
    })
  )
})
