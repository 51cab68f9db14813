/**
 * One walk over the hierarchy: each unit's cgroup with its reading, as a tree of units.
 *
 * What belongs to a unit as a whole (a service's own cgroups, a user's sessions) is not read by itself: the unit's cgroup
 * counts it. A cgroup is read after those in it, so that it has counted at least what they have.
 *
 * Bounds: {@link CGROUPS_MAX} cgroups, `DEPTH_MAX` levels, {@link FOLDERS_MAX} folders looked into, {@link USER_FOLDERS_MAX} of each
 * user. What is beyond them, may not be read, or goes while it is looked at stays with the unit above it. Names are the kernel's, and nobody's promise: none is
 * followed out of the hierarchy, since they come from listing it.
 */
import { childOf, DEPTH_MAX, type KnownNames, UNDECODABLE, type Unit } from "../../../src/plugins/UnitName.ts"
import type { ProcFiles } from "../ProcFiles.ts"
import type { CgroupFiles, CgroupReading } from "./CgroupReading.ts"

export const CGROUPS_MAX = 5_000
const FOLDERS_MAX = 10_000
/** Of those a user, who may make any number, has this many: the rest of the host keeps its place. */
export const USER_FOLDERS_MAX = 500
/** Everything is read again after so many scans, a part of the cgroups in each. */
const DUE_AFTER = 4

export interface ReadCgroup {
  readonly path: string
  readonly unit: Unit
  readonly reading: CgroupReading
  readonly children: ReadonlyArray<ReadCgroup>
}

/** Where the walk is told to look, and what it remembers of the one before. */
export interface Walk {
  readonly disk: ProcFiles
  readonly files: CgroupFiles
  /** The hierarchy's mount, relative to the root of `disk`. */
  readonly folder: string
  readonly root: Unit
  readonly names: KnownNames
}

export class CgroupTree {
  readonly #walk: Walk
  #readings = new Map<string, CgroupReading>()
  #scan = 0
  #left = 0
  #folders = 0
  readonly #ofUsers = new Map<string, number>()
  #cut = false

  constructor(walk: Walk) {
    this.#walk = walk
  }

  /** How many cgroups the last walk read, and whether a bound kept it from others. */
  get seen(): { readonly cgroups: number; readonly cut: boolean } {
    return { cgroups: this.#readings.size, cut: this.#cut }
  }

  /** Walks the hierarchy, a step for each cgroup. Returns the root's; undefined where that cannot be read. */
  *scan(): Generator<void, ReadCgroup | undefined> {
    const before = this.#readings
    this.#readings = new Map()
    this.#scan++
    this.#left = CGROUPS_MAX
    this.#folders = FOLDERS_MAX
    this.#ofUsers.clear()
    this.#cut = false
    const found = yield* this.#visit("", this.#walk.root, 0, before)
    return found.find(({ path }) => path === "")
  }

  /** The unit of the cgroup, as a tree; what is right below it where it cannot be read itself. */
  *#visit(
    path: string,
    unit: Unit,
    depth: number,
    before: ReadonlyMap<string, CgroupReading>
  ): Generator<void, ReadonlyArray<ReadCgroup>> {
    if (this.#left <= 0) {
      this.#cut = true
      return []
    }
    this.#left--
    const children: Array<ReadCgroup> = []
    const passed: Array<string> = []
    if (!unit.closed) yield* this.#below(path, unit, depth, before, children, passed)
    const reading = this.#walk.files.read(path, {
      isRoot: path === "",
      isWhole: unit.closed || unit.kind === "user",
      passed,
      before: before.get(path),
      isDue: (this.#scan + turnOf(path)) % DUE_AFTER === 0
    })
    yield
    if (reading === undefined) return children
    this.#readings.set(path, reading)
    return [{ path, unit, reading, children }]
  }

  /** Whether a user may have one more. */
  #allows({ unit }: Unit): boolean {
    const count = (this.#ofUsers.get(unit) ?? 0) + 1
    this.#ofUsers.set(unit, count)
    if (count > USER_FOLDERS_MAX) this.#cut = true
    return count <= USER_FOLDERS_MAX
  }

  /** The units below a cgroup, and the cgroups below it that are part of its own unit. */
  *#below(
    path: string,
    unit: Unit,
    depth: number,
    before: ReadonlyMap<string, CgroupReading>,
    children: Array<ReadCgroup>,
    passed: Array<string>
  ): Generator<void, void> {
    if (depth >= DEPTH_MAX) return
    if (--this.#folders < 0) {
      this.#cut = true
      return
    }
    for (const name of this.#walk.disk.folders(`${this.#walk.folder}${path}`) ?? []) {
      // It could not be opened by that name: what is in it stays with the unit above.
      if (name.includes(UNDECODABLE)) continue
      if (unit.kind === "user" && !this.#allows(unit)) return
      const below = `${path}/${name}`
      const its = childOf(unit, name, this.#walk.names)
      if (its.unit === unit.unit && its.slice === unit.slice) {
        passed.push(below)
        if (!its.closed) yield* this.#below(below, unit, depth + 1, before, children, passed)
      } else for (const child of yield* this.#visit(below, its, depth + 1, before)) children.push(child)
    }
  }
}

/** In which scan of `DUE_AFTER` a cgroup is due: by its path, so that others that come and go never put it off. */
const turnOf = (path: string): number => {
  let hash = 0
  for (let at = 0; at < path.length; at++) hash = (Math.imul(hash, 31) + path.charCodeAt(at)) | 0
  return hash >>> 0
}
