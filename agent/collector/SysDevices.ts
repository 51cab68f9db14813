/**
 * What the kernel knows of a machine's interfaces and disks beside their counters, from sysfs: whether there is hardware
 * below (`device`), which driver runs it, what it is a slave of. Written in node_exporter's own format (its collectors
 * `ethtool`, `netclass` and `diskstats`), so that one rule judges devices, whoever told of them.
 *
 * Bound: four small reads for each device that has counters. What is missing is left out; without a sysfs there is nothing.
 */
import { type Family, familyOf } from "./ExpositionText.ts"
import type { ProcFiles } from "./ProcFiles.ts"

export interface SysDevices {
  readonly interfaces: ReadonlyArray<SysInterface>
  readonly disks: ReadonlyArray<SysDisk>
}

export interface SysInterface {
  readonly device: string
  /** The device on its bus, `0000:00:03.0` or `virtio2`; empty where there is no hardware. */
  readonly bus: string
  readonly driver: string
  /** As in linux/if.h; undefined where they cannot be read. */
  readonly flags: number | undefined
  readonly address: string
}

/** A whole disk or volume: partitions have no folder of their own in `/sys/block`. */
export interface SysDisk {
  readonly device: string
  readonly major: string
  readonly minor: string
  /** The device on its bus; empty where there is no hardware. */
  readonly path: string
  /** The name of a device mapper's volume; undefined where it is none. */
  readonly volume: string | undefined
}

/** Reads of the sysfs at `sys` what it knows of these interfaces and disks; undefined where it cannot be read. */
export const readSysDevices = (
  sys: ProcFiles,
  interfaces: ReadonlyArray<string>,
  disks: ReadonlyArray<string>
): SysDevices | undefined => {
  if (!sys.exists("class/net") && !sys.exists("block")) return undefined
  return {
    interfaces: interfaces
      .filter((device) => sys.exists(`class/net/${device}`))
      .map((device) => interfaceOf(sys, device)),
    disks: disks.filter((device) => sys.exists(`block/${folderOf(device)}`)).map((device) => diskOf(sys, device))
  }
}

const interfaceOf = (sys: ProcFiles, device: string): SysInterface => {
  const at = `class/net/${device}`
  const bus = sys.linkName(`${at}/device`)
  const flags = Number(line(sys, `${at}/flags`) ?? Number.NaN)
  return {
    device,
    bus: bus ?? "",
    driver: bus === undefined ? "" : (sys.linkName(`${at}/device/driver`) ?? ""),
    flags: Number.isSafeInteger(flags) ? flags : undefined,
    address: line(sys, `${at}/address`) ?? ""
  }
}

const diskOf = (sys: ProcFiles, device: string): SysDisk => {
  const at = `block/${folderOf(device)}`
  const [major = "", minor = ""] = (line(sys, `${at}/dev`) ?? "").split(":")
  return { device, major, minor, path: sys.linkName(`${at}/device`) ?? "", volume: line(sys, `${at}/dm/name`) }
}

/** A name such as `cciss/c0d0` is one folder. */
const folderOf = (device: string): string => device.replaceAll("/", "!")

const line = (sys: ProcFiles, path: string): string | undefined => sys.text(path)?.split("\n", 1)[0]

/** The facts in node_exporter's format. */
export const sysFamilies = ({ disks, interfaces }: SysDevices): ReadonlyArray<Family> => [
  info(
    "node_ethtool_info",
    "The driver of an interface, and where its hardware is; both empty where there is none.",
    interfaces.map(({ bus, device, driver }) => ({ bus_info: bus, device, driver }))
  ),
  info(
    "node_network_info",
    "The address of an interface.",
    interfaces.map(({ address, device }) => ({ address, device }))
  ),
  familyOf({
    name: "node_network_flags",
    help: "The flags of an interface.",
    type: "gauge",
    samples: interfaces.flatMap(({ device, flags }) => (flags === undefined ? [] : [[{ device }, flags] as const]))
  }),
  info(
    "node_disk_info",
    "A disk or volume, and where its hardware is.",
    disks.map(({ device, major, minor, path }) => ({ device, major, minor, path }))
  ),
  info(
    "node_disk_device_mapper_info",
    "A volume of the device mapper.",
    disks.flatMap(({ device, volume }) => (volume === undefined ? [] : [{ device, name: volume }]))
  )
]

const info = (name: string, help: string, labels: ReadonlyArray<Readonly<Record<string, string>>>) =>
  familyOf({ name, help, type: "gauge", samples: labels.map((each) => [each, 1]) })
