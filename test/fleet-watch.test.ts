/** What `npm run fleet -- --watch` reads of this machine: what a process used is the kernel's figure, with its descendants. */
import { spawn } from "node:child_process"
import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { describe, expect, test } from "vitest"
import { bytesOnDisk, makeSampler, usedBy, watchedOf } from "../scripts/fleet/Watch.ts"

const CPU = "const end = process.cpuUsage().user + 100000; while (process.cpuUsage().user < end);"

describe.runIf(process.platform === "linux")("what is watched beside a fleet", () => {
  test("is named, or goes by its process id; anything else is refused", () => {
    expect(watchedOf("redis=4711, 4712")).toEqual([
      { name: "redis", pid: 4711 },
      { name: "4712", pid: 4712 }
    ])
    for (const text of ["", "redis", "redis=", "0", "1.5", "4711,,4712"]) expect(watchedOf(text)).toBeUndefined()
  })

  test("counts CPU time and memory of descendants, those that have ended too", async () => {
    const parent = `require("node:child_process").execFileSync(process.execPath, ["-e", ${JSON.stringify(CPU)}])`
    const child = spawn(process.execPath, ["-e", `${parent}; console.log("done"); setInterval(() => {}, 1000)`])
    try {
      await new Promise((resolve) => child.stdout.once("data", resolve))
      const [used] = usedBy([{ name: "both", pid: child.pid! }])
      expect(used!.cpuSeconds).toBeGreaterThanOrEqual(0.1)
      expect(used!.memoryBytes).toBeGreaterThan(10_000_000)
      expect(used!.processes).toBe(1)
    } finally {
      child.kill("SIGKILL")
    }
  })

  test("is told as ended once it has", async () => {
    const child = spawn(process.execPath, ["-e", "setInterval(() => {}, 1000)"])
    const sampler = makeSampler([{ name: "one", pid: child.pid! }], [])
    const ended = new Promise((resolve) => child.once("exit", resolve))
    child.kill("SIGKILL")
    await ended
    expect(sampler.line()).toBe("one has ended")
    expect(sampler.summary(0)[0]).toContain("has ended")
    expect(makeSampler([], []).line()).toBeUndefined()
  })

  test("has folders as du counts them, with those below", () => {
    const folder = mkdtempSync(join(tmpdir(), "watch-"))
    try {
      writeFileSync(join(folder, "file"), Buffer.alloc(1_000_000, 1))
      expect(bytesOnDisk(folder)).toBeGreaterThanOrEqual(1_000_000)
      expect(bytesOnDisk(join(folder, "nowhere"))).toBeUndefined()
    } finally {
      rmSync(folder, { recursive: true })
    }
  })
})
