/**
 * What containers and users are called, from files that say so: state of Docker, Podman, CRI-O and containerd, and
 * `/etc/passwd`. Most of those are root's: what cannot be read is not known, and a container is then its short id.
 *
 * A name that was found is kept as long as the container is asked for; one that was not is looked for again after
 * {@link RETRY_MILLIS}, since a runtime writes it when the container already runs. Bounds: {@link NAMES_MAX} names, and files
 * of at most 512 KiB. Nothing is asked of a daemon, and no program is run. Ids are hexadecimal digits only, so that none leads elsewhere.
 */
import type { Clock } from "effect"
import { type KnownNames, PODS_UNIT, podContainerName } from "../../../src/plugins/UnitName.ts"
import type { ProcFiles } from "../ProcFiles.ts"

const NAMES_MAX = 5_000
const RETRY_MILLIS = 60_000

interface Kept<A> {
  readonly value: A | undefined
  readonly at: number
}

/** Where names are looked for. */
export interface NamePlaces {
  /** The root of the file system. */
  readonly disk: ProcFiles
  readonly proc: ProcFiles
  /** The hierarchy that units are in, relative to the root. */
  readonly folder: string
}

/** The names as the machine's files tell them. */
export const makeUnitNames = ({ disk, folder, proc }: NamePlaces, clock: Clock.Clock): KnownNames => {
  const now = () => Number(clock.monotonicTimeNanosUnsafe() / 1_000_000n)
  const passwd = remembering(now, () => usersIn(disk.bytes("etc/passwd")?.toString("utf8") ?? ""))
  const podman = remembering(now, () => podmanNames(disk))
  return {
    container: remembering(
      now,
      (id: string) => containerName(disk, id) ?? podman("")?.get(id) ?? monitoredName(disk, proc, folder, id)
    ),
    user: (uid) => passwd("")?.get(uid)
  }
}

/** The answer, asked again after a while: a found name only where it is one of many that may change. */
const remembering = <A>(now: () => number, ask: (key: string) => A | undefined): ((key: string) => A | undefined) => {
  const kept = new Map<string, Kept<A>>()
  return (key) => {
    const found = kept.get(key)
    const isFresh = found !== undefined && now() - found.at < RETRY_MILLIS
    if (found !== undefined && (isFresh || typeof found.value === "string")) return found.value
    if (kept.size >= NAMES_MAX) kept.clear()
    const value = ask(key)
    kept.set(key, { value, at: now() })
    return value
  }
}

/** Users by number. */
const usersIn = (passwd: string): ReadonlyMap<number, string> => {
  const users = new Map<number, string>()
  for (const line of passwd.split("\n")) {
    const [name = "", , uid = ""] = line.split(":")
    if (name !== "" && /^\d{1,10}$/.test(uid) && !users.has(Number(uid))) users.set(Number(uid), name)
  }
  return users
}

/** The name of one container by a file of its own. `id` is 64 hexadecimal digits, so that it is no path. */
const containerName = (disk: ProcFiles, id: string): string | undefined => {
  if (!/^[0-9a-f]{64}$/.test(id)) return undefined
  const docker = textIn(parsed(disk, `var/lib/docker/containers/${id}/config.v2.json`), "Name")
  if (docker !== undefined) return docker.startsWith("/k8s_") ? ofDockershim(docker) : docker.replace(/^\//, "")
  const bundles = [
    `run/containerd/io.containerd.runtime.v2.task/k8s.io/${id}/config.json`,
    `run/containerd/io.containerd.runtime.v2.task/default/${id}/config.json`,
    `run/k3s/containerd/io.containerd.runtime.v2.task/k8s.io/${id}/config.json`,
    `run/containers/storage/overlay-containers/${id}/userdata/config.json`,
    `var/lib/containers/storage/overlay-containers/${id}/userdata/config.json`
  ]
  for (const path of bundles) {
    const name = ofAnnotations(objectIn(parsed(disk, path), "annotations"))
    if (name !== undefined) return name
  }
  return undefined
}

/** What CRI, CRI-O and nerdctl note in a container's bundle. */
const ofAnnotations = (annotations: Fields | undefined): string | undefined => {
  if (annotations === undefined) return undefined
  const of = (...keys: ReadonlyArray<string>) =>
    keys.map((key) => textIn(annotations, key)).find((text) => text !== undefined)
  if (of("io.kubernetes.cri.container-type", "io.kubernetes.cri-o.ContainerType") === "sandbox") return PODS_UNIT
  const container = of("io.kubernetes.cri.container-name", "io.kubernetes.container.name")
  const pod = of("io.kubernetes.cri.sandbox-name", "io.kubernetes.pod.name")
  const namespace = of("io.kubernetes.cri.sandbox-namespace", "io.kubernetes.pod.namespace")
  if (container !== undefined && pod !== undefined && namespace !== undefined) {
    return podContainerName(namespace, pod, container)
  }
  return of("nerdctl/name")
}

/** `/k8s_CONTAINER_POD_NAMESPACE_UID_ATTEMPT`. */
const ofDockershim = (name: string): string | undefined => {
  const [, container = "", pod = "", namespace = ""] = name.split("_")
  if (container === "POD") return PODS_UNIT
  return namespace === "" ? undefined : podContainerName(namespace, pod, container)
}

/** Podman lists root's containers in one file. */
const podmanNames = (disk: ProcFiles): ReadonlyMap<string, string> => {
  const names = new Map<string, string>()
  const listed = json(disk.bytes("var/lib/containers/storage/overlay-containers/containers.json")?.toString("utf8"))
  for (const each of Array.isArray(listed) ? listed.slice(0, NAMES_MAX) : []) {
    const fields = fieldsOf(each)
    const id = textIn(fields, "id")
    const name = fields !== undefined && Array.isArray(fields.names) ? fields.names[0] : undefined
    if (id !== undefined && typeof name === "string" && name !== "") names.set(id, name)
  }
  return names
}

/** Podman's monitor of a container has the name among its arguments, which all may read: `conmon -c ID … -n NAME`. */
const monitoredName = (disk: ProcFiles, proc: ProcFiles, folder: string, id: string): string | undefined => {
  const pid = /^\d{1,10}/.exec(disk.text(`${folder}/machine.slice/libpod-conmon-${id}.scope/cgroup.procs`) ?? "")?.[0]
  if (pid === undefined) return undefined
  const line = proc.commandLine(Number(pid))
  const name = line.indexOf("-n")
  return line.includes(id) && name > 0 ? line[name + 1] : undefined
}

type Fields = Readonly<Record<string, unknown>>

const parsed = (disk: ProcFiles, path: string): Fields | undefined => fieldsOf(json(disk.bytes(path)?.toString("utf8")))

const json = (text: string | undefined): unknown => {
  try {
    return text === undefined ? undefined : JSON.parse(text)
  } catch {
    return undefined
  }
}

const fieldsOf = (value: unknown): Fields | undefined =>
  typeof value === "object" && value !== null && !Array.isArray(value) ? (value as Fields) : undefined

const textIn = (fields: Fields | undefined, key: string): string | undefined => {
  const value = fields !== undefined && Object.hasOwn(fields, key) ? fields[key] : undefined
  return typeof value === "string" && value !== "" ? value : undefined
}

const objectIn = (fields: Fields | undefined, key: string): Fields | undefined =>
  fields !== undefined && Object.hasOwn(fields, key) ? fieldsOf(fields[key]) : undefined
