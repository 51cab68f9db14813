/** The collector over trees of v2, v1 and both, as folders that a test makes. */
import { chmodSync, mkdirSync } from "node:fs"
import { join } from "node:path"
import { assert, describe, it } from "@effect/vitest"
import { Clock, Effect } from "effect"
import { seededRandom } from "../../../test/Seeded.ts"
import { ProcFiles } from "../ProcFiles.ts"
import { type CgroupMachine, later, machine, rowsOf } from "./CgroupMachine.fixture.ts"
import { CGROUPS_MAX, USER_FOLDERS_MAX } from "./CgroupTree.ts"
import { openCgroupCollector } from "./CollectorCgroups.ts"
import { OTHER_UNITS, UNITS_MAX } from "./UnitCounters.ts"

const opened = (host: CgroupMachine) =>
  Effect.gen(function* () {
    const collector = yield* openCgroupCollector(host.proc, host.disk, yield* Clock.Clock)
    return Effect.map(collector.collect, ({ text }) => rowsOf(text))
  })

const cpuOf = (rows: ReturnType<typeof rowsOf>) =>
  Object.fromEntries([...rows].map(([name, row]) => [name, Number(row.cpu_seconds_total)]))

/** In microseconds, which are whole numbers and add up exactly. */
const sumOf = (rows: ReturnType<typeof rowsOf>) =>
  [...rows.values()].reduce((total, row) => total + Math.round(Number(row.cpu_seconds_total) * 1e6), 0)

const NGINX = "/system.slice/nginx.service"
const SESSION = "/user.slice/user-1000.slice/session-1.scope"

for (const kind of ["v2", "v1", "hybrid"] as const) {
  describe(`cgroups ${kind}`, () => {
    it.effect("count from the first scan on, in units that add up to the root", () =>
      Effect.gen(function* () {
        const host = yield* machine(kind)
        host.use(NGINX, 5_000_000)
        const collect = yield* opened(host)
        assert.deepStrictEqual(cpuOf(yield* collect), {})
        host.use(NGINX, 1_500_000)
        host.use("/system.slice", 250_000)
        host.use("", 125_000)
        host.use(SESSION, 1_000_000)
        host.use("/user.slice/user-1000.slice/user@1000.service/app.slice/a.scope", 2_000_000)
        yield* later(15)
        assert.deepStrictEqual(cpuOf(yield* collect), {
          "(kernel)": 0.125,
          "system.slice": 0.25,
          "system.slice/nginx.service": 1.5,
          "user.slice/user 1000": 3
        })
      })
    )

    it.effect("keep what a unit used when it is made anew, or goes: its counter never falls", () =>
      Effect.gen(function* () {
        const host = yield* machine(kind)
        host.use(NGINX, 1_000_000)
        const collect = yield* opened(host)
        yield* collect
        host.use(NGINX, 2_000_000)
        yield* collect
        host.remove(NGINX)
        // More than the one before had, so that the value alone does not tell.
        host.use(NGINX, 7_000_000)
        assert.strictEqual(cpuOf(yield* collect)["system.slice/nginx.service"], 9)
        host.use(NGINX, 500_000)
        host.remove(NGINX)
        const gone = (yield* collect).get("system.slice/nginx.service")
        assert.strictEqual(gone?.cpu_seconds_total, 9)
        assert.strictEqual(gone?.num_procs, 0)
        // What it used after it was last seen stays with the slice that counted it.
        assert.strictEqual(cpuOf(yield* collect)["system.slice"], 0.5)
        // What runs once a day goes on where it was.
        yield* later(24 * 3_600 + 60)
        host.use(NGINX, 300_000)
        assert.strictEqual(cpuOf(yield* collect)["system.slice/nginx.service"], 9.3)
        host.remove(NGINX)
        yield* collect
        yield* later(26 * 3_600 + 1)
        assert.isFalse((yield* collect).has("system.slice/nginx.service"))
      })
    )

    it.effect("gain in all rows what the root gained, whatever comes and goes, and no row ever falls", () =>
      Effect.gen(function* () {
        for (let seed = 1; seed <= 4; seed++) {
          const host = yield* machine(kind)
          const random = seededRandom(seed)
          const pick = <A>(from: ReadonlyArray<A>) => from[Math.floor(random() * from.length)]!
          for (let made = 0; made < 10; made++) host.use(pick(PATHS), Math.floor(random() * 1e6))
          const collect = yield* opened(host)
          yield* collect
          const begun = host.total
          let before: Readonly<Record<string, number>> = {}
          for (let scan = 0; scan < 8; scan++) {
            for (let step = 0; step < 12; step++) {
              if (random() < 0.25 && host.paths.length > 0) host.remove(pick(host.paths))
              else host.use(pick(PATHS), Math.floor(random() * 1e6))
            }
            yield* later(15)
            const rows = yield* collect
            assert.strictEqual(sumOf(rows), host.total - begun, `seed ${seed}, scan ${scan}`)
            const now = cpuOf(rows)
            for (const [name, value] of Object.entries(before))
              assert.isAtLeast(now[name]!, value, `${name}, seed ${seed}`)
            before = now
          }
        }
      })
    )
  })
}

const PATHS = [
  ...["", "/init.scope", "/system.slice", NGINX, `${NGINX}/workers`, "/system.slice/a.slice/b@1.service"],
  ...[SESSION, "/user.slice/user-1000.slice/session-2.scope", "/user.slice/user-1001.slice/session-3.scope"],
  ...["/docker", `/docker/${"ab".repeat(32)}`, `/docker/${"cd".repeat(32)}/nested`, "/(kernel)"],
  ...["1", "2", "3"].map((each) => `/system.slice/run-u${each}.service`)
]

describe("a unit's other numbers", () => {
  const told = (host: CgroupMachine, path: string, used: number, factor = 1) => {
    host.use(path, used)
    host.put(path, "memory.current", `${3_000 * factor}\n`)
    host.put(path, "memory.stat", `anon ${1_000 * factor}\nfile 2000\ninactive_file ${500 * factor}\n`)
    host.put(path, "memory.peak", "9000\n")
    host.put(path, "memory.max", "10000\n")
    host.put(path, "memory.events", `low 0\noom 3\noom_kill ${factor}\n`)
    host.put(path, "memory.events.local", "low 0\noom 3\noom_kill 0\n")
    host.put(path, "io.stat", `8:0 rbytes=${100 * factor} wbytes=${200 * factor} rios=1\n253:0 rbytes=7 wbytes=7\n`)
    host.put(path, "pids.current", `${5 * factor}\n`)
    host.put(path, "cgroup.procs", "12\n13\n")
    host.put(path, "cpu.max", "150000 100000\n")
    for (const resource of ["cpu", "memory", "io"]) {
      const line = (kind: string, total: number) =>
        `${kind} avg10=0.00 avg60=0.00 avg300=0.00 total=${total * factor}\n`
      host.put(path, `${resource}.pressure`, line("some", 3_000_000) + line("full", 1_000_000))
    }
    host.put(
      path,
      "cpu.stat",
      `usage_usec ${used}\nnr_periods ${10 * factor}\nnr_throttled ${2 * factor}\nthrottled_usec ${1_000_000 * factor}\n`
    )
  }

  it.effect("tell no longer wait than there was time, however many cgroups a unit has", () =>
    Effect.gen(function* () {
      const host = yield* machine("v2")
      const waits = (scope: number, seconds: number) => {
        const path = `/system.slice/run-u${scope}.scope`
        host.use(path, 1_000)
        host.put(path, "io.pressure", `some avg10=0.00 avg60=0.00 avg300=0.00 total=${seconds}000000\n`)
      }
      for (const scope of [1, 2, 3]) waits(scope, 100)
      const collect = yield* opened(host)
      yield* collect
      waits(1, 110)
      waits(2, 114)
      waits(3, 105)
      assert.strictEqual((yield* collect).get("system.slice/run-#.scope")?.io_pressure_seconds_total, 14)
      waits(1, 120)
      waits(2, 115)
      assert.strictEqual((yield* collect).get("system.slice/run-#.scope")?.io_pressure_seconds_total, 24)
    })
  )

  it.effect("leap neither where a device goes, nor where the root's own count falls", () =>
    Effect.gen(function* () {
      const host = yield* machine("v2")
      const devices = (...read: ReadonlyArray<number>) => {
        const text = read.map((bytes, at) => `8:${16 * at} rbytes=${bytes} wbytes=0\n`).join("")
        for (const path of ["", "/system.slice", NGINX]) host.put(path, "io.stat", text)
      }
      host.use(NGINX, 9_000_000)
      devices(40_000, 60_000)
      const collect = yield* opened(host)
      yield* collect
      host.use(NGINX, 1_000_000)
      devices(41_000, 60_000)
      assert.strictEqual((yield* collect).get("system.slice/nginx.service")?.read_bytes_total, 1_000)
      host.use(NGINX, 1_000_000)
      devices(42_000)
      assert.strictEqual((yield* collect).get("system.slice/nginx.service")?.read_bytes_total, 1_000)
      host.use(NGINX, 1_000_000)
      devices(45_000)
      host.put("", "cpu.stat", "user_usec 11999999\nsystem_usec 0\n")
      const rows = yield* collect
      assert.strictEqual(rows.get("system.slice/nginx.service")?.read_bytes_total, 4_000)
      host.put("", "cpu.stat", "user_usec 11999998\nsystem_usec 0\n")
      host.put(NGINX, "cpu.stat", "usage_usec 12000001\n")
      assert.isAtMost(cpuOf(yield* collect)["(kernel)"] ?? 0, 0.1)
    })
  )

  it.effect("are not those of the unit before it, where it is made anew with other limits", () =>
    Effect.gen(function* () {
      const host = yield* machine("v2")
      const limits = (memory: number) => {
        host.put(NGINX, "memory.max", `${memory}\n`)
        host.put(NGINX, "memory.peak", `${memory}\n`)
        host.put(NGINX, "cpu.max", `${memory} 1000\n`)
      }
      host.use(NGINX, 1)
      limits(1_000)
      const collect = yield* opened(host)
      yield* collect
      for (const memory of [2_000, 3_000, 4_000, 5_000, 6_000]) {
        host.remove(NGINX)
        host.use(NGINX, 1_000)
        limits(memory)
        const row = (yield* collect).get("system.slice/nginx.service")
        assert.deepStrictEqual(
          [row?.memory_limit_bytes, row?.memory_peak_bytes, row?.cpu_limit_cores],
          [memory, memory, memory / 1_000]
        )
      }
    })
  )

  it.effect("are its own: what a slice's units have is not the slice's, too", () =>
    Effect.gen(function* () {
      const host = yield* machine("v2")
      host.write("proc/devices", "Character devices:\n  1 mem\n\nBlock devices:\n  8 sd\n253 device-mapper\n")
      host.use(NGINX, 1)
      told(host, NGINX, 1, 1)
      told(host, "/system.slice", 1, 2)
      const collect = yield* opened(host)
      yield* collect
      host.use(NGINX, 1)
      told(host, NGINX, 2, 2)
      told(host, "/system.slice", 2, 5)
      const rows = yield* collect
      assert.deepInclude(rows.get("system.slice/nginx.service"), {
        memory_bytes: 5_000,
        memory_anon_bytes: 2_000,
        memory_peak_bytes: 9_000,
        memory_limit_bytes: 10_000,
        oom_kills_total: 1,
        read_bytes_total: 100,
        write_bytes_total: 200,
        num_procs: 2,
        num_threads: 10,
        cpu_limit_cores: 1.5,
        cpu_periods_total: 10,
        cpu_throttled_periods_total: 2,
        throttled_seconds_total: 1,
        cpu_pressure_seconds_total: 3,
        memory_pressure_seconds_total: 3,
        memory_stalled_seconds_total: 1,
        io_pressure_seconds_total: 3,
        io_stalled_seconds_total: 1
      })
      assert.deepInclude(rows.get("system.slice"), {
        memory_bytes: 7_500,
        memory_peak_bytes: null,
        oom_kills_total: 0,
        read_bytes_total: 200,
        write_bytes_total: 400,
        num_threads: 15,
        throttled_seconds_total: 3,
        cpu_pressure_seconds_total: null
      })
    })
  )

  it.effect("are null where the kernel does not tell them, as without pressure stall information", () =>
    Effect.gen(function* () {
      const host = yield* machine("v2")
      host.use(NGINX, 1)
      host.put(NGINX, "cgroup.procs", "7\n")
      const row = (yield* yield* opened(host)).get("system.slice/nginx.service")
      for (const column of [
        "cpu_pressure_seconds_total",
        "io_stalled_seconds_total",
        "memory_bytes",
        "read_bytes_total"
      ]) {
        assert.isNull(row?.[column as "memory_bytes"], column)
      }
    })
  )

  it.effect("come from each controller's own hierarchy on v1", () =>
    Effect.gen(function* () {
      const host = yield* machine("v1")
      host.use(NGINX, 1_000_000)
      const put = (used: number) => {
        host.put(
          NGINX,
          "cpu.stat",
          `nr_periods ${used}\nnr_throttled ${used}\nthrottled_time ${used * 1_000_000_000}\n`,
          "cpu"
        )
        host.put(NGINX, "cpu.cfs_quota_us", "50000\n", "cpu")
        host.put(NGINX, "cpu.cfs_period_us", "100000\n", "cpu")
        host.put(NGINX, "cgroup.procs", "1\n2\n3\n", "cpu")
        host.put(NGINX, "memory.usage_in_bytes", "7000\n", "memory")
        host.put(NGINX, "memory.stat", "cache 1\nrss 1\ntotal_rss 4000\ntotal_inactive_file 1000\n", "memory")
        host.put(NGINX, "memory.limit_in_bytes", "9223372036854771712\n", "memory")
        host.put(NGINX, "memory.oom_control", `oom_kill_disable 0\nunder_oom 0\noom_kill ${used}\n`, "memory")
        host.put(
          NGINX,
          "blkio.throttle.io_service_bytes_recursive",
          `8:0 Read ${used}\n8:0 Write 9\n8:0 Total 9\nTotal 9\n`,
          "blkio"
        )
        host.put(NGINX, "pids.current", "6\n", "pids")
      }
      put(1)
      const collect = yield* opened(host)
      yield* collect
      host.use(NGINX, 1_000_000)
      put(4)
      assert.deepInclude((yield* collect).get("system.slice/nginx.service"), {
        cpu_seconds_total: 1,
        memory_bytes: 6_000,
        memory_anon_bytes: 4_000,
        memory_limit_bytes: null,
        oom_kills_total: 3,
        read_bytes_total: 3,
        num_procs: 3,
        num_threads: 6,
        cpu_limit_cores: 0.5,
        throttled_seconds_total: 3,
        cpu_pressure_seconds_total: null
      })
    })
  )

  it.effect("of a container whose processes are in cgroups of its own count those", () =>
    Effect.gen(function* () {
      const host = yield* machine("v2")
      const scope = `/machine.slice/libpod-${"ab".repeat(32)}.scope`
      host.use(`${scope}/container`, 1)
      host.put(scope, "cgroup.procs", "")
      host.put(`${scope}/container`, "cgroup.procs", "1\n2\n")
      const rows = yield* yield* opened(host)
      assert.strictEqual(rows.get("machine.slice/abababababab")?.num_procs, 2)
    })
  )
})

describe("a unit that uses nothing", () => {
  it.effect("is a row while it has processes; a slice that holds nothing is none", () =>
    Effect.gen(function* () {
      const host = yield* machine("v2")
      host.use(NGINX, 0)
      host.use("/user.slice", 0)
      host.put(NGINX, "cgroup.procs", "7\n")
      const collect = yield* opened(host)
      assert.deepStrictEqual(cpuOf(yield* collect), { "system.slice/nginx.service": 0 })
      host.use("/user.slice", 1_000_000)
      assert.deepStrictEqual(cpuOf(yield* collect), { "system.slice/nginx.service": 0, "user.slice": 1 })
    })
  )
})

describe("a cgroup that goes while it is read", () => {
  /** Files of which some vanish once a file of theirs was read. */
  class Vanishing extends ProcFiles {
    readonly #host: CgroupMachine
    at: string | undefined

    constructor(host: CgroupMachine) {
      super(host.root)
      this.#host = host
    }

    override bytes(path: string): Buffer | undefined {
      const bytes = super.bytes(path)
      if (this.at !== undefined && path.endsWith(this.at)) {
        this.at = undefined
        this.#host.remove(NGINX)
      }
      return bytes
    }
  }

  it.effect("is left out whole, whichever file was the last, and what it used is its slice's", () =>
    Effect.gen(function* () {
      for (const file of ["cpu.stat", "memory.stat", "io.pressure", "cgroup.procs"]) {
        const host = yield* machine("v2")
        host.use(NGINX, 1_000_000)
        for (const name of ["memory.current", "memory.stat", "io.pressure", "cgroup.procs"])
          host.put(NGINX, name, "1\n")
        const files = new Vanishing(host)
        const collector = yield* openCgroupCollector(host.proc, files, yield* Clock.Clock)
        yield* collector.collect
        host.use(NGINX, 1_000_000)
        files.at = `${NGINX}/${file}`
        const rows = rowsOf((yield* collector.collect).text)
        assert.strictEqual(rows.get("system.slice")?.cpu_seconds_total, 1, file)
        assert.notInclude([...rows.keys()], "system.slice/nginx.service", file)
      }
    })
  )
})

describe("a hostile machine", () => {
  it.effect(
    "of more cgroups and units than the bounds gives no more rows, and loses no CPU time",
    () =>
      Effect.gen(function* () {
        const host = yield* machine("v2")
        for (let each = 0; each < CGROUPS_MAX + 200; each++) {
          host.put(`/system.slice/u${each}.service`, "cpu.stat", "usage_usec 0\n")
          host.put(`/system.slice/u${each}.service`, "cgroup.procs", "1\n")
        }
        const collect = yield* opened(host)
        yield* collect
        for (let each = 0; each < CGROUPS_MAX + 200; each += 100) host.use(`/system.slice/u${each}.service`, 1_000)
        const rows = yield* collect
        // But for the kernel, which did nothing.
        assert.strictEqual(rows.size, UNITS_MAX)
        assert.isTrue(rows.has(OTHER_UNITS))
        assert.strictEqual(sumOf(rows), host.total)
      }),
    240_000
  )

  it.effect(
    "whose user makes cgroups without end still shows every service, and that user's CPU time is the user's",
    () =>
      Effect.gen(function* () {
        const host = yield* machine("v2")
        const own = "/user.slice/user-1000.slice/user@1000.service"
        const container = (each: number) => `${own}/docker-${each.toString(16).padStart(12, "0").padEnd(64, "0")}.scope`
        for (let each = 0; each < USER_FOLDERS_MAX + 100; each++) host.use(container(each), 1_000)
        host.use(NGINX, 1_000)
        const collect = yield* opened(host)
        yield* collect
        for (let each = 0; each < USER_FOLDERS_MAX + 100; each++) host.use(container(each), 1_000)
        host.use(NGINX, 1_000)
        yield* later(15)
        const rows = yield* collect
        assert.isTrue(rows.has("system.slice/nginx.service"))
        assert.isAtMost([...rows.keys()].filter((name) => name.startsWith("user.slice/1000/")).length, USER_FOLDERS_MAX)
        assert.isAtLeast(Number(rows.get("user.slice/user 1000")?.cpu_seconds_total), 0.1)
        assert.strictEqual(sumOf(rows), USER_FOLDERS_MAX * 1_000 + 101_000)
      })
  )

  it.effect("whose names hold anything is read to its end, and none of them is taken for NodePulse's own", () =>
    Effect.gen(function* () {
      const host = yield* machine("v2")
      const names = [
        "(kernel)",
        "a\nb.service",
        'q"\\.service',
        "..service",
        "é".repeat(120),
        "__proto__",
        "x\\x2dy.service"
      ]
      const collect = yield* opened(host)
      yield* collect
      for (const name of names) host.use(`/${name}`, 1_000_000)
      // Not UTF-8: nobody can ask for it by the name that is listed.
      mkdirSync(Buffer.concat([Buffer.from(`${host.root}/sys/fs/cgroup/`), Buffer.from([0xff, 0x2e])]))
      const rows = yield* collect
      assert.strictEqual(sumOf(rows), host.total)
      assert.strictEqual(cpuOf(rows)["/(kernel)"], 1)
      assert.isUndefined(cpuOf(rows)["(kernel)"])
    })
  )

  it.effect("that hides a unit gives its time to the slice, and no leap once it shows it", () =>
    Effect.gen(function* () {
      const host = yield* machine("v2")
      host.use(NGINX, 60_000_000)
      const folder = join(host.root, "sys/fs/cgroup", NGINX)
      const hide = (hidden: boolean) => chmodSync(join(folder, "cpu.stat"), hidden ? 0o000 : 0o644)
      if (process.getuid?.() === 0) host.put(NGINX, "cpu.stat", "")
      else hide(true)
      const collect = yield* opened(host)
      assert.isFalse((yield* collect).has("system.slice/nginx.service"))
      if (process.getuid?.() !== 0) hide(false)
      host.use(NGINX, 1_000_000)
      const rows = yield* collect
      assert.isUndefined(cpuOf(rows)["system.slice/nginx.service"])
      assert.strictEqual(sumOf(rows), 1_000_000)
      host.use(NGINX, 1_000_000)
      assert.strictEqual(cpuOf(yield* collect)["system.slice/nginx.service"], 1)
    })
  )

  it.effect("that hides a unit that did little but read and write tells no leap of that either", () =>
    Effect.gen(function* () {
      const host = yield* machine("v2")
      const GIB = 2 ** 30
      const read = (of: Readonly<Record<string, number>>) => {
        for (const [path, bytes] of Object.entries(of)) host.put(path, "io.stat", `8:0 rbytes=${bytes} wbytes=0\n`)
      }
      host.use(NGINX, 1_000)
      read({ "": 90 * GIB, "/system.slice": 90 * GIB, [NGINX]: 80 * GIB })
      host.put(NGINX, "cpu.stat", "")
      const collect = yield* opened(host)
      yield* collect
      // It is shown after some time in which the slice used more CPU than it ever did.
      host.use(NGINX, 500_000)
      read({ "": 91 * GIB, "/system.slice": 91 * GIB, [NGINX]: 81 * GIB })
      const shown = yield* collect
      assert.isUndefined(shown.get("system.slice/nginx.service")?.read_bytes_total ?? undefined)
      assert.strictEqual(shown.get("system.slice")?.read_bytes_total, GIB)
      host.use(NGINX, 500_000)
      read({ "": 92 * GIB, "/system.slice": 92 * GIB, [NGINX]: 82 * GIB })
      const next = yield* collect
      assert.strictEqual(next.get("system.slice/nginx.service")?.read_bytes_total, GIB)
      assert.strictEqual(next.get("system.slice")?.read_bytes_total, GIB)
      // A new one may be ahead of what is above it by what is under way.
      const BATCH = "/system.slice/batch.service"
      host.use(BATCH, 500_000)
      read({ [BATCH]: GIB / 32 })
      assert.strictEqual((yield* collect).get("system.slice/batch.service")?.read_bytes_total, GIB / 32)
    })
  )

  it.effect("in which cgroups come with every scan reads idle ones again all the same", () =>
    Effect.gen(function* () {
      const host = yield* machine("v2")
      const idle = ["a", "b", "c", "d"].map((name) => `system.slice/${name}.service`)
      const holds = (bytes: number) => {
        for (const path of idle) {
          host.put(`/${path}`, "memory.current", `${bytes}\n`)
          host.put(`/${path}`, "memory.stat", "anon 0\ninactive_file 0\n")
        }
      }
      const collect = yield* opened(host)
      yield* collect
      for (const path of idle) host.use(`/${path}`, 1_000)
      holds(1_000)
      yield* collect
      holds(2_000)
      for (let scan = 0; scan < 4; scan++) {
        host.use(`/a${scan}.slice`, 0)
        yield* collect
      }
      const rows = yield* collect
      for (const path of idle) assert.strictEqual(rows.get(path)?.memory_bytes, 2_000, path)
    })
  )

  it.effect("without a cgroup hierarchy says so", () =>
    Effect.gen(function* () {
      const host = yield* machine("v2")
      host.write("proc/self/mountinfo", "22 1 0:20 / / rw - ext4 /dev/vda1 rw\n")
      const error = yield* Effect.flip(openCgroupCollector(host.proc, host.disk, yield* Clock.Clock))
      assert.match(error.reason, /no cgroup hierarchy/)
    })
  )

  it.effect("in a container is that container, not the kernel", () =>
    Effect.gen(function* () {
      const host = yield* machine("v2")
      host.put("", "cgroup.type", "domain\n")
      host.put("", "cgroup.procs", "1\n")
      assert.deepStrictEqual([...(yield* yield* opened(host)).keys()], ["(container)"])
    })
  )
})
