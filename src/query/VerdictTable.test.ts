import { describe, expect, it } from "@effect/vitest"
import { Schema } from "effect"
import { JUDGED_MIN, VERDICTS_MAX } from "./Verdict.ts"
import type { HostReading, UnitReading } from "./VerdictReadings.ts"
import { verdictOf } from "./VerdictTable.ts"

const MIB = 1024 * 1024
const window = { from: 0, to: 1_000_000_000 }
const waited = { cpu: 0, memory: 0, io: 0 }

/** A thousand seconds, so that ten of them are a percent. */
const unit = (name: string, change: Partial<UnitReading> = {}): UnitReading => ({
  name,
  cpu: 0,
  waited,
  throttled: 0,
  periods: 0,
  throttledPeriods: 0,
  quota: null,
  memory: 0,
  memoryPeak: null,
  memoryLimit: null,
  kills: 0,
  read: 0,
  written: 0,
  ...change
})
const host = (change: Partial<HostReading> = {}): HostReading => ({
  covered: 1_000,
  coverage: 1,
  cores: 4,
  busy: 1_000,
  steal: 0,
  waited,
  memoryTotal: 8_192 * MIB,
  memoryAvailable: 4_096 * MIB,
  ...change
})
const judge = (units: ReadonlyArray<UnitReading> | undefined, of: HostReading | undefined = host(), coverage = 1) =>
  verdictOf({
    window,
    host: of,
    units: units === undefined ? undefined : { covered: 1_000, coverage, kernel: "(kernel)", units },
    resource: "units"
  })
const kinds = (...asked: Parameters<typeof judge>) =>
  judge(...asked).verdicts.map(({ kind, subject }) => `${subject.name ?? "host"}: ${kind}`)

const waits = (what: "cpu" | "memory" | "io", seconds: number) => ({ waited: { ...waited, [what]: seconds } })
const crowded = host({ busy: 3_200 })
const other = unit("other.service", { cpu: 3_000 })

describe("a threshold", () => {
  const cases: ReadonlyArray<readonly [string, string, () => ReadonlyArray<string>, () => ReadonlyArray<string>]> = [
    [
      "of throttled periods",
      "a: throttled",
      () => kinds([unit("a", { periods: 100, throttledPeriods: 25, throttled: 10 })]),
      () => kinds([unit("a", { periods: 1_000, throttledPeriods: 249, throttled: 500 })])
    ],
    [
      "of throttled time, so that four periods of an hour are nothing",
      "a: throttled",
      () => kinds([unit("a", { periods: 4, throttledPeriods: 4, throttled: 10 })]),
      () => kinds([unit("a", { periods: 4, throttledPeriods: 4, throttled: 9.9 })])
    ],
    [
      "of throttled time where periods are not told",
      "a: throttled",
      () => kinds([unit("a", { periods: null, throttledPeriods: null, throttled: 250 })]),
      () => kinds([unit("a", { periods: null, throttledPeriods: null, throttled: 249 })])
    ],
    [
      "of waits for a CPU",
      "a: neighbours",
      () => kinds([unit("a", waits("cpu", 100)), other], crowded),
      () => kinds([unit("a", waits("cpu", 99)), other], crowded)
    ],
    [
      "of a busy host, below which a CPU was free",
      "a: neighbours",
      () => kinds([unit("a", waits("cpu", 500)), other], host({ busy: 3_200 })),
      () => kinds([unit("a", waits("cpu", 500)), other], host({ busy: 3_199 }))
    ],
    [
      "of what the quota held back, which pressure counts as well",
      "a: neighbours",
      () => kinds([unit("a", { ...waits("cpu", 200), throttled: 100 }), other], crowded),
      () => kinds([unit("a", { ...waits("cpu", 200), throttled: 101 }), other], crowded)
    ],
    ["of steal", "host: steal", () => kinds([], host({ steal: 400 })), () => kinds([], host({ steal: 399 }))],
    [
      "of waits for memory",
      "a: memory",
      () => kinds([unit("a", waits("memory", 100))]),
      () => kinds([unit("a", waits("memory", 99))])
    ],
    [
      "near a limit of memory",
      "a: memory",
      () => kinds([unit("a", { ...waits("memory", 10), memory: 90, memoryLimit: 100 })]),
      () => kinds([unit("a", { ...waits("memory", 10), memory: 89, memoryLimit: 100 })])
    ],
    [
      "near a limit of memory that is waited for",
      "a: memory",
      () => kinds([unit("a", { ...waits("memory", 10), memory: 99, memoryLimit: 100 })]),
      () => kinds([unit("a", { ...waits("memory", 9.9), memory: 99, memoryLimit: 100 })])
    ],
    ["of kills", "a: memory", () => kinds([unit("a", { kills: 1 })]), () => kinds([unit("a", { kills: 0 })])],
    [
      "of the host's waits for memory",
      "host: memory",
      () => kinds([], host(waits("memory", 100))),
      () => kinds([], host(waits("memory", 99)))
    ],
    [
      "of waits for disks",
      "a: io",
      () => kinds([unit("a", waits("io", 200))]),
      () => kinds([unit("a", waits("io", 199))])
    ],
    [
      "of the host's waits for disks",
      "host: io",
      () => kinds([], host(waits("io", 200))),
      () => kinds([], host(waits("io", 199)))
    ],
    [
      "of the host's waits for a CPU",
      "host: cores",
      () => kinds([], host({ ...waits("cpu", 100), busy: 3_200 })),
      () => kinds([], host({ ...waits("cpu", 99), busy: 3_200 }))
    ]
  ]
  it.each(cases)("%s is reached, or not", (_, verdict, reached, below) => {
    expect(reached()).toEqual([verdict])
    expect(below()).toEqual([])
  })
})

describe("a verdict", () => {
  it("is that nothing waits, where no threshold is reached", () => {
    expect(judge([unit("a")])).toMatchObject({ judged: true, partial: [], verdicts: [] })
    expect(judge([unit("a")]).sentence).toBe("Nothing waits: no threshold is reached.")
  })

  it("is not made of less than four fifths of the window, and of the rest where only one part was seen", () => {
    const loud = [unit("a", { kills: 3 })]
    const stolen = host({ steal: 2_000 })
    const unseen = { ...stolen, coverage: JUDGED_MIN - 0.01 }
    expect(judge(loud, unseen, JUDGED_MIN - 0.01)).toMatchObject({ judged: false, verdicts: [], coverage: 0.79 })
    expect(judge(loud, unseen, 0.5).sentence).toBe("Only 79 % of these 17 minutes were seen: too little to judge.")
    expect(judge(undefined, undefined)).toMatchObject({ judged: true, partial: ["units"] })
    expect(verdictOf({ window, host: undefined, units: undefined, resource: null })).toMatchObject({
      judged: false,
      coverage: 0
    })
    expect(kinds(loud, unseen)).toEqual(["a: memory"])
    expect(judge(loud, unseen).partial).toEqual(["host"])
    expect(kinds(loud, stolen, 0.5)).toEqual(["host: steal"])
    expect(judge(loud, stolen, 0.5)).toMatchObject({ partial: ["units"], units: null })
  })

  it("tells a throttled unit from one behind a neighbour, though the CPU is waited for by both", () => {
    const { sentence, verdicts } = judge(
      [
        unit("web.service", {
          ...waits("cpu", 700),
          throttled: 700,
          periods: 9_000,
          throttledPeriods: 3_420,
          quota: 0.5
        }),
        unit("db.service", { ...waits("cpu", 220), cpu: 100 }),
        unit("batch.service", { cpu: 2_900 }),
        unit("(kernel)", waits("cpu", 900))
      ],
      crowded
    )
    expect(sentence).toBe("2 of 4 units wait.")
    expect(verdicts.map((verdict) => verdict.sentence)).toEqual([
      "web.service was throttled in 38 % of its periods by its own quota of 0.5 cores: raise CPUQuota, which is 50%.",
      "db.service waited for a CPU 22 % of the time while the host was 80 % busy; batch.service (2.9 cores) used most: raise CPUWeight of db.service, or give batch.service a CPUQuota."
    ])
    expect(verdicts[1]!.neighbours).toEqual([{ name: "batch.service", value: 290, unit: "percent" }])
  })

  it("blames nobody else for what a unit does itself", () => {
    const { verdicts } = judge([unit("a", { ...waits("cpu", 500), cpu: 3_000 }), unit("b", { cpu: 200 })], crowded)
    expect(verdicts).toMatchObject([{ kind: "cores", neighbours: [], setting: { what: "cores", current: "4 cores" } }])
    const [io] = judge([unit("a", { ...waits("io", 500), written: 5_000 * MIB }), unit("b")]).verdicts
    expect(io!.sentence).toBe(
      "a waited for disks 50 % of the time; it reads and writes most itself (5 MB/s): it needs faster disks, or less to read and write."
    )
  })

  it("names the kernel as nobody's neighbour", () => {
    const kernel = unit("(kernel)", { cpu: 3_000, written: 9_000 * MIB })
    const [behind] = judge(
      [unit("a", { ...waits("cpu", 500), cpu: 100 }), unit("b", { cpu: 90 }), kernel],
      crowded
    ).verdicts
    expect(behind).toMatchObject({ kind: "cores", neighbours: [] })
    expect(behind!.sentence).toContain("most of it with work in no unit (3 cores)")
    expect(judge([kernel], host({ ...waits("cpu", 500), busy: 3_200 })).verdicts).toMatchObject([{ neighbours: [] }])
    expect(judge([unit("a", waits("io", 500)), kernel]).verdicts).toMatchObject([{ kind: "io", neighbours: [] }])
  })

  it("says of a kill whether it was the unit's own limit", () => {
    const killed = { kills: 2, memory: 510 * MIB }
    const [own] = judge([unit("a.service", { ...killed, memoryLimit: 512 * MIB })]).verdicts
    expect(own!.sentence).toBe(
      "a.service lost 2 processes because memory ran out, at 100 % of its limit of 512 MiB: raise MemoryMax, or let it need less."
    )
    expect(own!.setting).toMatchObject({ systemd: "systemctl set-property a.service MemoryMax=768M", docker: null })
    const [not] = judge([unit("a.service", killed)]).verdicts
    expect(not!.sentence).toContain("not at a limit of its own")
    expect(not!.setting).toMatchObject({ what: "memory", where: "host", current: "8192 MiB", systemd: null })
  })

  it("blames the host for a kill by a spike between scrapes only where the unit's peak was below its limit", () => {
    const spike = (memoryPeak: number | null, change: Partial<UnitReading> = {}) => {
      const killed = { kills: 1, memory: 40 * MIB, memoryLimit: 512 * MIB, memoryPeak, ...change }
      const { sentence, setting } = judge([unit("a.service", killed)]).verdicts[0]!
      return [sentence.slice("a.service lost 1 process because memory ran out, ".length), setting!.where]
    }
    const own = "of its limit of 512 MiB: raise MemoryMax, or let it need less."
    expect(spike(512 * MIB)).toEqual([`at a peak of 100 % ${own}`, "a.service"])
    expect(spike(0.9 * 512 * MIB)).toEqual([`at a peak of 90 % ${own}`, "a.service"])
    const host = ["not at a limit of its own: the host has too little for all that runs.", "host"]
    expect(spike(0.89 * 512 * MIB)).toEqual(host)
    expect(spike(512 * MIB, { memoryLimit: null })).toEqual(host)
    const either = "in a spike between scrapes, at its limit of 512 MiB or because the host had too little"
    for (const memory of [40 * MIB, null]) {
      expect(spike(null, { memory })).toEqual([`${either}: raise MemoryMax, or let it need less.`, "a.service"])
    }
  })

  it("tells no share of a limit where the memory is not told", () => {
    const [waits10] = judge([unit("a", { ...waits("memory", 100), memory: null, memoryLimit: 512 * MIB })]).verdicts
    expect(waits10!.sentence).toBe(
      "a waited for memory 10 % of the time, under its limit of 512 MiB: raise MemoryMax, or let it need less."
    )
  })

  it("says what a host does not tell", () => {
    const nothing = { cpu: null, memory: null, io: null }
    const answer = judge([unit("a", { waited: nothing, throttled: null, periods: null })], host({ waited: nothing }))
    expect(answer).toMatchObject({ verdicts: [], partial: ["pressure"] })
    expect(answer.sentence).toBe("Nothing waits: no threshold is reached. This host does not tell of pressure.")
    expect(kinds([unit("a", waits("cpu", 900)), other], host({ cores: null, busy: null, steal: 900 }))).toEqual([])
  })

  it(`puts kills first, then what matters most, and lists ${VERDICTS_MAX}`, () => {
    const many = Array.from({ length: 30 }, (_, n) => unit(`u${n}`, waits("io", 200 + n)))
    const answer = judge([...many, unit("killed", { kills: 1 }), unit("slow", waits("memory", 300))])
    expect(answer.verdicts).toHaveLength(VERDICTS_MAX)
    expect(answer.verdicts.slice(0, 3).map(({ subject }) => subject.name)).toEqual(["killed", "slow", "u29"])
    expect(answer.sentence).toBe("32 of 32 units wait.")
  })

  it("has no command for a name that a shell or a program reads as anything else", () => {
    const hostile = [
      "a b.service",
      "a;reboot.service",
      "$(reboot).service",
      "`reboot`",
      "-rf.service",
      "--privileged",
      "a\nb",
      "a'b.service",
      "dev-disk\\x2d.service",
      "a|b",
      "../a",
      ""
    ]
    for (const name of hostile) {
      const bad = { kills: 1, memory: 99 * MIB, memoryLimit: 100 * MIB, ...waits("io", 900), quota: 1, throttled: 900 }
      const { verdicts } = judge([unit(name, { ...bad, periods: 10, throttledPeriods: 5 })])
      expect(verdicts).toHaveLength(3)
      for (const { setting } of verdicts) expect([name, setting!.systemd, setting!.docker]).toEqual([name, null, null])
    }
    const [fine] = judge([unit("db-1", { periods: 10, throttledPeriods: 5, throttled: 900, quota: 1 })]).verdicts
    expect(fine!.setting).toMatchObject({ docker: "docker update --cpus 2 db-1", systemd: null })
  })

  it.prop(
    "has no number that is none, whatever was read, and no more than its bound",
    {
      rows: Schema.Array(
        Schema.Array(Schema.Int.check(Schema.isBetween({ minimum: -1, maximum: 4_000 }))).check(Schema.isMaxLength(14))
      ).check(Schema.isMaxLength(30))
    },
    ({ rows }) => {
      const at = (row: ReadonlyArray<number>, n: number) => (row[n] === undefined || row[n] < 0 ? null : row[n])
      const units = rows.map((row, n) =>
        unit(`u${n}`, {
          cpu: at(row, 0) ?? 0,
          waited: { cpu: at(row, 1), memory: at(row, 2), io: at(row, 3) },
          throttled: at(row, 4),
          periods: at(row, 5),
          throttledPeriods: at(row, 6),
          quota: at(row, 7),
          memory: at(row, 8),
          memoryPeak: at(row, 13),
          memoryLimit: at(row, 9),
          kills: at(row, 10),
          read: at(row, 11),
          written: at(row, 12)
        })
      )
      const answer = judge(units, host({ busy: at(rows[0] ?? [], 13), steal: at(rows[1] ?? [], 13) }))
      expect(answer.verdicts.length).toBeLessThanOrEqual(VERDICTS_MAX)
      for (const { evidence, neighbours, sentence, subject } of answer.verdicts) {
        for (const value of [...Object.values(evidence), ...neighbours.map(({ value }) => value)]) {
          expect(Number.isFinite(value)).toBe(true)
        }
        expect(sentence).toMatch(/\.$/)
        expect(sentence).not.toMatch(/NaN|null|undefined|Infinity/)
        if (subject.name !== null) expect(sentence.startsWith(`${subject.name} `)).toBe(true)
      }
    }
  )
})
