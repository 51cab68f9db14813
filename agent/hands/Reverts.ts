/**
 * What has to be taken back: a file for each property of a unit that an order has set, and a unit of systemd's that waits for its hour.
 *
 * `nodepulse-hands-revert@KEY` runs `packaging/hands/revert` as the same user with the same rights; it waits for the moment
 * that the file says, by the time since the boot, and restores what was there before, if the property still is what the order made it.
 * So it is taken back also when this program is gone, and what somebody else has set meanwhile stays. (A transient timer would need the
 * right to start units that this program makes up, which is root's.)
 *
 * Guarantee: the file and its unit are there before the property is set. After a reboot nothing has to be taken back: what was set at
 * run time is gone.
 *
 * Setting the property again before its hour keeps what was there before the first time, and moves the hour.
 */
import { createHash } from "node:crypto"
import * as Fs from "node:fs"
import { join } from "node:path"
import { assignmentOf, interfaceOf, pathOf, RESTRAINTS, type Restraint, type Systemctl } from "./HostUnits.ts"

export interface Revert {
  readonly unit: string
  readonly restraint: Restraint
  /** As the bus has them. */
  readonly set: string
  readonly before: string
  /** Seconds since the boot. */
  readonly due: number
  readonly bootId: string
  readonly order: string
  readonly systemctl: Systemctl
}

export class Reverts {
  readonly #folder: string

  constructor(folder: string) {
    this.#folder = join(folder, "reverts")
    Fs.mkdirSync(this.#folder, { recursive: true, mode: 0o700 })
  }

  /** The unit that takes it back. */
  serviceOf(unit: string, restraint: Restraint): string {
    return `nodepulse-hands-revert@${keyOf(unit, restraint)}.service`
  }

  /** What is planned; undefined where nothing is. */
  planned(unit: string, restraint: Restraint): Pick<Revert, "set" | "before"> | undefined {
    const text = this.#read(keyOf(unit, restraint))
    const [set, before] = [fieldOf(text, "set"), fieldOf(text, "before")]
    return set === undefined || before === undefined ? undefined : { set, before }
  }

  plan(revert: Revert): void {
    const { before, bootId, due, order, restraint, set, systemctl, unit } = revert
    const fields = {
      ...{ unit, order, set, before },
      path: pathOf(unit),
      interface: interfaceOf(unit),
      property: RESTRAINTS[restraint],
      assignment: assignmentOf(restraint, before),
      due: String(Math.ceil(due)),
      boot: bootId,
      systemctl: systemctl === "sudo" ? "sudo -n /usr/bin/systemctl" : "systemctl --no-ask-password"
    }
    const text = Object.entries(fields).map(([key, value]) => `${key}=${value}\n`)
    const path = join(this.#folder, keyOf(unit, restraint))
    Fs.writeFileSync(`${path}.new`, text.join(""), { mode: 0o600, flush: true })
    Fs.renameSync(`${path}.new`, path)
  }

  /** Nothing was set after all: as it was before {@link plan}. */
  withdraw(unit: string, restraint: Restraint): void {
    Fs.rmSync(join(this.#folder, keyOf(unit, restraint)), { force: true })
  }

  /** The units that have to run, after this program was away. */
  services(): ReadonlyArray<string> {
    const keys = Fs.readdirSync(this.#folder).flatMap((name) => /^([0-9a-f]{32})(\.now)?$/.exec(name)?.[1] ?? [])
    return [...new Set(keys)].map((key) => `nodepulse-hands-revert@${key}.service`)
  }

  #read(key: string): string {
    try {
      return Fs.readFileSync(join(this.#folder, key), "utf8")
    } catch {
      return ""
    }
  }
}

const keyOf = (unit: string, restraint: Restraint): string =>
  createHash("sha256").update(`${unit}\0${restraint}`).digest("hex").slice(0, 32)

const fieldOf = (text: string, key: string): string | undefined => new RegExp(`^${key}=(\\d+)$`, "m").exec(text)?.[1]
