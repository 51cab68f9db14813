/**
 * A NodePulse process of its own, to be killed: `node src/main.ts <arguments>`, with its output in a file.
 *
 * A process that ends without being asked to is started again after a second, as a service manager would, and remembered:
 * waiting for what is away is allowed, giving up is not.
 */
import { type ChildProcess, spawn } from "node:child_process"
import { closeSync, openSync } from "node:fs"
import { join } from "node:path"
import { Effect, type Scope } from "effect"

export interface Program {
  readonly name: string
  readonly start: () => void
  /** `kill -9`; resolves once it is gone. */
  readonly kill: () => Promise<void>
  /** Asks it to end (SIGTERM) and kills it where that takes longer than `within` milliseconds. Resolves to its exit code. */
  readonly end: (within: number) => Promise<number | NodeJS.Signals>
  readonly pause: () => void
  readonly resume: () => void
  /** How often it ended although nobody asked it to. */
  readonly endings: () => ReadonlyArray<string>
  /** Undefined while it is away. */
  readonly pid: () => number | undefined
}

const MAIN = join(import.meta.dirname, "..", "..", "src", "main.ts")

export const makeProgram = (options: {
  readonly name: string
  readonly args: ReadonlyArray<string>
  readonly env: Readonly<Record<string, string>>
  /** Where its output goes. */
  readonly folder: string
}): Effect.Effect<Program, never, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.sync(() => make(options)),
    (program) => Effect.promise(() => program.end(5_000))
  )

const make = ({ args, env, folder, name }: Parameters<typeof makeProgram>[0]): Program => {
  let child: ChildProcess | undefined
  const endings: Array<string> = []
  let again: NodeJS.Timeout | undefined

  const start = () => {
    const output = openSync(join(folder, `${name}.log`), "a")
    const started = spawn(process.execPath, [MAIN, ...args], {
      env: { PATH: process.env.PATH, NO_COLOR: "1", ...env },
      stdio: ["ignore", output, output]
    })
    closeSync(output)
    child = started
    started.on("exit", (code, signal) => {
      if (child !== started) return
      child = undefined
      endings.push(`${name} ended by itself with ${code ?? signal}`)
      again = setTimeout(start, 1_000)
    })
  }
  const stop = (signal: NodeJS.Signals, within: number): Promise<number | NodeJS.Signals> => {
    clearTimeout(again)
    const stopping = child
    child = undefined
    if (stopping === undefined) return Promise.resolve(0)
    return new Promise((resolve) => {
      const impatient = setTimeout(() => stopping.kill("SIGKILL"), within)
      stopping.once("exit", (code, killed) => {
        clearTimeout(impatient)
        resolve(code ?? killed ?? 0)
      })
      stopping.kill(signal)
      stopping.kill("SIGCONT")
    })
  }
  return {
    name,
    start,
    kill: async () => void (await stop("SIGKILL", 10_000)),
    end: (within) => stop("SIGTERM", within),
    pause: () => void child?.kill("SIGSTOP"),
    resume: () => void child?.kill("SIGCONT"),
    endings: () => endings,
    pid: () => child?.pid
  }
}
