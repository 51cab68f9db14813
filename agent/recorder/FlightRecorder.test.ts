import { afterEach, beforeEach, describe, expect, it } from "@effect/vitest"
import { Result } from "effect"
import { PROCESSES_MAX, readRecording } from "../../src/protocol/Recording.ts"
import type { FlightRecorder } from "./FlightRecorder.ts"
import { type ProcTree, procTree } from "./ProcTree.fixture.ts"
import { RING_SAMPLES } from "./SampleRing.ts"

const ID = "0".repeat(32)
const NOW = Date.UTC(2025, 9, 30, 12)

let tree: ProcTree
beforeEach(() => {
  tree = procTree()
  tree.host(0)
})
afterEach(() => tree.remove())

/** What is sent, as a server reads it. */
const made = (recorder: FlightRecorder, boot: number) => {
  const recording = recorder.recording(ID, "asked", boot, NOW)!
  return Result.getOrThrow(readRecording(JSON.parse(JSON.stringify(recording))))
}

describe("a recording", () => {
  it("has a value a second of the machine, its processes and its units", () => {
    const recorder = tree.recorder()
    for (let second = 0; second <= 60; second++) {
      tree.host(50 * second)
      tree.process(7, "burner", 25 * second, 1_000)
      tree.cgroup("system.slice/web.service", {
        "cgroup.procs": "7\n",
        "cpu.stat": `usage_usec ${250_000 * second}\n`,
        "memory.current": "4096\n",
        "memory.max": "8192\n"
      })
      recorder.sample(1_000 * second, NOW)
    }
    const { at, ended, host, processes, units } = made(recorder, 60_250)
    expect(ended).toBe(NOW / 1_000 - 0.25)
    expect(at).toEqual(Array.from({ length: 61 }, (_, n) => n - 60))
    expect(host.cpu_user).toEqual([null, ...new Array(60).fill(50)])
    expect(host.memory_available_bytes.at(-1)).toBe(400 * 1024)
    expect(host.swap_used_bytes.at(-1)).toBe(20 * 1024)
    expect(host.tasks_running.at(-1)).toBe(3)
    expect(host.pressure_cpu.at(-1)).toBe(null)
    expect(processes).toMatchObject([{ name: "burner", pid: 7 }])
    expect(processes[0]!.cpu.slice(-40)).toEqual(new Array(40).fill(25))
    expect(units).toMatchObject([{ name: "web.service", limit: 8192 }])
    expect(units[0]!.cpu.slice(-40)).toEqual(new Array(40).fill(25))
  })

  it("holds the last 15 minutes and no more, however long it runs", () => {
    const recorder = tree.recorder()
    for (let second = 0; second < RING_SAMPLES + 100; second++) recorder.sample(1_000 * second, NOW)
    const { at } = made(recorder, (RING_SAMPLES + 99) * 1_000)
    expect(at.length).toBe(RING_SAMPLES)
    expect(at[0]).toBe(1 - RING_SAMPLES)
  })

  it("has a gap where a sample came late or the machine slept, and never a wrong rate", () => {
    const recorder = tree.recorder()
    let ticks = 0
    const samples = (boots: ReadonlyArray<number>) => {
      for (const boot of boots) {
        ticks += 100
        tree.host(ticks)
        tree.process(7, "burner", ticks, 1_000)
        recorder.sample(boot, NOW)
      }
    }
    samples(Array.from({ length: 40 }, (_, n) => n * 1_000))
    samples([42_500, 43_500, 3_643_500, 3_644_500])
    const { at, host, processes } = made(recorder, 3_644_500)
    // What is older than 15 minutes is no longer shown.
    expect(at).toEqual([-1, 0])
    expect(host.cpu_user).toEqual([null, 100])
    expect(processes[0]!.cpu).toEqual([null, 100])
  })

  it("leaves out the rate of a late sample, and goes on with the next", () => {
    const recorder = tree.recorder()
    for (const [n, boot] of [0, 1_000, 2_000, 4_500, 5_500].entries()) {
      tree.host(100 * n)
      recorder.sample(boot, NOW)
    }
    expect(made(recorder, 5_500).host.cpu_user).toEqual([null, 100, 100, null, 100])
  })

  it("says what it had to do without", () => {
    let cost = 12
    const recorder = tree.recorder({ cost: () => cost })
    for (let second = 0; second < 200; second++) recorder.sample(1_000 * second, NOW)
    cost = 0
    expect(recorder.budget.level).toBeGreaterThan(0)
    const { degraded } = made(recorder, 199_000)
    expect(degraded[0]?.level).toBe(0)
    expect(degraded.at(-1)?.level).toBeGreaterThan(0)
  })

  it("shows no more processes than it may, the latest ones, whatever comes and goes", () => {
    const recorder = tree.recorder()
    for (let second = 0; second < 300; second++) {
      tree.process(1_000 + second, `p${second}`, 0, 20_000)
      recorder.sample(1_000 * second, NOW)
      tree.exit(998 + second)
    }
    const { processes } = made(recorder, 299_000)
    expect(processes.length).toBeLessThanOrEqual(PROCESSES_MAX)
    expect(processes.some(({ name }) => name === "p298")).toBe(true)
  })

  it("sees a process that grows and dies between two rounds", () => {
    const recorder = tree.recorder()
    tree.process(1, "init", 0, 10)
    for (let second = 0; second < 3; second++) recorder.sample(1_000 * second, NOW)
    tree.process(9, "short", 0, 100_000)
    for (let second = 3; second < 6; second++) recorder.sample(1_000 * second, NOW)
    tree.exit(9)
    recorder.sample(6_000, NOW)
    const shown = made(recorder, 6_000).processes.find(({ name }) => name === "short")
    expect(shown?.memory).toEqual([null, null, null, 409_600_000, 409_600_000, 409_600_000, null])
  })

  it("takes a thread that has just begun for no process", () => {
    const recorder = tree.recorder()
    tree.process(1, "init", 0, 10)
    for (let second = 0; second < 3; second++) recorder.sample(1_000 * second, NOW)
    tree.process(9, "worker", 0, 100_000)
    tree.thread(10, 9, "V8Worker", 100_000)
    for (let second = 3; second < 6; second++) recorder.sample(1_000 * second, NOW)
    const names = made(recorder, 5_000).processes.map(({ name }) => name)
    expect(names).toContain("worker")
    expect(names).not.toContain("V8Worker")
  })

  it("never takes the times of one process for another's that has its number", () => {
    const recorder = tree.recorder()
    for (let second = 0; second < 40; second++) {
      const isSecond = second >= 20
      tree.process(7, isSecond ? "new" : "old", 1_000 + second, 100_000, isSecond ? 2_000 : 1)
      recorder.sample(1_000 * second, NOW)
    }
    const { processes } = made(recorder, 39_000)
    const highest = Math.max(...processes.flatMap(({ cpu }) => cpu.map((value) => value ?? 0)))
    expect(highest).toBeLessThanOrEqual(1)
  })
})

describe("a process that the kernel killed for want of memory", () => {
  const CGROUP = "system.slice/hog.service"
  const hogged = (kills: number) =>
    tree.cgroup(CGROUP, {
      "cgroup.procs": "9\n",
      "cpu.stat": "usage_usec 1\n",
      "memory.current": "4096\n",
      "memory.max": "67108864\n",
      "memory.events": `low 0\noom 1\noom_kill ${kills}\n`
    })

  const runInto = (recorder: FlightRecorder) => {
    hogged(0)
    tree.process(9, "hog", 0, 100_000)
    tree.process(8, "bystander", 0, 900_000)
    for (let second = 0; second < 20; second++) recorder.sample(1_000 * second, NOW)
    tree.exit(9)
    tree.host(0, 1)
    hogged(1)
    return recorder.sample(20_000, NOW)
  }

  it("is told by the kernel's own words where they can be read", () => {
    const kill = {
      ...{ pid: 9, comm: "hog", bytes: 4_096, scope: "unit" as const },
      ...{ limited: `/${CGROUP}`, limit: undefined, cgroup: `/${CGROUP}` }
    }
    const recorder = tree.recorder({ log: { kills: () => [kill] } })
    const expected = {
      ...{ at: NOW / 1_000, name: "hog", pid: 9, unit: "hog.service", memory: 4_096 },
      ...{ scope: "unit", limited: "hog.service", limit: 67_108_864, source: "kernel" }
    }
    expect(runInto(recorder)).toEqual([expected])
    expect(made(recorder, 20_000).kills).toEqual([expected])
  })

  it("has the limit that the kernel tells, also of a unit that began and was gone before anybody had looked at it", () => {
    const limited = "/system.slice/brief.service"
    const kill = {
      ...{ pid: 4_010, comm: "brief", bytes: 4_096, scope: "unit" as const },
      ...{ limited, limit: 33_554_432, cgroup: limited }
    }
    const recorder = tree.recorder({ log: { kills: () => [kill] } })
    expect(runInto(recorder)).toMatchObject([{ unit: "brief.service", limited: "brief.service", limit: 33_554_432 }])
  })

  it("has its unit's limit although the kernel's words have a path from outside of the container that this runs in", () => {
    const outside = `/lxc/box/${CGROUP}`
    const kill = {
      ...{ pid: 4_009, comm: "hog", bytes: 4_096, scope: "unit" as const },
      ...{ limited: outside, limit: undefined, cgroup: outside }
    }
    const recorder = tree.recorder({ log: { kills: () => [kill] } })
    expect(runInto(recorder)).toMatchObject([{ name: "hog", unit: "hog.service", limit: 67_108_864 }])
  })

  it("is presumed to be the largest that is gone of the unit that lost one, where they cannot", () => {
    const recorder = tree.recorder({ unitOf: (pid) => (pid === 9 ? "hog.service" : "other.service") })
    expect(runInto(recorder)).toMatchObject([
      { name: "hog", pid: 9, unit: "hog.service", memory: 409_600_000, limit: 67_108_864, source: "presumed" }
    ])
  })

  it("that was killed before the recorder began is nobody's", () => {
    tree.host(0, 5)
    const recorder = tree.recorder()
    expect(recorder.sample(0, NOW)).toEqual([])
    expect(recorder.sample(1_000, NOW)).toEqual([])
    expect(made(recorder, 1_000).kills).toEqual([])
  })
})
