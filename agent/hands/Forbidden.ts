/**
 * What nobody may act on, whatever the host's file says and whoever signs: PID 1, kernel threads, the control group of this program and
 * those above and below it, sshd, the bus and what decides who may use it, everything of systemd, and NodePulse's own agent and hands.
 *
 * Guarantee: a unit is looked at by all of its names, since an alias leads to the same unit, and by the programs in it, since an sshd is
 * one in any unit; a process by its name, its program and its unit.
 */
import { basename } from "node:path"
import type { HostProcess } from "./HostProcesses.ts"

const UNITS = [
  /^(init\.scope|polkit\.service)$/,
  /^systemd-/,
  /^sshd?(@.*)?\.(service|socket)$/,
  /^sshd?-/,
  /^dbus(-.*)?\.(service|socket)$/,
  /^nodepulse-(agent|hands)/,
  /\.slice$/
]
const isForbidden = (unit: string): boolean => UNITS.some((pattern) => pattern.test(unit))

/** The kernel keeps 15 bytes of a name: `dbus-broker-lau`. */
const PROGRAMS = /^(systemd|systemd-.*|\(sd-.*\)|init|sshd(-.*)?|dbus-(daemon|broker.*)|polkitd)$/

/** Why nobody may act on the unit; undefined where somebody may. `own`: the control group of this program. */
export const forbiddenUnit = (names: ReadonlyArray<string>, cgroup: string, own: string): string | undefined => {
  const found = names.find(isForbidden)
  if (found !== undefined) return `${found} is never acted on`
  if (within(own, cgroup) || within(cgroup, own)) return "this program itself runs in that unit"
  return undefined
}

/** The same of a process. `self`: the pid of this one. */
export const forbiddenProcess = (process: HostProcess, own: string, self: number): string | undefined => {
  const { cgroup, kernelThread, parent, pid, unit } = process
  if (pid === 1) return "PID 1 is never acted on"
  if (kernelThread || pid === 2 || parent === 2) return "a thread of the kernel is never acted on"
  if (pid === self || within(cgroup, own)) return "it is in the control group of this program"
  // A process above this one in the tree: whatever that is, this program lives in it.
  if (within(own, cgroup)) return "this program runs below its control group"
  if (unit !== null && isForbidden(unit)) return `it belongs to ${unit}, which is never acted on`
  return forbiddenProgram(process)
}

/** The same by what it is called alone. */
export const forbiddenProgram = ({ exe, name }: HostProcess): string | undefined => {
  const program = exe === undefined ? "" : basename(exe.replace(/ \(deleted\)$/, ""))
  const found = [name, program].find((one) => PROGRAMS.test(one))
  return found === undefined ? undefined : `${found} is never acted on`
}

/** Whether the one path is the other, or below it. What is in no group but the root's is told by the other rules. */
const within = (path: string, folder: string): boolean =>
  folder !== "" && folder !== "/" && (path === folder || path.startsWith(`${folder}/`))
