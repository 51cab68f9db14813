/**
 * A Debian root with systemd as PID 1, for tests: see `test/booted-root.sh`, which does the work.
 *
 * The tarball of the root is kept in NODEPULSE_TEST_CACHE (else `~/.cache/nodepulse`) between runs.
 */
import { execFile, execFileSync } from "node:child_process"
import { existsSync, mkdirSync, mkdtempSync, rmSync } from "node:fs"
import { homedir } from "node:os"
import { basename, dirname, join } from "node:path"

const script = join(import.meta.dirname, "..", "booted-root.sh")

export interface Output {
  readonly code: number
  readonly stdout: string
  readonly stderr: string
}

/** Runs a program; never throws for its exit code. */
export const execute = (
  file: string,
  args: ReadonlyArray<string>,
  options: { readonly cwd?: string; readonly env?: NodeJS.ProcessEnv; readonly input?: string } = {}
): Promise<Output> =>
  new Promise((resolve) => {
    const { input, ...rest } = options
    const child = execFile(file, args, { maxBuffer: 64 * 1024 * 1024, ...rest }, (error, stdout, stderr) =>
      resolve({ code: error === null ? 0 : typeof error.code === "number" ? error.code : 1, stdout, stderr })
    )
    // A program that does not read what it is given is none of ours to judge.
    child.stdin?.on("error", () => {})
    child.stdin?.end(input ?? "")
  })

/** Why this machine cannot boot a root, or one with limits; undefined where it can. */
export const whyNot = ({ limits = false } = {}): string | undefined => {
  try {
    execFileSync("bash", [script, limits ? "limits-why-not" : "why-not"], {
      encoding: "utf8",
      stdio: ["ignore", "pipe", "pipe"]
    })
    return undefined
  } catch (error) {
    return String((error as { readonly stdout?: string }).stdout ?? error).trim()
  }
}

export class BootedRoot {
  readonly folder: string
  readonly pid: number
  private constructor(folder: string, pid: number) {
    this.folder = folder
    this.pid = pid
  }

  /** With limits, MemoryMax= and CPUQuota= work in it. */
  static async boot(name: string, { limits = false } = {}): Promise<BootedRoot> {
    const cache = process.env.NODEPULSE_TEST_CACHE ?? join(homedir(), ".cache", "nodepulse")
    mkdirSync(cache, { recursive: true })
    const image = join(cache, "bookworm.tar")
    // Not below /tmp: the root gets a /tmp of its own.
    const folder = join(mkdtempSync("/var/tmp/nodepulse-root-"), name)
    await must("bash", [script, "image", image])
    await must("bash", [script, "unpack", image, folder])
    const booted = await must("bash", [script, "boot", folder, ...(limits ? ["limits"] : [])])
    return new BootedRoot(folder, Number(booted.stdout.trim()))
  }

  /** Runs a command in it; never throws for its exit code. */
  run(...command: ReadonlyArray<string>): Promise<Output> {
    return execute("bash", [script, "run", this.folder, ...command])
  }

  /** As `run`, by a shell; a failure is an error with all that was printed. */
  async shell(line: string): Promise<string> {
    const { code, stderr, stdout } = await this.run("sh", "-c", line)
    if (code !== 0) throw new Error(`${line}: exit ${code}\n${stdout}\n${stderr}`)
    return stdout
  }

  /** Path of a file of it, seen from outside. */
  path(inside: string): string {
    return join(this.folder, inside)
  }

  /** Its cgroup, seen from outside, in the hierarchy that counts the CPU of all units. */
  get cgroup(): string {
    const name = `nodepulse-test-${basename(dirname(this.folder))}-${basename(this.folder)}`
    const unified = join("/sys/fs/cgroup", "unified", name)
    return existsSync(unified) ? unified : join("/sys/fs/cgroup", name)
  }

  async stop(): Promise<void> {
    const { code, stderr } = await execute("bash", [script, "stop", this.folder])
    rmSync(join(this.folder, ".."), { recursive: true, force: true })
    if (code !== 0) throw new Error(`the root left something behind: ${stderr}`)
  }
}

const must = async (file: string, args: ReadonlyArray<string>): Promise<Output> => {
  const output = await execute(file, args)
  if (output.code !== 0) throw new Error(`${[file, ...args].join(" ")}: exit ${output.code}\n${output.stderr}`)
  return output
}
