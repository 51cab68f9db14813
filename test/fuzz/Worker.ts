/** One run in a thread of its own, so that whoever started it sees whether it hangs, and its memory has a bound. */
import { parentPort, workerData } from "node:worker_threads"
import { Broken, fuzz, type Run } from "./Fuzz.ts"
import { targets } from "./Targets.ts"

/** What the thread says when it ends. */
export type Report =
  | { readonly run: Run }
  | { readonly broken: string; readonly n: number | undefined; readonly input: Uint8Array | undefined }

const { from, name, progress, seed, to } = workerData as {
  readonly name: string
  readonly seed: number
  readonly from: number
  readonly to: number
  readonly progress: SharedArrayBuffer
}
const at = new Float64Array(progress)
const target = targets.find((one) => one.name === name)!

const report = async (): Promise<Report> => {
  try {
    const run = await fuzz(target, seed, from, to, (n) => {
      at[0] = n
    })
    return { run }
  } catch (cause) {
    if (cause instanceof Broken) return { broken: cause.message, n: cause.n, input: cause.input }
    return { broken: cause instanceof Error ? cause.message : String(cause), n: undefined, input: undefined }
  }
}
parentPort?.postMessage(await report())
