import { assert, describe, it } from "@effect/vitest"
import { seededRandom } from "../../../test/Seeded.ts"
import type { AccountingRecord } from "./AccountingRecord.ts"
import { PAIRS_MAX, type ScannedProcess, ShortLived } from "./ShortLived.ts"

/**
 * A machine of which everything is known: who ran how long and used how much. It shows what the kernel shows: ticks of
 * 10 ms in scans, sums of waited children to the nanosecond cut to ticks, records cut to 10 ms.
 */
class Machine {
  readonly ledger = new ShortLived()
  now = 1_000
  readonly alive = new Map<number, Alive>()
  /** What groups count. */
  grouped = 0
  /** What processes used since the first scan that scans saw, or that nobody saw, by who it is. */
  usedUnseen = 0
  usedSeen = 0
  #records: Array<AccountingRecord> = []
  #pid = 1
  #counted = new Map<string, number>()

  spawn(command: string, parent: number, waits = true): number {
    const pid = ++this.#pid
    this.alive.set(pid, { pid, parent, command, startSeconds: this.now, used: 0, children: 0, seen: false, waits })
    return pid
  }

  use(pid: number, seconds: number): void {
    this.alive.get(pid)!.used += seconds
  }

  exit(pid: number): void {
    const gone = this.alive.get(pid)!
    this.alive.delete(pid)
    const parent = this.alive.get(gone.parent)
    this.#records.push({
      command: gone.command,
      pid,
      parent: gone.parent,
      forkedOnly: false,
      startedAt: 0,
      elapsedSeconds: cut(this.now - gone.startSeconds),
      cpuSeconds: cut(gone.used)
    })
    if (parent?.waits === true) parent.children += gone.used + gone.children
    for (const child of this.alive.values()) if (child.parent === pid) child.parent = INIT
    if (!gone.seen) this.usedUnseen += gone.used
    else this.usedSeen += gone.used
  }

  scan(records = true): void {
    const first = this.#counted.size === 0
    const processes: Array<ScannedProcess> = [...this.alive.values()].map((one) => ({
      pid: one.pid,
      parent: one.parent,
      startSeconds: one.startSeconds,
      cpuSeconds: cut(one.used),
      childSeconds: cut(one.children),
      name: `group ${one.command}`
    }))
    for (const { cpuSeconds, pid } of processes) {
      this.alive.get(pid)!.seen = true
      const key = String(pid)
      this.grouped += cpuSeconds - (this.#counted.get(key) ?? (first ? cpuSeconds : 0))
      this.#counted.set(key, cpuSeconds)
    }
    this.ledger.scanned(this.now, processes)
    if (records) this.ledger.exited(this.#records)
    this.#records = []
    for (const bit of this.ledger.settle()) this.grouped += bit.cpuSeconds
  }

  rows() {
    return named(this.ledger)
  }

  told(): number {
    return this.ledger.rows().reduce((sum, { cpuSeconds }) => sum + cpuSeconds, 0)
  }
}

interface Alive {
  readonly pid: number
  parent: number
  readonly command: string
  readonly startSeconds: number
  used: number
  children: number
  seen: boolean
  readonly waits: boolean
}

/** The rows of those that ran. */
const named = (ledger: ShortLived) => ledger.rows().filter(({ runs }) => runs > 0)

const INIT = 2
const cut = (seconds: number): number => Math.floor(seconds * 100 + 1e-9) / 100

const machine = () => {
  const made = new Machine()
  made.spawn("systemd", 0)
  const shell = made.spawn("deploy.sh", INIT)
  made.scan()
  return { made, shell }
}

const runs = (made: Machine, command: string, parent: number, times: number, seconds: number) => {
  for (let n = 0; n < times; n++) {
    const pid = made.spawn(command, parent)
    made.use(pid, seconds)
    made.now += seconds
    made.exit(pid)
  }
}

describe("processes that no scan saw", () => {
  it("are told with all they used, though each record says 0", () => {
    const { made, shell } = machine()
    runs(made, "ls", shell, 1_312, 0.0021)
    made.scan()
    const [row] = made.rows()
    assert.deepInclude(row, { command: "ls", parent: "group deploy.sh", runs: 1_312 })
    assert.closeTo(row!.cpuSeconds, 1_312 * 0.0021, 0.011)
  })

  it("keep what their records tell, and share what is left out by the run", () => {
    const { made, shell } = machine()
    runs(made, "cc1", shell, 4, 2.005)
    runs(made, "ls", shell, 100, 0.002)
    made.scan()
    const [cc1, ls] = made.rows()
    assert.closeTo(made.told(), 4 * 2.005 + 0.2, 0.011)
    assert.isAtLeast(cc1!.cpuSeconds, 8)
    assert.closeTo(ls!.cpuSeconds, 0.2, 0.05)
  })

  it("are told from the parent that nobody saw either, and from one that is only seen later", () => {
    const { made, shell } = machine()
    const script = made.spawn("backup.sh", shell)
    runs(made, "tar", script, 3, 0.05)
    made.exit(script)
    const later = made.spawn("late.sh", INIT)
    runs(made, "gzip", later, 2, 0.05)
    made.scan()
    made.scan()
    made.scan()
    assert.deepStrictEqual(
      made.rows().map(({ command, parent, runs }) => [command, parent, runs]),
      [
        ["backup.sh", "group deploy.sh", 1],
        ["gzip", "group late.sh", 2],
        ["tar", "backup.sh", 3]
      ]
    )
    assert.closeTo(made.told(), 0.25, 0.011)
  })

  it("are told from unknown where nobody knows the parent", () => {
    const { made } = machine()
    made.ledger.exited([record({ command: "x", parent: 4_000 })])
    for (let scan = 0; scan < 4; scan++) made.scan()
    assert.deepInclude(made.rows()[0], { command: "x", parent: "unknown", runs: 1 })
  })

  it("have what their records tell where nobody waits for them", () => {
    const { made } = machine()
    const careless = made.spawn("careless", INIT, false)
    made.scan()
    runs(made, "worker", careless, 10, 0.059)
    made.scan()
    assert.closeTo(made.told(), 0.5, 1e-9)
  })
})

describe("processes that a scan saw", () => {
  it("are never told, and what they used after it goes to their group", () => {
    const { made, shell } = machine()
    const make = made.spawn("make", shell)
    made.use(make, 3)
    made.now += 4
    made.scan()
    made.use(make, 2.5)
    made.now += 3
    made.exit(make)
    made.scan()
    assert.deepStrictEqual(made.rows(), [])
    assert.closeTo(made.grouped, 5.5, 0.011)
  })

  it("are told apart from the next one under the same pid", () => {
    const ledger = new ShortLived()
    const init = { pid: 1, parent: 0, startSeconds: 0, cpuSeconds: 0, childSeconds: 0, name: "init" }
    const seen = { pid: 9, parent: 1, startSeconds: 90, cpuSeconds: 1, childSeconds: 0, name: "old" }
    ledger.scanned(100, [init, seen])
    ledger.settle()
    ledger.exited([
      record({ command: "old", pid: 9, parent: 1, elapsedSeconds: 12, cpuSeconds: 2 }),
      record({ command: "new", pid: 9, parent: 1, elapsedSeconds: 1, cpuSeconds: 1 })
    ])
    ledger.scanned(115, [{ ...init, childSeconds: 3 }])
    assert.deepStrictEqual(ledger.settle(), [{ pid: 9, startSeconds: 90, cpuSeconds: 1 }])
    assert.deepInclude(named(ledger)[0], { command: "new", parent: "init", runs: 1, cpuSeconds: 1 })
    assert.lengthOf(named(ledger), 1)
  })

  it("are not taken for one that began after the scan, where their own record was lost", () => {
    const ledger = new ShortLived()
    const init = { pid: 1, parent: 0, startSeconds: 0, cpuSeconds: 0, childSeconds: 0, name: "init" }
    ledger.scanned(100, [init, { ...init, pid: 9, parent: 1, startSeconds: 90, name: "old" }])
    ledger.settle()
    ledger.scanned(115, [init])
    ledger.exited([record({ command: "new", pid: 9, parent: 1, elapsedSeconds: 3, cpuSeconds: 1 })])
    assert.deepStrictEqual(ledger.settle(), [])
    assert.deepInclude(named(ledger)[0], { command: "new", parent: "init", runs: 1, cpuSeconds: 1 })
  })

  it("that go without a record show that accounting is off", () => {
    const { made, shell } = machine()
    for (let n = 0; n < 3; n++) made.spawn("worker", shell)
    made.scan()
    for (const pid of [...made.alive.keys()].slice(-3)) made.exit(pid)
    made.scan(false)
    assert.strictEqual(made.ledger.unrecorded, 3)
    runs(made, "ls", shell, 1, 0.01)
    made.scan()
    assert.strictEqual(made.ledger.unrecorded, 0)
  })
})

describe("whatever happens", () => {
  it("no CPU time is told twice, and what is told of a tree that is waited for is all that it used", () => {
    for (let seed = 1; seed <= 60; seed++) {
      const random = seededRandom(seed)
      const { made, shell } = machine()
      const pids = [shell]
      let steps = 0
      for (let scan = 0; scan < 12; scan++) {
        for (let step = 0; step < 80; step++, steps++) {
          made.now += random() * 0.2
          const pid = pids[Math.floor(random() * pids.length)]!
          if (random() < 0.5) pids.push(made.spawn(`c${Math.floor(random() * 5)}`, pid))
          else if (pid !== shell) {
            made.use(pid, random() < 0.8 ? random() * 0.008 : random() * 0.1)
            // A process ends after its children: each is waited for by who started it.
            if (![...made.alive.values()].some(({ parent }) => parent === pid)) {
              made.exit(pid)
              pids.splice(pids.indexOf(pid), 1)
            }
          }
        }
        made.scan()
      }
      for (const { pid } of [...made.alive.values()].reverse()) if (pid > 3) made.exit(pid)
      made.scan()
      made.scan()
      const used = made.usedUnseen + made.usedSeen
      const told = made.told() + made.grouped
      assert.isAtMost(told, used + 0.011 * 14, `seed ${seed}`)
      assert.isAtLeast(told, used * 0.9 - 0.2, `seed ${seed}, ${steps} steps`)
      assert.isAtLeast(made.told(), made.usedUnseen * 0.9 - 0.2, `seed ${seed}`)
    }
  })

  it("there are no more pairs than the bound, and none is lost", () => {
    const { made, shell } = machine()
    for (let n = 0; n < PAIRS_MAX + 500; n++) runs(made, `c${n}`, shell, 1, 0.01)
    made.scan()
    const rows = made.rows()
    assert.isAtMost(rows.length, PAIRS_MAX + 1)
    assert.strictEqual(
      rows.reduce((sum, { runs }) => sum + runs, 0),
      PAIRS_MAX + 500
    )
    assert.isDefined(rows.find(({ command, parent }) => command === "other" && parent === "other"))
  })
})

const record = (over: Partial<AccountingRecord>): AccountingRecord => ({
  ...{ command: "x", pid: 3_000, parent: 1, forkedOnly: false, startedAt: 0, elapsedSeconds: 0, cpuSeconds: 0 },
  ...over
})
