import { assert, describe, it } from "@effect/vitest"
import { type ProcessGroup, ProcessGroups } from "./ProcessGroups.ts"
import type { Measures } from "./ProcessMeasures.ts"
import type { ProcStat } from "./ProcStat.ts"

const process = (pid: number, comm: string, changes: Partial<ProcStat> = {}): ProcStat => ({
  pid,
  comm,
  state: "S",
  parent: 1,
  kernelThread: false,
  majorFaults: 0,
  threads: 1,
  userTicks: 0,
  systemTicks: 0,
  childTicks: 0,
  startTicks: pid,
  residentPages: 10,
  ...changes
})

const BOOTED_TICKS = 1_000_000

const STEP_TICKS = 1_500

const NOTHING_ELSE = {
  readBytes: 0,
  writeBytes: 0,
  voluntarySwitches: 0,
  nonvoluntarySwitches: 0,
  waitNanos: 0,
  openFiles: 0,
  swapBytes: 0,
  proportionalBytes: Number.NaN,
  running: 0,
  sleeping: 1,
  waiting: 0,
  zombie: 0,
  other: 0
}

/** The only group of this name. */
const named = (groups: ProcessGroups, name: string): ProcessGroup => {
  const [found, ...more] = groups.groups().filter((group) => group.name === name)
  assert.deepStrictEqual(more, [])
  return found!
}

/** A machine of 100 ticks a second, with processes named by their commands but for those in `bare`. */
class Machine {
  readonly groups: ProcessGroups
  readonly bare: Set<number>
  readonly units = new Map<number, string>()
  /** Of each time that a name was asked for, the process. */
  readonly asked: Array<number> = []
  /** What is measured besides `stat`. */
  readonly measures = new Map<number, Partial<Measures>>()
  upTicks = BOOTED_TICKS

  constructor(groupsMax = 100, bare: ReadonlyArray<number> = []) {
    this.groups = new ProcessGroups(groupsMax, 100)
    this.bare = new Set(bare)
  }

  /** Resolves to name, or unit/name -> [processes, user ticks, pages]. */
  readonly scan = (...processes: ReadonlyArray<ProcStat>) => {
    this.groups.place(this.upTicks, processes, {
      unitOf: (pid) => this.units.get(pid) ?? "",
      nameOf: ({ comm, pid }) => {
        this.asked.push(pid)
        return this.bare.has(pid) ? undefined : comm
      }
    })
    this.groups.count((stat) => ({ ...stat, ...NOTHING_ELSE, ...this.measures.get(stat.pid) }))
    this.upTicks += STEP_TICKS
    return Object.fromEntries(
      this.groups
        .groups()
        .map(({ name, processes, residentPages, unit, userTicks }) => [
          unit === "" ? name : `${unit}/${name}`,
          [processes, userTicks, residentPages]
        ])
    )
  }
}

describe("process groups", () => {
  it("are fewer where their limit falls: the largest stay, the others count in other from then on, and come back from 0", () => {
    const { groups, scan } = new Machine()
    const at = (ticks: number) => [
      process(10, "big", { residentPages: 900, userTicks: ticks }),
      process(11, "small", { residentPages: 5, userTicks: ticks }),
      process(12, "middle", { residentPages: 50, userTicks: ticks })
    ]
    scan(...at(0))
    scan(...at(100))
    groups.limit(2)
    assert.deepStrictEqual(scan(...at(130)), { big: [1, 130, 900], middle: [1, 130, 50], other: [1, 30, 5] })
    groups.limit(2)
    assert.deepStrictEqual(scan(...at(150)), { big: [1, 150, 900], middle: [1, 150, 50], other: [1, 50, 5] })
    groups.limit(100)
    assert.deepStrictEqual(scan(...at(157)), {
      ...{ big: [1, 157, 900], middle: [1, 157, 50], other: [0, 50, 0], small: [1, 7, 5] }
    })
  })

  it("count processes and memory, and CPU from the first scan on", () => {
    const { scan } = new Machine()
    const first = scan(process(10, "nginx", { userTicks: 500 }), process(11, "nginx", { userTicks: 70 }))
    assert.deepStrictEqual(first, { nginx: [2, 0, 20] })
    const second = scan(process(10, "nginx", { userTicks: 530 }), process(11, "nginx", { userTicks: 71 }))
    assert.deepStrictEqual(second, { nginx: [2, 31, 20] })
  })

  it("keep what a process used when it exits, and stay when all are gone", () => {
    const { scan } = new Machine()
    scan(process(10, "cc1"))
    scan(process(10, "cc1", { userTicks: 400 }))
    assert.deepStrictEqual(scan(), { cc1: [0, 400, 0] })
    const again = process(20, "cc1", { userTicks: 5, startTicks: BOOTED_TICKS + 3_000 })
    assert.deepStrictEqual(scan(again), { cc1: [1, 405, 10] })
  })

  it("count a process that started after the first scan in whole", () => {
    const { scan } = new Machine()
    scan(process(1, "init"))
    const second = scan(process(1, "init"), process(50, "gzip", { userTicks: 333, startTicks: BOOTED_TICKS + 10 }))
    assert.deepStrictEqual(second, { gzip: [1, 333, 10], init: [1, 0, 10] })
  })

  it("count a process once that a scan missed", () => {
    const { scan } = new Machine()
    const gzip = (userTicks: number) => process(50, "gzip", { userTicks, startTicks: BOOTED_TICKS + 10 })
    scan()
    assert.deepStrictEqual(scan(gzip(300)), { gzip: [1, 300, 10] })
    assert.deepStrictEqual(scan(), { gzip: [0, 300, 0] })
    assert.deepStrictEqual(scan(gzip(310)), { gzip: [1, 310, 10] })
    assert.deepStrictEqual(scan(gzip(320)), { gzip: [1, 320, 10] })
  })

  it("do not count what an older process used before it could be seen", () => {
    const { scan } = new Machine()
    scan(process(1, "init"))
    assert.deepStrictEqual(scan(process(50, "late", { userTicks: 333, startTicks: 5 })), {
      init: [0, 0, 0],
      late: [1, 0, 10]
    })
  })

  it("tell a process from another that got its pid", () => {
    const { scan } = new Machine()
    scan(process(10, "old", { userTicks: 900, startTicks: 5 }))
    const second = scan(process(10, "new", { userTicks: 4, startTicks: BOOTED_TICKS + 5 }))
    assert.deepStrictEqual(second, { new: [1, 4, 10], old: [0, 0, 0] })
  })

  it("leave kernel threads out", () => {
    const { scan } = new Machine(100, [2, 3])
    const kernel = { kernelThread: true }
    const first = scan(
      process(1, "init"),
      process(2, "kthreadd", { ...kernel, parent: 0 }),
      process(3, "kworker", { ...kernel, parent: 2 })
    )
    assert.deepStrictEqual(first, { init: [1, 0, 10] })
  })

  it("keep a zombie in its group, and put one that was never seen alive into its parent's", () => {
    const { scan } = new Machine(100, [12, 13])
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
    const { bare, scan } = new Machine(100, [10])
    assert.deepStrictEqual(scan(process(10, "postgres", { parent: 0 })), {})
    bare.delete(10)
    assert.deepStrictEqual(scan(process(10, "postgres", { parent: 0 })), { postgres: [1, 0, 10] })
  })

  it("follow a process that changes its name", () => {
    const { scan } = new Machine()
    scan(process(10, "(ostgres)"))
    const second = scan(process(10, "postgres", { userTicks: 40 }))
    assert.deepStrictEqual(second, { "(ostgres)": [0, 0, 0], postgres: [1, 40, 10] })
  })

  it("ask for a name when a process is new or renamed, once more in the next scan, and then not again", () => {
    const { asked, scan } = new Machine(100, [2])
    const kernel = process(2, "kworker", { kernelThread: true })
    for (let run = 0; run < 10; run++) scan(process(1, "init"), kernel)
    assert.deepStrictEqual(asked, [1, 2, 1])
    asked.length = 0
    for (let run = 0; run < 10; run++) scan(process(1, "systemd"), kernel)
    assert.deepStrictEqual(asked, [1, 1])
  })

  it("leave out whom an exec gave a name that counts nowhere, and adopt it where its parent is in a group", () => {
    const { bare, scan } = new Machine()
    scan(process(1, "init"), process(10, "sh", { parent: 1 }), process(11, "sh", { parent: 7 }))
    bare.add(10).add(11)
    const after = scan(
      process(1, "init"),
      process(10, "ls", { parent: 1, userTicks: 3 }),
      process(11, "ls", { parent: 7, userTicks: 3 })
    )
    assert.deepStrictEqual(after, { init: [2, 3, 20], sh: [0, 0, 0] })
  })

  it("are apart by unit, and a process moves with its unit", () => {
    const { scan, units } = new Machine()
    units.set(10, "web.service").set(11, "mail.service")
    const [web, mail] = [process(10, "sh"), process(11, "sh")]
    assert.deepStrictEqual(scan(web, mail), { "mail.service/sh": [1, 0, 10], "web.service/sh": [1, 0, 10] })
    scan(web, mail)
    units.set(11, "user alice")
    // The minute counts from the second scan, which asked again.
    for (let run = 0; run < 3; run++) scan(web, { ...mail, userTicks: 20 })
    assert.deepStrictEqual(scan(web, { ...mail, userTicks: 25 }), {
      "mail.service/sh": [0, 20, 0],
      "user alice/sh": [1, 5, 10],
      "web.service/sh": [1, 0, 10]
    })
  })

  it("hold what is beyond their bound as one, whose processes move where there is room again", () => {
    const machine = new Machine(3)
    const first = machine.scan(process(1, "a"), process(2, "b"), process(3, "c"), process(4, "d"), process(5, "e"))
    assert.deepStrictEqual(first, { a: [1, 0, 10], b: [1, 0, 10], c: [1, 0, 10], other: [2, 0, 20] })
    const [d, e] = [process(4, "d", { userTicks: 9 }), process(5, "e", { userTicks: 2 })]
    assert.deepStrictEqual(machine.scan(process(1, "a"), d, e).other, [2, 11, 20])
    machine.upTicks += 60_000
    const later = machine.scan(process(1, "a"), { ...d, userTicks: 10 }, { ...e, userTicks: 4 })
    assert.deepStrictEqual(later, { a: [1, 0, 10], d: [1, 1, 10], e: [1, 2, 10], other: [0, 11, 0] })
  })

  it("do not forget a group that was lately gone, whatever comes", () => {
    const { scan } = new Machine(2)
    scan(process(1, "a"), process(2, "b"))
    scan(process(1, "a"), process(2, "b", { userTicks: 7 }))
    assert.deepStrictEqual(scan(process(1, "a"), process(3, "c")), {
      a: [1, 0, 10],
      b: [0, 7, 0],
      other: [1, 0, 10]
    })
  })

  it("forget no group whose processes are there, however long a machine slept between two scans", () => {
    const machine = new Machine(1)
    machine.scan(process(10, "old", { userTicks: 5 }))
    machine.upTicks += 1_000_000
    const fresh = process(9, "new", { userTicks: 3, startTicks: machine.upTicks - 10 })
    assert.deepStrictEqual(machine.scan(fresh, process(10, "old", { userTicks: 7 })), {
      old: [1, 2, 10],
      other: [1, 3, 10]
    })
  })

  it("take in what a process used between its last scan and its end, once", () => {
    const { groups, scan } = new Machine()
    const born = { startTicks: BOOTED_TICKS + 5 }
    scan()
    scan(process(10, "cc1", { ...born, userTicks: 4 }))
    assert.deepStrictEqual(groups.counted(10), [{ pid: 10, startTicks: born.startTicks, userTicks: 4, systemTicks: 0 }])
    const last = { pid: 10, startTicks: born.startTicks, userTicks: 9, systemTicks: 1 }
    assert.isTrue(groups.settle(last))
    scan()
    assert.isTrue(groups.settle(last))
    assert.deepStrictEqual(scan(), { cc1: [0, 9, 0] })
    assert.isFalse(groups.settle({ ...last, startTicks: 6 }))
    assert.isFalse(groups.settle({ ...last, pid: 11 }))
  })

  it("add up what their processes measure, count from the first scan, and keep what was counted when they exit", () => {
    const { groups, measures, scan } = new Machine()
    measures.set(10, { readBytes: 100, waitNanos: 5, openFiles: 3, swapBytes: 7 })
    measures.set(11, { readBytes: 1_000, waitNanos: 50, openFiles: 4, swapBytes: 0 })
    const [one, two] = [process(10, "db", { threads: 2, majorFaults: 9 }), process(11, "db")]
    scan(one, two)
    const first = named(groups, "db")
    assert.deepStrictEqual([first.readBytes, first.waitNanos, first.majorFaults], [0, 0, 0])
    assert.deepStrictEqual([first.openFiles, first.swapBytes, first.threads], [7, 7, 3])
    assert.deepStrictEqual([first.running, first.sleeping], [0, 2])
    assert.strictEqual(first.oldestStartTicks, 10)
    measures.set(10, { readBytes: 130, waitNanos: 5, openFiles: 3 })
    scan({ ...one, majorFaults: 11 }, two)
    scan()
    const gone = named(groups, "db")
    assert.deepStrictEqual([gone.readBytes, gone.waitNanos, gone.majorFaults], [30, 0, 2])
    assert.deepStrictEqual([gone.openFiles, gone.threads, gone.processes], [0, 0, 0])
    assert.isNaN(gone.oldestStartTicks)
  })

  it("tell nothing where one of their processes told nothing, and neither a part nor 0 when that is gone", () => {
    const { groups, measures, scan } = new Machine()
    measures.set(11, { readBytes: Number.NaN, openFiles: Number.NaN })
    scan(process(10, "db"), process(11, "db"))
    assert.isNaN(named(groups, "db").readBytes)
    assert.isNaN(named(groups, "db").openFiles)
    assert.strictEqual(named(groups, "db").writeBytes, 0)
    scan()
    assert.isNaN(named(groups, "db").readBytes)
    measures.set(10, { readBytes: 40 })
    scan(process(10, "db", { startTicks: BOOTED_TICKS + 1_600 }))
    assert.strictEqual(named(groups, "db").readBytes, 40)
  })

  it("begin with the first reading of a process that could not be read until then", () => {
    const { groups, measures, scan } = new Machine()
    const [old, young] = [process(10, "old"), process(11, "young", { startTicks: BOOTED_TICKS + 1_600 })]
    for (const pid of [10, 11]) measures.set(pid, { readBytes: Number.NaN })
    scan(old)
    scan(old, young)
    for (const pid of [10, 11]) measures.set(pid, { readBytes: 500 })
    scan(old, young)
    assert.deepStrictEqual([named(groups, "old").readBytes, named(groups, "young").readBytes], [0, 500])
  })

  it("never let a counter fall, whatever starts, exits, forks and renames itself", () => {
    let seed = 7
    const random = (below: number) => {
      seed = (seed * 1_103_515_245 + 12_345) % 2_147_483_648
      return Math.floor((seed / 2_147_483_648) * below)
    }
    const machine = new Machine(6)
    let alive: Array<ProcStat> = []
    let before: Readonly<Record<string, ReadonlyArray<number>>> = {}
    for (let run = 0; run < 300; run++) {
      const now = machine.upTicks
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
      machine.bare.clear()
      for (const { pid } of unique) {
        if (random(8) === 0) machine.bare.add(pid)
        machine.units.set(pid, random(3) === 0 ? "a.service" : "")
      }
      const after = machine.scan(...unique)
      // A group that was gone for long may be forgotten.
      const kept = Object.keys(before).filter((name) => after[name] !== undefined || before[name]![0]! > 0)
      for (const name of kept)
        assert.isAtLeast(after[name]?.[1] ?? -1, before[name]![1]!, `seed 7, run ${run}: ${name}`)
      before = after
    }
  })
})
