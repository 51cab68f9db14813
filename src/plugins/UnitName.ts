/**
 * From the path of a cgroup to the unit that people know it by: that of a service in `/system.slice` is the
 * service, `/system.slice/docker-<64 hex>.scope` the container's name, all sessions of a user are `user alice`.
 *
 * Pure, total and linear in the path. What it cannot place it names by its path. Names that NodePulse itself gives begin
 * with `(`; a cgroup whose own name begins so has a `/` put before it. Names stay few: hashes, UUIDs and the numbers that
 * systemd makes up are folded to `#`. Bounds: {@link DEPTH_MAX} levels, {@link NAME_LENGTH_MAX} characters.
 */

/** - `group`: a folder that is none of systemd's, such as `/docker`. - `pod`: of Kubernetes, the containers left out. */
export type UnitKind = "root" | "slice" | "group" | "service" | "user" | "pod" | "container"

export interface Unit {
  readonly unit: string
  /** The slice or folder that it is in: `system.slice`, `user-1000.slice`, `kubepods`, `docker`; empty at the top. */
  readonly slice: string
  readonly kind: UnitKind
  /** Whether all that is below it belongs to it. Below others there may be units of their own. */
  readonly closed: boolean
}

/** What is known of names beside the path; without it, ids stand for them. */
export interface KnownNames {
  /** Of a container by its id: 64 hexadecimal digits. `undefined`: not known. `(pods)`: a pod's own container. */
  readonly container?: (id: string) => string | undefined
  /** Of a user by its number. */
  readonly user?: (uid: number) => string | undefined
}

/** The rest of the host: kernel threads, and what sits in the root cgroup. */
export const KERNEL_UNIT = "(kernel)"
/** The container that the agent itself runs in, where it sees no more of the host. */
export const CONTAINER_UNIT = "(container)"
/** Pods of Kubernetes without their containers: what keeps them open. */
export const PODS_UNIT = "(pods)"

/** Deeper cgroups belong to the unit above them. */
export const DEPTH_MAX = 16
const NAME_LENGTH_MAX = 255
const SHORT_ID = 12

export const ROOT: Unit = { unit: KERNEL_UNIT, slice: "", kind: "root", closed: false }

/** The unit of a cgroup. `path` begins at the root of the hierarchy, whose unit is `root`. */
export const unitOf = (path: string, names: KnownNames = {}, root = ROOT): Unit => {
  let unit = root
  let depth = 0
  for (const segment of path.split("/")) {
    if (segment === "") continue
    // A name that is not UTF-8 cannot be asked for either: what is in it stays with what is above it.
    if (++depth > DEPTH_MAX || unit.closed || segment.includes(UNDECODABLE)) break
    unit = childOf(unit, segment, names)
  }
  return unit
}

/** The unit of the cgroup `segment` in a cgroup of the unit `above`, which is not closed. */
export const childOf = (above: Unit, segment: string, names: KnownNames = {}): Unit => {
  const container = containerIn(segment, above)
  if (container !== undefined) return containerUnit(container, above, names)
  if (above.kind === "user") return above
  const { slice } = below(above)
  const uid = /^user-(\d{1,10})\.slice$/.exec(segment)?.[1]
  if (uid !== undefined) return { unit: `user ${userName(uid, names)}`, slice, kind: "user", closed: false }
  if (isPod(segment, above)) return { unit: PODS_UNIT, slice, kind: "pod", closed: false }
  if (isPods(above)) return above
  if (isPodsRoot(segment)) return { unit: "kubepods", slice, kind: "slice", closed: false }
  if (segment.endsWith(".slice")) return { unit: own(segment), slice, kind: "slice", closed: false }
  if (UNIT_SUFFIX.test(segment)) return { unit: own(folded(segment)), slice, kind: "service", closed: true }
  const path = above.kind === "group" ? `${above.unit}/${folded(segment)}` : own(folded(segment))
  return { unit: clipped(path), slice, kind: "group", closed: false }
}

/** The slice that the children of a unit are in. */
const below = ({ kind, slice, unit }: Unit): { readonly slice: string } => {
  if (kind === "root") return { slice: "" }
  if (kind === "pod") return { slice: "kubepods" }
  return { slice: kind === "user" ? slice : unit }
}

/** Stands for bytes that are not UTF-8. */
export const UNDECODABLE = "\ufffd"
const UNIT_SUFFIX = /\.(?:service|scope|socket|mount|automount|swap|device|timer|target|path)$/

// -- containers

interface Container {
  readonly id?: string
  readonly name?: string
}

/** `docker-<id>.scope` of the systemd driver; `cri-containerd`, `crio`, `libpod`, `libpod-payload`, `nerdctl`, and so on. */
const RUNTIME_SCOPE =
  /^(?:docker|libpod|libpod-payload|cri-containerd|containerd|crio|podman|nerdctl|buildkit)-([0-9a-f]{64})(?:\.scope)?$/
/** The cgroupfs driver: `/docker/<id>`, `/kubepods/…/pod<uid>/<id>`; and ECS tasks on Fargate. */
const BARE_ID = /^(?:[0-9a-f]{64}|[0-9a-f]{32}-\d{1,20})$/

const containerIn = (segment: string, above: Unit): Container | undefined => {
  const id = RUNTIME_SCOPE.exec(segment)?.[1] ?? (BARE_ID.test(segment) ? segment : undefined)
  if (id !== undefined) return { id }
  if (segment.startsWith("lxc.payload.")) return { name: segment.slice("lxc.payload.".length) }
  if (above.kind === "group" && above.unit === "lxc") return { name: segment }
  const machine = /^machine-(.{1,200})\.scope$/.exec(segment)?.[1]
  // libvirt numbers a machine anew each time that it starts.
  if (machine !== undefined) return { name: unescaped(machine).replace(/^(?:qemu|lxc)-\d{1,10}-/, "") }
  const nspawn = /^systemd-nspawn@(.{1,200})\.service$/.exec(segment)?.[1]
  return nspawn === undefined ? undefined : { name: unescaped(nspawn) }
}

const containerUnit = ({ id = "", name }: Container, above: Unit, names: KnownNames): Unit => {
  // Users make cgroups of any name in their own: neither is it believed, nor is what runtimes of root know of such an id.
  if (above.kind === "user") {
    const whose = above.unit.slice("user ".length)
    return {
      unit: clipped(`${whose}/${name ?? id.slice(0, SHORT_ID)}`),
      slice: above.slice,
      kind: "container",
      closed: true
    }
  }
  const { slice } = below(above)
  if (name !== undefined) return { unit: own(name), slice, kind: "container", closed: true }
  const known = names.container?.(id)
  if (known === PODS_UNIT) return { unit: PODS_UNIT, slice, kind: "pod", closed: true }
  return { unit: known === undefined ? id.slice(0, SHORT_ID) : own(known), slice, kind: "container", closed: true }
}

/** The name of a container of a pod: `default/web-#/nginx`. What a controller adds to a pod's name is folded. */
export const podContainerName = (namespace: string, pod: string, container: string): string =>
  `${namespace}/${foldedPod(pod)}/${container}`

/** `web-7d9f8b6c5d-x2k4j` of a ReplicaSet, `node-agent-x2k4j` of a DaemonSet, in the letters that Kubernetes makes names of. */
const foldedPod = (pod: string): string =>
  pod
    .replace(/-[bcdfghjklmnpqrstvwxz2456789]{8,10}-[bcdfghjklmnpqrstvwxz2456789]{5}$/, "-#")
    .replace(/-[bcdfghjklmnpqrstvwxz2456789]{5}$/, "-#")

// -- pods

const isPodsRoot = (segment: string): boolean => segment === "kubepods" || segment === "kubepods.slice"
const isPods = ({ kind, unit }: Unit): boolean => kind === "pod" || (kind === "slice" && unit === "kubepods")
const isPod = (segment: string, above: Unit): boolean =>
  isPods(above) && /^(?:pod[0-9a-f]{8}|kubepods(?:-burstable|-besteffort)?-pod[0-9a-f]{8})/.test(segment)

// -- names

const userName = (uid: string, names: KnownNames): string => clipped(names.user?.(Number(uid)) ?? uid)

/** A name as a unit: not one of NodePulse's own, and not endless. */
const own = (name: string): string => clipped(name.startsWith("(") ? `/${name}` : name)

const clipped = (name: string): string =>
  name.length > NAME_LENGTH_MAX ? `${name.slice(0, NAME_LENGTH_MAX - 1).toWellFormed()}…` : name

/** `\x2d` of systemd's names back to `-`; what is no such escape, or stands for a control character, stays. */
const unescaped = (name: string): string =>
  name.replace(/\\x([2-6][0-9a-f]|7[0-9a-e])/g, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)))

const UUID = /[0-9a-fA-F]{8}(?:(?:-|\\x2d)[0-9a-fA-F]{4}){3}(?:-|\\x2d)[0-9a-fA-F]{12}/g
const HASH = /(?<![0-9A-Za-z])[0-9a-f]{16,255}(?![0-9A-Za-z])/g
/** Of systemd-run: `run-r<32 hex>`, `run-u12`, `run-p12-i34`, `run-12`. */
const RUN = /^run-(?:r[0-9a-f]{32}|u\d{1,20}|p\d{1,20}-i\d{1,20}|\d{1,20})(?=\.)/
/** An instance for each connection (`5-10.0.0.1:22-10.0.0.2:5123`), each crash (`12-3456-0`), each bus name (`:1.23`). */
const INSTANCE = /@\d{1,10}-([^@]{1,200})(?=\.service$)/
const BUS_NAME = /:\d{1,10}\.\d{1,10}/g

/** Whether what is behind an instance's number is two numbers, or two addresses with their ports. */
const isMadeUp = (rest: string): boolean =>
  /^\d{1,10}-\d{1,10}$/.test(rest) || (rest.split(":").length >= 3 && /:\d{1,5}$/.test(rest))

/** Without what is another each time. */
const folded = (name: string): string =>
  name
    .replace(RUN, "run-#")
    .replace(INSTANCE, (instance, rest: string) => (isMadeUp(rest) ? "@#" : instance))
    .replace(BUS_NAME, ":#")
    .replace(UUID, "#")
    .replace(HASH, "#")
