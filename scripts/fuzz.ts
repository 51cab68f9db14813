/**
 * Fuzzes everything that reads bytes of others: `npm run fuzz -- [--inputs 1000000] [--seed 1] [--target ingest-body] [--at 17]`.
 *
 * `--inputs` are shared by the targets (`test/fuzz/Targets.ts`). Each runs in a thread whose heap is bounded, under a
 * watchdog: an input that takes more than 10 seconds, needs more than 256 MiB, throws, or breaks a promise ends the run with
 * its seed and number. `--at` tries that one input alone and prints it. Exits 1 where anything was found.
 */
import { randomInt } from "node:crypto"
import { parseArgs } from "node:util"
import { Worker } from "node:worker_threads"
import type { Run } from "../test/fuzz/Fuzz.ts"
import { fuzz } from "../test/fuzz/Fuzz.ts"
import { inputOf, targets } from "../test/fuzz/Targets.ts"

const HANGS_AFTER_MILLIS = 10_000
const HEAP_MIB_MAX = 256

const { values } = parseArgs({
  options: {
    inputs: { type: "string", default: "1000000" },
    seed: { type: "string", default: String(randomInt(2 ** 31)) },
    target: { type: "string" },
    at: { type: "string" }
  }
})
const seed = Number(values.seed)
const chosen = targets.filter(({ name }) => values.target === undefined || name === values.target)
if (chosen.length === 0) {
  process.stderr.write(
    `there is no target "${values.target}"; there are ${targets.map(({ name }) => name).join(", ")}\n`
  )
  process.exit(1)
}
const print = (line: string) => process.stdout.write(`${line}\n`)

const runInThread = (name: string, to: number): Promise<Run> =>
  new Promise((resolve, reject) => {
    const progress = new SharedArrayBuffer(8)
    const at = new Float64Array(progress)
    const worker = new Worker(new URL("../test/fuzz/Worker.ts", import.meta.url), {
      workerData: { name, seed, from: 0, to, progress },
      resourceLimits: { maxOldGenerationSizeMb: HEAP_MIB_MAX }
    })
    let before = -1
    const watchdog = setInterval(() => {
      if (at[0] === before) fail(`input ${before} takes more than ${HANGS_AFTER_MILLIS / 1_000} s`)
      before = at[0]!
    }, HANGS_AFTER_MILLIS)
    const fail = (reason: string) => {
      clearInterval(watchdog)
      void worker.terminate()
      reject(new Error(`${name}, seed ${seed}: ${reason}`))
    }
    worker.on("message", (run: Run) => {
      clearInterval(watchdog)
      resolve(run)
    })
    worker.on("error", (error) => fail(`${error.message} (at input ${at[0]})`))
  })

if (values.at !== undefined) {
  for (const target of chosen) {
    print(JSON.stringify(inputOf(target, seed, Number(values.at)).input.toString("latin1")))
    print(JSON.stringify(fuzz(target, seed, Number(values.at), Number(values.at) + 1)))
  }
} else {
  const each = Math.ceil(Number(values.inputs) / chosen.length)
  print(`seed ${seed}, ${each} inputs each`)
  for (const { name } of chosen) {
    const began = performance.now()
    try {
      const { bytes, refused, slowest, taken } = await runInThread(name, each)
      const seconds = (performance.now() - began) / 1_000
      print(
        `${name.padEnd(14)} ${each} inputs, ${(bytes / 1e6).toFixed(0)} MB in ${seconds.toFixed(0)} s (${Math.round(each / seconds)}/s); taken ${taken}, refused ${refused}; slowest: input ${slowest.n}, ${slowest.bytes} bytes, ${slowest.millis.toFixed(1)} ms`
      )
    } catch (error) {
      print(`FOUND ${error instanceof Error ? error.message : String(error)}`)
      process.exitCode = 1
    }
  }
}
