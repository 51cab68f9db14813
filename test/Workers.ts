/**
 * Programs of tests at work, for tests that kill them. Each says "up" when it is loaded and begins when it is told to; those that are
 * left end with the scope.
 */
import { type ChildProcess, spawn } from "node:child_process"
import { once } from "node:events"
import { join } from "node:path"
import { Effect, type Scope } from "effect"

export interface Workers {
  /** Loads one, which then waits. */
  readonly load: () => Loaded
  /** Once it is loaded, lets it begin. */
  readonly begin: (loaded: Loaded) => Effect.Effect<ChildProcess>
  readonly kill: (child: ChildProcess) => Effect.Effect<void>
  /** Kills all that are left. */
  readonly stop: Effect.Effect<void>
  /** What they wrote to standard error, and which ended by themselves. */
  readonly complaints: ReadonlyArray<string>
}

interface Loaded {
  readonly child: ChildProcess
  readonly up: Promise<unknown>
}

/** `file`: of this folder. `env`: beside this process's own. */
export const makeWorkers = Effect.fnUntraced(function* (
  file: string,
  env: Readonly<Record<string, string>>
): Effect.fn.Return<Workers, never, Scope.Scope> {
  const all = new Set<ChildProcess>()
  const complaints: Array<string> = []
  const load = (): Loaded => {
    const child = spawn(process.execPath, [join(import.meta.dirname, file)], {
      cwd: join(import.meta.dirname, ".."),
      env: { ...process.env, ...env },
      stdio: ["pipe", "pipe", "pipe"]
    })
    all.add(child)
    child.stderr.on("data", (chunk) => complaints.push(String(chunk)))
    child.stdin.on("error", () => {})
    child.on("exit", (code) => {
      all.delete(child)
      if (code !== null) complaints.push(`a worker ended by itself with ${code}`)
    })
    return { child, up: once(child.stdout, "data") }
  }
  const begin = ({ child, up }: Loaded) =>
    Effect.promise(async () => {
      await up
      child.stdin!.write("go\n")
      return child
    })
  const kill = (child: ChildProcess) =>
    Effect.promise(async () => {
      if (!all.has(child)) return
      const exited = once(child, "exit")
      child.kill("SIGKILL")
      await exited
    })
  const stop = Effect.suspend(() => Effect.forEach([...all], kill, { discard: true }))
  yield* Effect.addFinalizer(() => stop)
  return { load, begin, kill, stop, complaints }
})
