/**
 * CPU as the built-in collectors tell it, beside what `top -b` shows for the same interval, and what the kernel counted: of
 * burners of 50, 100 and 250 % of a core, and of a loop of `ls`, one after the other.
 *
 *     node bench/shown.ts [seconds a load, default 60] [--accounting]
 *
 * The burners spend what CPU they are given, up to their share: on a busy machine, or one with fewer cores, that is less, and
 * the same for all three. The kernel's count is the CPU time of the processes themselves, with that of the children they
 * waited for. Differences are in points: hundredths of a core.
 *
 * `--accounting` switches the kernel's process accounting on for the time of the bench, and off behind it (as root; needs
 * Debian's package acct): only with it can the loop's `ls` be told.
 */
import { execFileSync, spawn } from "node:child_process"
import { mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { Clock, Effect, Result } from "effect"
import { makeAccounts } from "../agent/collector/accounting/CollectorAccounting.ts"
import { openProcessCollector } from "../agent/collector/CollectorProcess.ts"
import { ProcFiles } from "../agent/collector/ProcFiles.ts"
import { parseExposition } from "../src/plugins/Exposition.ts"

const INTERVAL_SECONDS = 15
const CLOCK_TICKS = 100
const seconds = Number(process.argv.slice(2).find((argument) => /^\d+$/.test(argument)) ?? 60)
const folder = mkdtempSync(join(tmpdir(), "nodepulse-shown-"))
const accounting = process.argv.includes("--accounting") ? join(folder, "pacct") : undefined

/** Spends a share of a core, as far as it gets it, measured by its own CPU time; under a name of its own. */
const burner = (name: string, share: number) => {
  const spent = "(({ user, system }) => (user + system) / 1e3)(process.cpuUsage())"
  const work = `while (${spent} < ${share} * (performance.now() - from)) for (let n = 0; n < 1e5; n++);`
  return [
    process.execPath,
    "-e",
    `process.title = "${name}"; const from = performance.now(); setInterval(() => { ${work} }, 10)`
  ]
}

interface Load {
  readonly title: string
  readonly commands: ReadonlyArray<ReadonlyArray<string>>
  /** The names of the groups, and of the processes in top, that are the load's. */
  readonly names: ReadonlyArray<string>
}

const loopOfLs = (): Load => {
  symlinkSync("/bin/sh", join(folder, "ls-loop"))
  const command = [join(folder, "ls-loop"), "-c", "while :; do ls / > /dev/null; done"]
  return { title: "loop of ls", commands: [command], names: ["ls-loop", "ls"] }
}

const loads: ReadonlyArray<Load> = [
  { title: "burner of 50 %", commands: [burner("burner-50", 0.5)], names: ["burner-50"] },
  { title: "burner of 100 %", commands: [burner("burner-100", 1)], names: ["burner-100"] },
  {
    title: "burner of 250 %, three processes",
    commands: [burner("burner-250", 1), burner("burner-250", 1), burner("burner-250", 0.5)],
    names: ["burner-250"]
  },
  loopOfLs()
]

const sleep = (millis: number) => new Promise((resolve) => setTimeout(resolve, millis))

/** CPU seconds of a process, and of the children that it waited for. */
const cpuSeconds = (pid: number): number => {
  const fields = readFileSync(`/proc/${pid}/stat`, "latin1").split(") ").at(-1)!.split(" ")
  return fields.slice(11, 15).reduce((sum, field) => sum + Number(field), 0) / CLOCK_TICKS
}

/** What `top` shows at the end of an interval that begins now: the sum over the processes of these names. */
const top = (interval: number, names: ReadonlyArray<string>) =>
  new Promise<number>((resolve) => {
    const child = spawn("top", ["-b", "-w", "512", "-n", "2", "-d", String(interval)], {
      stdio: ["ignore", "pipe", "inherit"],
      env: { ...process.env, LC_ALL: "C" }
    })
    let text = ""
    child.stdout.on("data", (chunk) => (text += chunk))
    child.on("close", () => {
      const lines = text
        .split(/^top - /m)
        .at(-1)!
        .split("\n")
      const columns = lines.map((line) => line.trim().split(/\s+/))
      const header = columns.find((line) => line[0] === "PID") ?? []
      const [cpu, command] = [header.indexOf("%CPU"), header.indexOf("COMMAND")]
      resolve(
        columns.filter((line) => names.includes(line[command] ?? "")).reduce((sum, line) => sum + Number(line[cpu]), 0)
      )
    })
  })

/** CPU seconds in the samples whose label says one of these names. */
const inText = (text: string, metric: string, label: string, names: ReadonlyArray<string>): number =>
  Result.getOrThrow(parseExposition(text))
    .samples.filter(({ labels, name }) => name === metric && names.includes(labels[label] ?? ""))
    .reduce((sum, { value }) => sum + value, 0)

const print = (...columns: ReadonlyArray<string>) =>
  process.stdout.write(`${columns.map((text, n) => (n === 0 ? text.padEnd(34) : text.padStart(13))).join("")}\n`)

const measure = (load: Load) =>
  Effect.gen(function* () {
    const clock = yield* Clock.Clock
    const files = new ProcFiles()
    const accounts = accounting === undefined ? undefined : makeAccounts(accounting, files, clock)
    const short = accounts === undefined ? undefined : yield* accounts.open
    const processes = yield* openProcessCollector(files, clock, undefined, accounts)
    const children = load.commands.map(([command, ...args]) => spawn(command!, args, { stdio: "ignore" }))
    const pids = children.map(({ pid }) => pid!)
    const stop = Effect.sync(() => children.forEach((child) => void child.kill("SIGKILL")))
    const collect = Effect.gen(function* () {
      const { collectedAt, text } = yield* processes.collect
      const grouped = inText(text, "namedprocess_namegroup_cpu_seconds_total", "groupname", load.names)
      const named = short === undefined ? "" : (yield* short.collect).text
      const lived = inText(named, "nodepulse_short_lived_cpu_seconds_total", "command", load.names)
      const kernel = pids.reduce((sum, pid) => sum + cpuSeconds(pid), 0)
      return { at: collectedAt, ours: grouped + lived, lived, kernel }
    })
    yield* Effect.promise(() => sleep(2_000))
    yield* Effect.gen(function* () {
      const first = yield* collect
      const shown = top(seconds, load.names)
      let last = first
      for (let left = seconds; left > 0; left -= INTERVAL_SECONDS) {
        yield* Effect.promise(() => sleep(1_000 * Math.min(left, INTERVAL_SECONDS)))
        last = yield* collect
      }
      const points = (of: "ours" | "kernel" | "lived") => (100_000 * (last[of] - first[of])) / (last.at - first.at)
      const [ours, kernel, theirs] = [points("ours"), points("kernel"), yield* Effect.promise(() => shown)]
      const signed = (value: number) => `${value < 0 ? "−" : "+"}${Math.abs(value).toFixed(1)}`
      print(
        load.title,
        ...[ours, theirs, kernel].map((value) => value.toFixed(1)),
        signed(ours - kernel),
        signed(theirs - kernel)
      )
      if (accounting !== undefined) print("  of it named by accounting", points("lived").toFixed(1))
    }).pipe(Effect.ensuring(stop))
  })

try {
  if (accounting !== undefined) {
    writeFileSync(accounting, "")
    execFileSync("accton", [accounting], { stdio: "ignore" })
  } else {
    print("without --accounting, what lives between two scans is told by nobody")
  }
  print(`% of a core, ${seconds} s each`, "collector", "top", "kernel", "Δ collector", "Δ top")
  for (const load of loads) await Effect.runPromise(measure(load))
} finally {
  if (accounting !== undefined) execFileSync("accton", ["off"], { stdio: "ignore" })
  rmSync(folder, { recursive: true, force: true })
}
