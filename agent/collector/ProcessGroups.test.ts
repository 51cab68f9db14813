import { assert, describe, it } from "@effect/vitest"
import { ProcessGroups } from "./ProcessGroups.ts"
import type { ProcStat } from "./ProcStat.ts"

const process = (pid: number, comm: string, changes: Partial<ProcStat> = {}): ProcStat => ({
  pid,
  comm,
  state: "S",
  parent: 1,
  kernelThread: false,
  userTicks: 0,
  systemTicks: 0,
  startTicks: pid,
  residentPages: 10,
  ...changes
})

const BOOTED_TICKS = 1_000_000

/** Scans one after another; those in `bare` have no command line. Resolves to name -> [processes, user ticks, pages]. */
const scans = (groups: ProcessGroups, bare: ReadonlySet<number> = new Set()) => {
  let upTicks = BOOTED_TICKS
  return (...processes: ReadonlyArray<ProcStat>) => {
    groups.scan(upTicks, processes, (pid) => !bare.has(pid))
    upTicks += 1_500
    return Object.fromEntries(
      groups
        .groups()
        .map(({ name, processes, residentPages, userTicks }) => [name, [processes, userTicks, residentPages]])
    )
  }
}

describe("process groups", () => {
  it("count processes and memory, and CPU from the first scan on", () => {
    const scan = scans(new ProcessGroups(100))
    const first = scan(process(10, "nginx", { userTicks: 500 }), process(11, "nginx", { userTicks: 70 }))
    assert.deepStrictEqual(first, { nginx: [2, 0, 20] })
    const second = scan(process(10, "nginx", { userTicks: 530 }), process(11, "nginx", { userTicks: 71 }))
    assert.deepStrictEqual(second, { nginx: [2, 31, 20] })
  })

  it("keep what a process used when it exits, and stay when all are gone", () => {
    const scan = scans(new ProcessGroups(100))
    scan(process(10, "cc1"))
    scan(process(10, "cc1", { userTicks: 400 }))
    assert.deepStrictEqual(scan(), { cc1: [0, 400, 0] })
    const again = process(20, "cc1", { userTicks: 5, startTicks: BOOTED_TICKS + 3_000 })
    assert.deepStrictEqual(scan(again), { cc1: [1, 405, 10] })
  })

  it("count a process that started after the first scan in whole", () => {
    const scan = scans(new ProcessGroups(100))
    scan(process(1, "init"))
    const second = scan(process(1, "init"), process(50, "gzip", { userTicks: 333, startTicks: BOOTED_TICKS + 10 }))
    assert.deepStrictEqual(second, { gzip: [1, 333, 10], init: [1, 0, 10] })
  })

  it("do not count what an older process used before it could be seen", () => {
    const scan = scans(new ProcessGroups(100))
    scan(process(1, "init"))
    assert.deepStrictEqual(scan(process(50, "late", { userTicks: 333, startTicks: 5 })), {
      init: [0, 0, 0],
      late: [1, 0, 10]
    })
  })

  it("tell a process from another that got its pid", () => {
    const scan = scans(new ProcessGroups(100))
    scan(process(10, "old", { userTicks: 900, startTicks: 5 }))
    const second = scan(process(10, "new", { userTicks: 4, startTicks: BOOTED_TICKS + 5 }))
    assert.deepStrictEqual(second, { new: [1, 4, 10], old: [0, 0, 0] })
  })

  it("leave kernel threads out", () => {
    const scan = scans(new ProcessGroups(100), new Set([2, 3]))
    const kernel = { kernelThread: true }
    const first = scan(
      process(1, "init"),
      process(2, "kthreadd", { ...kernel, parent: 0 }),
      process(3, "kworker", { ...kernel, parent: 2 })
    )
    assert.deepStrictEqual(first, { init: [1, 0, 10] })
  })

  it("keep a zombie in its group, and put one that was never seen alive into its parent's", () => {
    const scan = scans(new ProcessGroups(100), new Set([12, 13]))
    scan(process(10, "sh"), process(11, "true", { parent: 10 }))
    const dead = { state: "Z", residentPages: 0 }
    const born = { ...dead, startTicks: BOOTED_TICKS + 1 }
    const second = scan(
      process(13, "grandchild", { ...born, parent: 12, userTicks: 2 }),
      process(12, "child", { ...born, parent: 10, userTicks: 3 }),
      process(10, "sh"),
      process(11, "true", { ...dead, parent: 10, userTicks: 7 })
    )
    assert.deepStrictEqual(second, { sh: [3, 5, 10], true: [1, 7, 0] })
  })

  it("take in a process whose command line was empty in the middle of an exec", () => {
    const bare = new Set([10])
    const scan = scans(new ProcessGroups(100), bare)
    assert.deepStrictEqual(scan(process(10, "postgres", { parent: 0 })), {})
    bare.delete(10)
    assert.deepStrictEqual(scan(process(10, "postgres", { parent: 0 })), { postgres: [1, 0, 10] })
  })

  it("follow a process that changes its name", () => {
    const scan = scans(new ProcessGroups(100))
    scan(process(10, "(ostgres)"))
    const second = scan(process(10, "postgres", { userTicks: 40 }))
    assert.deepStrictEqual(second, { "(ostgres)": [0, 0, 0], postgres: [1, 40, 10] })
  })

  it("never exceed their bound but for living processes, and forget the longest gone first", () => {
    const scan = scans(new ProcessGroups(3))
    scan(process(1, "init"), process(2, "a"))
    scan(process(1, "init"), process(3, "b"))
    scan(process(1, "init"), process(4, "c"))
    assert.deepStrictEqual(Object.keys(scan(process(1, "init"), process(5, "d"))), ["c", "d", "init"])
    const alive = scan(process(1, "init"), process(5, "d"), process(6, "e"), process(7, "f"), process(8, "g"))
    assert.deepStrictEqual(Object.keys(alive), ["d", "e", "f", "g", "init"])
  })

  it("never let a counter fall, whatever starts, exits, forks and renames itself", () => {
    let seed = 7
    const random = (below: number) => {
      seed = (seed * 1_103_515_245 + 12_345) % 2_147_483_648
      return Math.floor((seed / 2_147_483_648) * below)
    }
    const groups = new ProcessGroups(1_000)
    let alive: Array<ProcStat> = []
    let before = new Map<string, number>()
    for (let run = 0; run < 300; run++) {
      const now = BOOTED_TICKS + run * 1_500
      alive = alive
        .filter(() => random(10) > 0)
        .map((stat) => ({
          ...stat,
          userTicks: stat.userTicks + random(50),
          comm: random(20) === 0 ? `n${random(9)}` : stat.comm
        }))
      const started = random(6)
      for (let count = 0; count < started; count++) {
        alive.push(process(random(40), `n${random(9)}`, { startTicks: now - random(1_500), userTicks: random(9) }))
      }
      const unique = [...new Map(alive.map((stat) => [stat.pid, stat])).values()]
      groups.scan(now, unique, () => random(8) > 0)
      const after = new Map(groups.groups().map(({ name, userTicks }) => [name, userTicks]))
      for (const [name, ticks] of before) assert.isTrue((after.get(name) ?? -1) >= ticks, `seed 7, run ${run}`)
      before = after
    }
  })
})
