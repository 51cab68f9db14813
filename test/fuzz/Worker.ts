/** One run in a thread of its own, so that whoever started it sees whether it hangs, and its memory has a bound. */
import { parentPort, workerData } from "node:worker_threads"
import { fuzz } from "./Fuzz.ts"
import { targets } from "./Targets.ts"

const { from, name, progress, seed, to } = workerData as {
  readonly name: string
  readonly seed: number
  readonly from: number
  readonly to: number
  readonly progress: SharedArrayBuffer
}
const at = new Float64Array(progress)
const target = targets.find((one) => one.name === name)!
parentPort?.postMessage(
  fuzz(target, seed, from, to, (n) => {
    at[0] = n
  })
)
