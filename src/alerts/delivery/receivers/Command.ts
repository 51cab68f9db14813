/**
 * A program on the machine of the server, which only its file can name. It gets the message as JSON on its standard input.
 *
 * Guarantees: no shell reads anything; of the environment it gets `PATH`, `HOME` and `LANG` alone, so no secret of NodePulse's. After its
 * time it is ended with all that it started. Bound: what it writes goes nowhere.
 */
import { spawn } from "node:child_process"
import { Effect } from "effect"
import { dataOf, type Message } from "../Message.ts"
import { type NotDelivered, notDelivered } from "../NotDelivered.ts"

export const runCommand = (
  message: Message,
  argv: ReadonlyArray<string>,
  timeout: number
): Effect.Effect<void, NotDelivered> =>
  Effect.callback<void, NotDelivered>((resume) => {
    const [program = "", ...parameters] = argv
    const child = spawn(program, parameters, {
      stdio: ["pipe", "ignore", "ignore"],
      env: Object.fromEntries(["PATH", "HOME", "LANG"].map((name) => [name, process.env[name] ?? ""])),
      detached: true
    })
    const kill = () => {
      try {
        // Its group: what it started ends with it.
        if (child.pid !== undefined) process.kill(-child.pid, "SIGKILL")
      } catch {
        // It has gone already.
      }
    }
    const timer = setTimeout(() => {
      kill()
      end(Effect.fail(notDelivered(`the command took longer than ${timeout / 1_000} s`)))
    }, timeout)
    const end = (how: Effect.Effect<void, NotDelivered>) => {
      clearTimeout(timer)
      resume(how)
    }
    child.on("error", ({ code }: NodeJS.ErrnoException) =>
      end(Effect.fail(notDelivered(`the command cannot be run (${code ?? "unknown"})`)))
    )
    child.on("exit", (code, signal) => {
      kill()
      end(code === 0 ? Effect.void : Effect.fail(notDelivered(`the command ended with ${code ?? signal}`)))
    })
    // One that reads nothing closes it: that is no failure.
    child.stdin.on("error", () => {})
    child.stdin.end(JSON.stringify(dataOf(message)))
    return Effect.sync(() => {
      clearTimeout(timer)
      kill()
    })
  })
