/**
 * Where the kernel's cgroup hierarchies are mounted: one for everything (v2), one for each controller (v1), or both, where
 * systemd keeps units in a v2 hierarchy without controllers beside those of v1 (hybrid).
 *
 * From `/proc/self/mountinfo`, read once: mounts do not change while a machine runs.
 */
import type { ProcFiles } from "../ProcFiles.ts"

export interface CgroupMounts {
  /** Where to read what, relative to the root of the file system. */
  readonly cpu: { readonly folder: string; readonly version: 1 | 2 }
  /** Of v1: the controller's own mount. Of v2: that of all. Undefined where there is none. */
  readonly quota: string | undefined
  readonly memory: string | undefined
  readonly devices: string | undefined
  readonly threads: string | undefined
  readonly pressure: string | undefined
  /** The controllers' version, which the names of the files depend on; that of CPU time can be another. */
  readonly version: 1 | 2
  /** Whether the hierarchy's root is the host's: not where the agent runs in a container that sees its own cgroups only. */
  readonly isHost: boolean
}

interface Mount {
  readonly folder: string
  readonly root: string
}

/** The mounts as `proc` tells them; undefined where no hierarchy tells CPU time. `disk` is the root of the file system. */
export const cgroupMounts = (proc: ProcFiles, disk: ProcFiles): CgroupMounts | undefined => {
  const { controllers, unified } = mountsIn(proc.text("self/mountinfo") ?? "")
  const cpuacct = controllers.get("cpuacct")
  const hasV2 = unified !== undefined && disk.exists(`${unified.folder}/cpu.stat`)
  // Where both tell CPU time, the one that has more of the machine's units.
  const takesV2 = hasV2 && (cpuacct === undefined || size(disk, unified.folder) >= size(disk, cpuacct.folder))
  const cpu = takesV2 ? unified : cpuacct
  if (cpu === undefined) return undefined
  const isV2 = controllers.size === 0
  const folder = (controller: string) => (isV2 ? unified?.folder : controllers.get(controller)?.folder)
  return {
    cpu: { folder: cpu.folder, version: takesV2 ? 2 : 1 },
    quota: folder("cpu"),
    memory: folder("memory"),
    devices: folder("blkio"),
    threads: folder("pids"),
    pressure: unified?.folder,
    version: isV2 ? 2 : 1,
    // The host's own root of v2 is the one cgroup that has no type.
    isHost: cpu.root === "/" && !(takesV2 && disk.exists(`${cpu.folder}/cgroup.type`))
  }
}

/** Controllers whose hierarchies are read. */
const CONTROLLERS: ReadonlySet<string> = new Set(["cpu", "cpuacct", "memory", "blkio", "pids"])

const mountsIn = (mountinfo: string) => {
  let unified: Mount | undefined
  const controllers = new Map<string, Mount>()
  for (const line of mountinfo.split("\n")) {
    const [mount = "", filesystem = ""] = line.split(" - ")
    const [, , , root = "", point = ""] = mount.split(" ")
    const [type, , options = ""] = filesystem.split(" ")
    if (type !== "cgroup2" && type !== "cgroup") continue
    const found = { folder: unescaped(point).slice(1), root: unescaped(root) }
    if (type === "cgroup2") unified ??= found
    else
      for (const option of options.split(",")) {
        if (CONTROLLERS.has(option) && !controllers.has(option)) controllers.set(option, found)
      }
  }
  return { unified, controllers }
}

/** Spaces and the like stand as `\040` there. */
const unescaped = (path: string): string =>
  path.replace(/\\([0-7]{3})/g, (_, octal: string) => String.fromCharCode(Number.parseInt(octal, 8)))

/** How many cgroups there are at the top and below it. */
const size = (disk: ProcFiles, folder: string): number =>
  (disk.folders(folder) ?? []).reduce((total, name) => total + 1 + (disk.folders(`${folder}/${name}`)?.length ?? 0), 0)
