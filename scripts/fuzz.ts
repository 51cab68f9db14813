/**
 * Fuzzes everything that reads bytes of others: `npm run fuzz -- [--inputs 1000000] [--jobs 2] [--seed 1] [--target NAME]`.
 *
 * `--inputs` are shared by the targets (`test/fuzz/Targets.ts`), of which `--jobs` run at once. Each runs in a thread whose
 * heap is bounded, under a watchdog: an input that does not end within 10 seconds, that takes a second a megabyte or three hundred times its size in
 * memory, that throws, or that breaks a promise ends the run with its seed, its number and its bytes, which are kept in a
 * file. `--at 17` tries that one input alone and prints it; `--file PATH` its bytes, whatever the inputs are made of by then.
 * Exits 1 where anything was found.
 */
import { randomInt } from "node:crypto"
import { readFileSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { parseArgs } from "node:util"
import { Worker } from "node:worker_threads"
import { type Run, shown, tryOne } from "../test/fuzz/Fuzz.ts"
import { inputOf } from "../test/fuzz/Target.ts"
import { targets } from "../test/fuzz/Targets.ts"
import type { Report } from "../test/fuzz/Worker.ts"

const HANGS_AFTER_MILLIS = 10_000
const HEAP_MIB_MAX = 256
/** The process, buffers included. */
const RSS_MIB_MAX = 1_024

const { values } = parseArgs({
  options: {
    inputs: { type: "string", default: "1000000" },
    jobs: { type: "string", default: "1" },
    seed: { type: "string", default: String(randomInt(2 ** 31)) },
    target: { type: "string" },
    at: { type: "string" },
    file: { type: "string" }
  }
})
const seed = Number(values.seed)
const chosen = targets.filter(({ name }) => values.target === undefined || name === values.target)
const print = (line: string) => process.stdout.write(`${line}\n`)
const stop = (reason: string): never => {
  process.stderr.write(`${reason}\n`)
  process.exit(2)
}
if (chosen.length === 0) {
  stop(`there is no target "${values.target}"; there are ${targets.map(({ name }) => name).join(", ")}`)
}
for (const name of ["inputs", "jobs", "seed", "at"] as const) {
  const value = values[name]
  if (value !== undefined && !/^\d+$/.test(value)) stop(`--${name} is "${value}" and must be a whole number`)
}

/** Says what was found, how to try it again, and keeps the input. */
const found = (name: string, reason: string, n: number | undefined, input: Uint8Array | undefined): Error => {
  if (n === undefined || input === undefined) return new Error(reason)
  const file = join(tmpdir(), `nodepulse-fuzz-${name}-${seed}-${n}.bin`)
  writeFileSync(file, input)
  return new Error(`${reason}\nAgain: npm run fuzz -- --target ${name} --seed ${seed} --at ${n} --file ${file}`)
}

const runInThread = (target: (typeof targets)[number], to: number): Promise<Run> =>
  new Promise((resolve, reject) => {
    const { name } = target
    const progress = new SharedArrayBuffer(8)
    const at = new Float64Array(progress)
    const worker = new Worker(new URL("../test/fuzz/Worker.ts", import.meta.url), {
      workerData: { name, seed, from: 0, to, progress },
      resourceLimits: { maxOldGenerationSizeMb: HEAP_MIB_MAX }
    })
    const end = () => {
      clearInterval(watchdog)
      clearInterval(memory)
      void worker.terminate()
    }
    const fail = (reason: string) => {
      end()
      const n = at[0]!
      const input = inputOf(target, seed, n)
      reject(found(name, `${name}, seed ${seed}, input ${n}: ${reason}\n${shown(input)}`, n, input))
    }
    let before = -1
    const watchdog = setInterval(() => {
      if (at[0] === before) fail(`it does not end within ${HANGS_AFTER_MILLIS / 1_000} s`)
      before = at[0]!
    }, HANGS_AFTER_MILLIS)
    const memory = setInterval(() => {
      const mib = Math.round(process.memoryUsage.rss() / 2 ** 20)
      if (mib > RSS_MIB_MAX) fail(`the process has ${mib} MiB, at or soon before this input`)
    }, 100)
    worker.on("message", (report: Report) => {
      end()
      if ("run" in report) resolve(report.run)
      else reject(found(name, report.broken, report.n, report.input))
    })
    worker.on("error", (error) => fail(error.message))
  })

/** Runs one target and prints what came of it. */
const run = async (target: (typeof targets)[number], each: number): Promise<void> => {
  const started = performance.now()
  try {
    const { bytes, grown, hungriest, refused, slowest, taken } = await runInThread(target, each)
    const seconds = (performance.now() - started) / 1_000
    const mib = (size: number) => `${(size / 2 ** 20).toFixed(1)} MiB`
    print(
      [
        `${target.name.padEnd(14)} ${each} inputs, ${(bytes / 1e6).toFixed(0)} MB in ${seconds.toFixed(0)} s (${Math.round(each / seconds)}/s)`,
        `taken ${taken}, refused ${refused}`,
        `slowest: input ${slowest.n}, ${slowest.bytes} bytes, ${slowest.millis.toFixed(1)} ms`,
        `most memory: input ${hungriest.n}, ${hungriest.bytes} bytes, ${mib(hungriest.used)}`,
        `grown by ${mib(grown)}`
      ].join("; ")
    )
  } catch (error) {
    print(`FOUND ${error instanceof Error ? error.message : String(error)}`)
    process.exitCode = 1
  }
}

if (values.at !== undefined || values.file !== undefined) {
  const n = Number(values.at ?? 0)
  for (const target of chosen) {
    const input = values.file === undefined ? inputOf(target, seed, n) : readFileSync(values.file)
    print(`${target.name}: ${JSON.stringify(input.toString("latin1"))}`)
    print(shown(input))
    try {
      print(JSON.stringify(await tryOne(target, input, seed, n)))
    } catch (error) {
      print(`FOUND ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`)
      process.exitCode = 1
    }
  }
} else {
  const each = Math.ceil(Number(values.inputs) / chosen.length)
  print(`seed ${seed}, ${each} inputs each`)
  const began = performance.now()
  const waiting = [...chosen]
  const work = async (): Promise<void> => {
    for (let target = waiting.shift(); target !== undefined; target = waiting.shift()) await run(target, each)
  }
  await Promise.all(Array.from({ length: Math.max(1, Number(values.jobs)) }, work))
  const rate = Math.round((each * chosen.length) / ((performance.now() - began) / 1_000))
  if (process.exitCode !== 1) print(`${each * chosen.length} inputs, ${rate}/s, nothing found`)
}
