import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { describe, expect, it } from "@effect/vitest"
import { killsIn, messageOf, openKernelLog } from "./KernelLog.ts"

const USAGE = "memory: usage 65536kB, limit 65536kB, failcnt 94"
const OF_UNIT = [
  "oom-kill:constraint=CONSTRAINT_MEMCG,nodemask=(null),cpuset=/,mems_allowed=0,oom_memcg=/system.slice/hog.service,task_memcg=/system.slice/hog.service,task=hog,pid=4711,uid=0",
  "Memory cgroup out of memory: Killed process 4711 (hog) total-vm:80000kB, anon-rss:64000kB, file-rss:1000kB, shmem-rss:24kB, UID:0 pgtables:180kB oom_score_adj:0"
]

describe("what the kernel tells of a kill", () => {
  it("is the victim, what it held, and the unit whose limit was reached", () => {
    expect(killsIn(OF_UNIT)).toEqual([
      {
        pid: 4711,
        comm: "hog",
        bytes: 65_024 * 1024,
        scope: "unit",
        limited: "/system.slice/hog.service",
        limit: undefined,
        cgroup: "/system.slice/hog.service"
      }
    ])
  })

  it("is the limit that was reached, where it is told, and of no other kill", () => {
    const swap = "memory+swap: usage 70000kB, limit 131072kB, failcnt 0"
    const [facts = "", killed = ""] = OF_UNIT
    const kills = killsIn([USAGE, swap, ...OF_UNIT, ...OF_UNIT])
    expect(kills.map(({ limit }) => limit)).toEqual([65_536 * 1024, undefined])
    expect(killsIn([USAGE.replace("limit 65536", "limit 9007199254740988"), ...OF_UNIT])[0]?.limit).toBeUndefined()
    // Nothing but the kernel's whole line is one.
    for (const strange of [`${USAGE}[9]: segfault at 0 ip 0 sp 0 error 4`, `x ${USAGE}`]) {
      expect(killsIn([strange, ...OF_UNIT])[0]?.limit).toBeUndefined()
    }
    const ofMachine = killed.replace("Memory cgroup out of memory", "Out of memory")
    expect(killsIn([USAGE, facts.replace("MEMCG", "NONE"), ofMachine])[0]?.limit).toBeUndefined()
    expect(killsIn([USAGE, facts.replace("pid=4711", "pid=12"), killed])[0]?.limit).toBeUndefined()
  })

  it("is the machine's own want of memory where no limit was reached", () => {
    const lines = [
      "oom-kill:constraint=CONSTRAINT_NONE,nodemask=(null),cpuset=/,mems_allowed=0,global_oom,task_memcg=/user.slice/a,task=postgres,pid=7,uid=26",
      "Out of memory: Killed process 7 (postgres) total-vm:1kB, anon-rss:2kB, file-rss:3kB, shmem-rss:4kB, UID:26"
    ]
    expect(killsIn(lines)).toMatchObject([{ pid: 7, scope: "host", limited: undefined, cgroup: "/user.slice/a" }])
  })

  it("is read of older kernels, which tell less", () => {
    expect(killsIn(["Killed process 12 (java), total-vm:5kB, anon-rss:4kB, file-rss:2kB"])).toMatchObject([
      { pid: 12, comm: "java", bytes: 6_144, scope: "host", cgroup: undefined }
    ])
  })

  it("is not made up by a name, a path or another process's facts", () => {
    const [facts = "", killed = ""] = OF_UNIT
    const strange = killed.replace("(hog)", "(a) total-vm:(x, y)")
    expect(killsIn([facts, strange])).toMatchObject([{ comm: "a) total-vm:(x, y", pid: 4711 }])
    const path = "/a,task=b,pid=1,c"
    expect(killsIn([facts.replaceAll("/system.slice/hog.service", "/a, b=c"), killed])).toMatchObject([
      { cgroup: "/a, b=c", limited: "/a, b=c" }
    ])
    expect(killsIn([facts.replaceAll("/system.slice/hog.service", path), killed])[0]?.pid).toBe(4711)
    expect(killsIn([facts.replace("pid=4711", "pid=12"), killed])).toMatchObject([{ cgroup: undefined }])
    expect(killsIn([facts, killed.replace("(hog)", "(oom-kill:pid=1)")])).toMatchObject([
      { comm: "oom-kill:pid=1", pid: 4711, cgroup: "/system.slice/hog.service" }
    ])
    expect(killsIn([facts, "oom-kill:pid=1[9]: segfault at 0 ip 0 sp 0 error 4", killed])).toMatchObject([
      { cgroup: "/system.slice/hog.service" }
    ])
    expect(killsIn(["Killed process 99999999999999999999 (x) total-vm:1kB, anon-rss:1kB, file-rss:1kB"])).toEqual([])
  })

  it("counts only where the kernel itself said it", () => {
    const [, killed = ""] = OF_UNIT
    expect(messageOf(`3,17,1000,-;${killed}\n SUBSYSTEM=x`)).toBe(killed)
    expect(messageOf(`12,17,1000,-;${killed}`)).toBeUndefined()
    expect(messageOf(killed)).toBeUndefined()
  })
})

describe("a log", () => {
  it("that cannot be read tells nothing, and harms nothing", () => {
    const log = openKernelLog("/no/such/log")
    expect(log.kills()).toBeUndefined()
    log.close()
  })

  it("tells what came since it was opened", () => {
    const folder = mkdtempSync(join(tmpdir(), "nodepulse-log-"))
    const path = join(folder, "kmsg")
    const record = (line: string) => `3,1,1,-;${line}\n`
    writeFileSync(path, record(OF_UNIT[1]!))
    const log = openKernelLog(path)
    try {
      expect(log.kills()).toEqual([])
      writeFileSync(path, record(OF_UNIT[1]!.replace("4711", "4712")), { flag: "a" })
      expect(log.kills()).toMatchObject([{ pid: 4712 }])
    } finally {
      log.close()
      rmSync(folder, { recursive: true })
    }
  })
})
