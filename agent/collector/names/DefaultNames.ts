/**
 * How processes are named where nobody says otherwise: by what they run. Pure.
 *
 * | process | name |
 * |---|---|
 * | a program | its command name, as process_exporter's usual configuration has it: `postgres`, `php-fpm8.2` |
 * | an interpreter (`Interpreters.ts`) | with its script, module, jar or class: `node server.js`, `python3 http.server`, `java Main` |
 * | one that runs code or standard input | with its container or unit: `node web-1`; a shell alone: `sh` |
 * | one that gave itself a name | that name, unless it is a thread's (`MainThread`): then as above, or the executable's |
 * | the agent, and other processes of NodePulse | `nodepulse-agent`, `nodepulse` |
 * | without a command line (kernel threads, zombies) | none: its parent's group |
 *
 * Guarantee: of the arguments, at most the name of the program that an interpreter runs is in it; no directory, no option,
 * no secret (`Secrets.ts`). What churns is folded (`FoldedName.ts`).
 */
import { foldedName } from "./FoldedName.ts"
import { interpreterName, type Running, runningOf } from "./Interpreters.ts"
import type { NamedProcess, ProcessNames } from "./ProcessNames.ts"
import { withoutSecrets } from "./Secrets.ts"

/** `self`: the process that asks, and what it is called. */
export const defaultNames = (self: { readonly pid: number; readonly name: string }): ProcessNames => ({
  needs: { exe: true, cmdline: true, user: false, cgroups: false },
  nameOf: (process) => {
    if (process.pid === self.pid) return self.name
    if (process.cmdline.length === 0) return undefined
    const executable = executableOf(process)
    const running = runningOf(executable, process.cmdline)
    return running === undefined ? ownName(process, executable) : interpretedName(process, executable, running)
  }
})

/** The kernel keeps this much of a command name. */
const COMM_LENGTH = 15

const sameComm = (comm: string, base: string): boolean => comm === base.slice(0, COMM_LENGTH)

/** The executable's name: where it lies, or else what the process is started as. */
const executableOf = ({ cmdline: [first = ""], exe }: NamedProcess): string => {
  const started = baseOf(first).replace(/^-/, "")
  if (exe === undefined) return started
  const base = baseOf(exe.replace(/ \(deleted\)$/, ""))
  // Programs that are many, by the name that they are started as.
  return base === "busybox" || base === "toybox" ? started : base
}

const baseOf = (path: string): string => path.slice(path.lastIndexOf("/") + 1)

/** A name that says which thread it is, not which program. */
const isThread = (comm: string): boolean => /thread|^main$/i.test(comm)

/** The name of a program that is no interpreter. */
const ownName = ({ cmdline, comm }: NamedProcess, executable: string): string => {
  const started = baseOf(cmdline[0] ?? "")
  // What runs from memory alone has no file's name, but whatever it was called.
  const chosen = (!sameComm(comm, executable) && !sameComm(comm, started)) || comm.startsWith("memfd:")
  if (chosen && isThread(comm) && executable !== "") return foldedName(executable, false)
  return foldedName(withoutSecrets(comm, cmdline), chosen)
}

const interpretedName = (process: NamedProcess, executable: string, running: Running): string => {
  const { cmdline, comm, unit } = process
  const started = baseOf(cmdline[0] ?? "").replace(/^-/, "")
  const known = interpreterName(started)
  // Where a process wrote a title over its arguments, there are none any more.
  const isTitle = known === undefined && !sameComm(comm, started) && started !== executable
  const program = isTitle ? undefined : spoken(running.program, cmdline)
  const ours = /^(nodepulse(?:-agent)?)(?:\.m?js)?$/.exec(program ?? "")?.[1]
  if (ours !== undefined) return ours
  // A script that is started by its own name, or a process that gave itself one.
  const isOwn = !sameComm(comm, executable) && !sameComm(comm, started) && interpreterName(comm) === undefined
  if (isOwn && !isThread(comm)) {
    return foldedName(withoutSecrets(comm, cmdline), program === undefined || !sameComm(comm, program))
  }
  const shown = known ?? running.name
  if (program !== undefined) return `${shown} ${foldedName(program, false)}`
  const title = isTitle ? spoken(titleOf(cmdline[0] ?? ""), cmdline) : undefined
  if (title !== undefined) return `${shown} ${foldedName(title, true)}`
  return running.shell || !isTelling(unit) ? shown : `${shown} ${unit}`
}

/** The word, unless it may be a secret. */
const spoken = (word: string | undefined, cmdline: ReadonlyArray<string>): string | undefined =>
  word === undefined || withoutSecrets(word, cmdline) !== word ? undefined : word

/** The first word of a title that a process gave itself: `puma: cluster worker 0` is puma. */
const titleOf = (title: string): string | undefined => /^([A-Za-z][\w.-]{1,30})(?=[: ]|$)/.exec(title)?.[1]

/** Whether a unit says what runs in it: a service or a container, not a session or a slice. */
const isTelling = (unit: string): boolean =>
  unit !== "" && !/^user |^\(|\.slice$|^session|^init\.scope$|^run-#/.test(unit)
