/**
 * Runs another program of this machine, without a shell: systemctl, busctl, python3, ionice.
 *
 * Bounds: `timeoutMillis`, then it is killed; 1 MiB of output. Its language is C, and it never asks for a password.
 */
import { execFile } from "node:child_process"
import { Context, Effect } from "effect"
import { clipped } from "../../src/protocol/PrintableText.ts"

export interface ProgramOutput {
  /** Null: it could not be started, or was killed. */
  readonly code: number | null
  readonly stdout: string
  /** On one line; also why it could not be started. */
  readonly problem: string
}

export type RunProgram = (
  file: string,
  args: ReadonlyArray<string>,
  timeoutMillis?: number
) => Effect.Effect<ProgramOutput>

const OUTPUT_BYTES_MAX = 1024 * 1024
const TIMEOUT_MILLIS = 10_000

const run: RunProgram = (file, args, timeoutMillis = TIMEOUT_MILLIS) =>
  Effect.callback((resume) => {
    const env = { PATH: "/usr/sbin:/usr/bin:/sbin:/bin", LC_ALL: "C", SYSTEMD_COLORS: "0", SYSTEMD_PAGER: "" }
    const options = { env, maxBuffer: OUTPUT_BYTES_MAX, timeout: timeoutMillis, killSignal: "SIGKILL" } as const
    execFile(file, args, options, (error, stdout, stderr) => {
      const code = error === null ? 0 : typeof error.code === "number" ? error.code : null
      const why = stderr.trim() === "" ? (error?.message ?? "") : stderr
      resume(
        Effect.succeed({ code, stdout, problem: error === null ? "" : clipped(why.trim().replaceAll("\n", "; "), 300) })
      )
    })
  })

/** How programs are run; tests put their own in its place. */
export const OwnRun = Context.Reference<RunProgram>("nodepulse/hands/OwnRun", { defaultValue: () => run })
