/**
 * What hurts a machine, shown on one: services of a booted Debian root that burn, are killed, are throttled and starve, and what
 * the server says of them. They run for 40 seconds, then neighbours for as long; each test asks about its own.
 *
 * The agent is the one that is shipped, with the rights that its unit has, and none of root's; rows travel with a token of its own, answers come from the API.
 */
import { readFileSync, rmSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { afterAll, beforeAll, describe, expect, test } from "vitest"
import {
  buildAgent,
  installAgent,
  type Json,
  letAgentSeeAll,
  type RunningServer,
  startServer,
  until
} from "./AgentInRoot.ts"
import { BootedRoot, whyNot } from "./BootedRoot.ts"

const reason = whyNot({ limits: true })
if (reason !== undefined) process.stdout.write(`left out: what hurts, in a booted root, because ${reason}\n`)

/** How long the services run before they are asked about. */
const WINDOW_SECONDS = 40
/** The unit's CPU may differ from the kernel's own count by so much of it: what a scrape's moment is known to. */
const CPU_ERROR = 0.03
/** acct(2) has a number of its own on each architecture; Perl, which every Debian has, calls it by that. */
const ACCT = { x64: 163, arm64: 89 }[process.arch as string] ?? 163

/** A process that works for some 20 ms and ends: scans two seconds apart do not see it. */
const BURN = "#!/usr/bin/perl\nmy $n = 0; $n++ while $n < 600_000;\n"
const DEPLOY = "#!/bin/sh\nwhile :; do /usr/local/bin/burn; done\n"
/** Some 3 MiB a second, all of it touched: it grows for half a minute before it is killed. */
const HOG = "#!/usr/bin/perl\nmy @kept; while (1) { push @kept, 'x' x 524_288; select undef, undef, undef, 0.18 }\n"
const SPIN = "#!/bin/sh\nwhile :; do :; done\n"
const NOISE = "#!/bin/sh\n/usr/local/bin/spin & /usr/local/bin/spin & /usr/local/bin/spin & wait\n"
const MIB = 1024 * 1024
const LIMIT_MIB = 96

describe.skipIf(reason !== undefined)("on a machine with services that hurt", () => {
  let root: BootedRoot
  let server: RunningServer
  let bundle: string | undefined
  let id: string
  /** CPU of the burner's unit as the kernel counts it, at moments (milliseconds). */
  const kernel: Array<{ readonly at: number; readonly seconds: number }> = []
  let watching: NodeJS.Timeout | undefined
  /** Ends of the windows that are asked about: before the neighbours came, and with them. */
  let alone: string
  let crowded: string
  const hours = (WINDOW_SECONDS / 3_600).toFixed(5)

  const ask = (path: string): Promise<Json> => server.ask(`/api/servers/${id}/${path}`)
  const row = (answer: Json, resource: string, name: string): Json =>
    answer[resource].find((one: Json) => one.name === name)
  const service = (name: string, program: string, ...properties: ReadonlyArray<string>) =>
    root.shell(
      `systemd-run --quiet --unit=${name} ${properties.map((one) => `-p ${one}`).join(" ")} /usr/local/bin/${program}`
    )
  /** A container of systemd-nspawn, on the root's own /usr. */
  const nspawn = (name: string) =>
    root.shell(
      `systemd-run --quiet --unit=nspawn-${name} systemd-nspawn --quiet --machine=${name} --directory=/ --volatile=yes --as-pid2 --property=CPUQuota=10% /usr/local/bin/spin`
    )
  const wait = (seconds: number) => new Promise((resolve) => setTimeout(resolve, seconds * 1_000))

  const watchKernel = () => {
    const file = join(root.cgroup, "system.slice", "deploy.service", "cpu.stat")
    watching = setInterval(() => {
      const usage = /^usage_usec (\d+)$/m.exec(readFileSync(file, "utf8"))?.[1]
      kernel.push({ at: Date.now(), seconds: Number(usage) / 1_000_000 })
    }, 50)
  }
  /** What the kernel had counted at a moment, between the two looks around it. */
  const kernelAt = (at: number): number => {
    const later = kernel.findIndex((one) => one.at >= at)
    expect(later, "looks at the kernel's count around that moment").toBeGreaterThan(0)
    const [before, after] = [kernel[later - 1]!, kernel[later]!]
    return before.seconds + ((after.seconds - before.seconds) * (at - before.at)) / (after.at - before.at)
  }

  beforeAll(async () => {
    // Each is kept once it is there: what has begun is ended although another one failed.
    const begun = await Promise.allSettled([
      startServer().then((one) => (server = one)),
      BootedRoot.boot("hurting", { limits: true }).then((one) => (root = one)),
      buildAgent().then((one) => (bundle = one))
    ])
    for (const one of begun) if (one.status === "rejected") throw one.reason
    for (const [name, text] of Object.entries({
      burn: BURN,
      "deploy.sh": DEPLOY,
      hog: HOG,
      spin: SPIN,
      noise: NOISE
    })) {
      writeFileSync(root.path(`/usr/local/bin/${name}`), text, { mode: 0o755 })
    }
    await root.shell(
      `install -d /var/log/account && install -m 0640 -g adm /dev/null /var/log/account/pacct &&
       perl -e 'my $file = q(/var/log/account/pacct); syscall(${ACCT}, $file) == 0 or die $!'`
    )
    const { body } = await server.request("POST", "/api/servers", { name: "hurting" })
    id = body.server_id
    await installAgent(root, bundle!, {
      serverUrl: server.url,
      token: body.token,
      more: "accounting: {file: /var/log/account/pacct}",
      // Who may read that file, as Debian's package has it.
      groups: ["adm"]
    })
    await until("a scrape has arrived", async () => (await ask("units/top?hours=0.1")).units.length > 0)
    await service("hog", "hog", `MemoryMax=${LIMIT_MIB}M`, "MemorySwapMax=0", "CPUWeight=10000")
    await service("deploy", "deploy.sh", "CPUWeight=1000")
    watchKernel()
    // It may use a twentieth of a core, and would be first in every queue.
    await service("capped", "spin", "CPUQuota=5%", "CPUWeight=10000")
    await nspawn("web")
    await nspawn("shop-db")
    await wait(WINDOW_SECONDS + 4)
    alone = new Date(Date.now() - 1_000).toISOString()
    await wait(1)
    clearInterval(watching)
    await root.shell("systemctl stop deploy")
    await service("noisy", "noise", "CPUWeight=1000")
    await service("starved", "spin", "CPUWeight=1")
    await wait(WINDOW_SECONDS + 4)
    crowded = new Date(Date.now() - 1_000).toISOString()
    clearInterval(watching)
  })

  afterAll(async () => {
    clearInterval(watching)
    await root?.stop()
    await server?.stop()
    if (bundle !== undefined) rmSync(bundle, { recursive: true, force: true })
  })

  test("tells a unit's CPU as the kernel does, with that of children that lived for milliseconds", async () => {
    const answer = await ask(`units/top?metric=cpu&limit=50&hours=${hours}&at=${alone}`)
    const told = row(answer, "units", "deploy.service")
    const to = Date.parse(answer.last_seen)
    expect(to).toBeLessThan(kernel.at(-1)!.at)
    const counted = kernelAt(to) - kernelAt(to - answer.covered_seconds * 1_000)
    process.stdout.write(
      `deploy.service: told ${told.cpu_seconds.toFixed(3)} s, the kernel counted ${counted.toFixed(3)} s\n`
    )
    expect(counted).toBeGreaterThan(1)
    expect(Math.abs(told.cpu_seconds - counted) / counted).toBeLessThan(CPU_ERROR)
  })

  test("names what was too short to be seen, and who started it", async () => {
    const answer = await ask(`short_lived/top?limit=5&hours=${hours}&at=${alone}`)
    const burn = row(answer, "short_lived", "burn")
    expect(burn.runs_total).toBeGreaterThan(30)
    expect(burn.parents).toEqual(["deploy.sh"])
    const unit = row(await ask(`units/top?limit=50&hours=${hours}&at=${alone}`), "units", "deploy.service")
    expect(burn.cpu_seconds).toBeGreaterThan(0.7 * unit.cpu_seconds)
  })

  test("adds up to what the machine was busy with, line by line", async () => {
    const answer = await ask(`breakdown?hours=${hours}&at=${alone}`)
    expect(answer.partial).toEqual([])
    const total = answer.lines.reduce((sum: number, line: Json) => sum + line.cpu_seconds, 0)
    expect(total).toBeCloseTo(answer.host.cpu_seconds, 6)
    expect(row(answer, "short_lived", "burn").runs).toBeGreaterThan(30)
  })

  test("makes a kill for want of memory a page: victim, unit, limit, and who grew", async () => {
    expect((await root.shell("systemctl show -P Result hog.service")).trim()).toMatch(/^(oom-kill|signal)$/)
    let recordings: ReadonlyArray<Json> = []
    await until("a recording has arrived", async () => {
      ;({ recordings } = await ask("recordings"))
      return recordings.length > 0
    })
    expect(recordings).toMatchObject([
      {
        reason: "oom_kill",
        kills: [
          {
            name: "hog",
            unit: "hog.service",
            scope: "unit",
            limited: "hog.service",
            limit_bytes: LIMIT_MIB * MIB,
            source: "kernel"
          }
        ]
      }
    ])
    expect(recordings[0].kills[0].memory_bytes).toBeGreaterThan(0.8 * LIMIT_MIB * MIB)
    const recording = await server.ask(`/api/recordings/${recordings[0].recording_id}`)
    const grew = (list: ReadonlyArray<Json>) =>
      list
        .map(({ memory_bytes, name }) => {
          const known = memory_bytes.filter((value: number | null) => value !== null)
          return { name, bytes: known.length === 0 ? 0 : Math.max(...known) - known[0] }
        })
        .sort((one, other) => other.bytes - one.bytes)
    for (const [list, name] of [
      [recording.processes, "hog"],
      [recording.units, "hog.service"]
    ] as const) {
      expect(grew(list)[0]).toMatchObject({ name })
      // It is recorded from the next round of all units on, which is up to 15 s later.
      expect(grew(list)[0]!.bytes).toBeGreaterThan(0.1 * LIMIT_MIB * MIB)
    }
    const { marks } = await ask("marks?hours=0.1")
    expect(marks.map(({ kind }: Json) => kind)).toContain("oom_kill")
  })

  test("tells a service that its own quota throttles from one that waits for its neighbours", async () => {
    const verdict = async (at: string, name: string): Promise<Json> => {
      const answer = await ask(`verdict?hours=${hours}&at=${at}`)
      expect(answer.judged, answer.sentence).toBe(true)
      return answer.verdicts.filter((one: Json) => one.subject.name === name)
    }
    for (const at of [alone, crowded]) {
      expect(await verdict(at, "capped.service")).toMatchObject([
        { kind: "throttled", setting: { what: "CPUQuota", where: "capped.service", current: "5%" } }
      ])
    }
    const waiting = await verdict(crowded, "starved.service")
    expect(waiting).toMatchObject([{ kind: "neighbours", setting: { what: "CPUWeight", where: "starved.service" } }])
    expect(waiting[0].neighbours.map(({ name }: Json) => name)).toContain("noisy.service")
  })

  test("calls containers by their names, and says which process is in which", async () => {
    const answer = await ask(`units/top?metric=cpu&limit=50&hours=${hours}&at=${alone}`)
    for (const name of ["web", "shop-db"]) {
      const container = row(answer, "units", name)
      expect(container, name).toMatchObject({ name, num_procs: expect.any(Number) })
      // A quota of a tenth of a core is all that each may have, and takes.
      expect(container.avg_cpu_percent).toBeGreaterThan(8)
      expect(container.avg_cpu_percent).toBeLessThan(11)
    }
    const processes = await ask(`processes/top?limit=50&hours=${hours}&at=${alone}`)
    expect(row(processes, "processes", "spin").units).toEqual(
      expect.arrayContaining(["web", "shop-db", "capped.service"])
    )
    const inside = await ask(`processes/top?unit=web&limit=50&hours=${hours}&at=${alone}`)
    expect(inside.processes[0]).toMatchObject({ name: "spin" })
  })

  test("tells what a process of another user reads and writes only where the agent is let see it", async () => {
    const told = async () =>
      row(await ask("processes/top?metric=write&limit=50&hours=0.002"), "processes", "spin").write_mb !== null
    expect(await told()).toBe(false)
    await letAgentSeeAll(root)
    await until("writes are told", told)
  })
})

// A file without a test that ran is a failure to the runner; a machine that cannot is none.
test("says what it left out", () => {
  expect(reason === undefined || reason.length > 0).toBe(true)
})
