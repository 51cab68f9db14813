/**
 * Which setting changes what is waited for, and the commands that change it. Pure.
 *
 * Names come from the machine that is watched, and commands are for copying: a name that a shell would read as anything but itself, or
 * a program as an option, has no command.
 */
import type { Setting } from "./Verdict.ts"

const MIB = 1024 * 1024

/** Letters that mean nothing to a shell; what systemd escapes a name with (`\x2d`) does, and is left out. */
const TYPEABLE = /^[A-Za-z0-9_][A-Za-z0-9:_.@-]{0,254}$/
const OF_SYSTEMD = /\.(service|scope|slice|socket|mount|swap)$/

const systemd = (unit: string, property: string): string | null =>
  TYPEABLE.test(unit) && OF_SYSTEMD.test(unit) ? `systemctl set-property ${unit} ${property}` : null

const docker = (unit: string, options: string): string | null =>
  TYPEABLE.test(unit) && !OF_SYSTEMD.test(unit) ? `docker update ${options} ${unit}` : null

/** In steps of a tenth of a core. */
const upToTenths = (cores: number): number => Math.ceil(cores * 10 - 1e-9) / 10

/** The quota that the work would have fitted into, were it as evenly spread; never more than the host has. */
export const quotaSetting = (
  unit: string,
  quota: number | null,
  throttledShare: number,
  cores: number | null
): Setting => {
  const wanted =
    quota === null ? null : upToTenths(Math.min(quota / (1 - Math.min(throttledShare, 0.9)), cores ?? Infinity))
  const enough = wanted !== null && quota !== null && wanted > quota ? wanted : null
  return {
    what: "CPUQuota",
    where: unit,
    current: quota === null ? null : `${Math.round(quota * 100)}%`,
    systemd: enough === null ? null : systemd(unit, `CPUQuota=${Math.round(enough * 100)}%`),
    docker: enough === null ? null : docker(unit, `--cpus ${enough}`),
    kubernetes: "resources.limits.cpu"
  }
}

export const weightSetting = (unit: string): Setting => ({
  what: "CPUWeight",
  where: unit,
  current: null,
  systemd: systemd(unit, "CPUWeight=400"),
  docker: docker(unit, "--cpu-shares 4096"),
  kubernetes: "resources.requests.cpu"
})

/** Half as much again, in whole MiB. */
export const memorySetting = (unit: string, limit: number): Setting => {
  const more = Math.ceil((1.5 * limit) / MIB)
  return {
    what: "MemoryMax",
    where: unit,
    current: `${Math.round(limit / MIB)} MiB`,
    systemd: systemd(unit, `MemoryMax=${more}M`),
    docker: docker(unit, `--memory ${more}m --memory-swap ${more}m`),
    kubernetes: "resources.limits.memory"
  }
}

export const diskSetting = (unit: string): Setting => ({
  what: "IOWeight",
  where: unit,
  current: null,
  systemd: systemd(unit, "IOWeight=400"),
  docker: docker(unit, "--blkio-weight 400"),
  kubernetes: null
})

/** What no setting on the host itself changes. */
export const machineSetting = (what: string, where: "host" | "hypervisor", current: string | null): Setting => ({
  what,
  where,
  current,
  systemd: null,
  docker: null,
  kubernetes: null
})
