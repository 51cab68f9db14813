/**
 * Which devices of a Linux host are physical: what is counted once must not be counted again in a partition, a volume, a
 * bond, a bridge, a tunnel or one end of a pod's pair above it.
 *
 * The host knows, so it is asked first; names come last, where it tells nothing. In this order:
 *
 * Interfaces
 * 1. Never: the loopback, point-to-point and tunnel devices (flags, hardware type), masters of bonds (flag, the families
 *    `node_bonding_*`): what they carry, an interface below carries too. Mobile broadband (`ww…`) looks like a tunnel.
 * 2. Its driver and bus, of the collector `ethtool` and of the agent's own (`/sys/class/net/…/device`).
 * 3. What is linked to another interface is a VLAN, a macvlan or one end of a pair, as pods have (`iface_link` is not its
 *    own `iface_id`); what was made under its name is software (`name_assign_type` 3: the kernel names cards itself, and
 *    udev renames them); an address for good (`address_assign_type` 0) is a card's; one that was taken over (2), or that a
 *    card of this host has, is that of something above it.
 * 4. The name. With an address made up at random only the name of a card counts, else whatever is not known as virtual.
 * Then: a card that is enslaved to another card with its address (accelerated networking of Hyper-V) is counted there. And where
 * nothing is physical (a container sees its uplink as one end of a pair), what has the name of a card counts.
 *
 * Disks
 * 1. Names that a driver of the kernel gives and nobody can change: loop, ram, zram, dm, md, optical and floppy drives, …;
 *    device mapper and RAID families, and major numbers, where they are told.
 * 2. A partition is what is named after another device of the scrape, or looks like one and is not told to be whole.
 * 3. An unknown name counts, unless the exporter tells where others are attached and has no such path for it.
 *
 * Devices are told apart by host: a federation may serve several.
 */
import type { Sample } from "../Exposition.ts"

/** Families that are read for nothing but this. */
export const DEVICE_FAMILIES = [
  "node_network_info",
  "node_network_iface_id",
  "node_network_iface_link",
  "node_network_flags",
  "node_network_protocol_type",
  "node_network_address_assign_type",
  "node_network_name_assign_type",
  "node_ethtool_info",
  "node_bonding_slaves",
  "node_bonding_active",
  "node_disk_info",
  "node_disk_device_mapper_info",
  "node_md_disks",
  "node_md_state"
] as const

type Family = (typeof DEVICE_FAMILIES)[number]

/** Samples by name, each series once. */
export type Families = ReadonlyMap<string, ReadonlyArray<Sample>>

/** Whether a sample is of a device that counts. */
export type Counts = (sample: Sample) => boolean

/** The network interfaces that count, of those that the metrics `names` tell something of. */
export const physicalInterfaces = (families: Families, hostOf: HostOf, names: ReadonlyArray<string>): Counts => {
  const facts = factsBy(families, hostOf)
  return decide(families, hostOf, names, (host, devices) => {
    const told = devices.map((device) => interfaceFacts(device, (family) => facts(family, host, device)))
    const cards = told.filter((one) => kindOfInterface(one, told) === "physical")
    const counted = cards.filter((one) => !isBelowAnotherCard(one, cards))
    const found = counted.length > 0 ? counted : told.filter((one) => kindOfInterface(one, told) === "uplink")
    return found.map(({ device }) => device)
  })
}

/** The disks that count, of those that the metrics `names` tell something of. */
export const physicalDisks = (families: Families, hostOf: HostOf, names: ReadonlyArray<string>): Counts => {
  const facts = factsBy(families, hostOf)
  return decide(families, hostOf, names, (host, devices) => {
    const present = new Set(devices)
    const pathsTold = devices.some((device) => pathOf(facts("node_disk_info", host, device)) !== "")
    return devices.filter((device) => {
      if (VIRTUAL_DISKS.test(device) || VOLUMES.some((family) => facts(family, host, device) !== undefined))
        return false
      const info = facts("node_disk_info", host, device)
      if (VIRTUAL_MAJORS.has(info?.labels.major ?? "")) return false
      if (isPartOf(device, present)) return false
      const path = pathOf(info)
      if (!isPhysicalDisk(device)) return path !== ""
      return !pathsTold || path !== "" || DISKS.test(device)
    })
  })
}

/** Whether a block device is a whole physical disk, by its name alone. */
export const isPhysicalDisk = (device: string | undefined): boolean =>
  device !== undefined && !VIRTUAL_DISKS.test(device) && !PARTITIONS.test(device)

/** Whether a network interface is physical, by its name alone. */
export const isPhysicalInterface = (device: string | undefined): boolean =>
  device !== undefined && !VIRTUAL_INTERFACES.test(device)

/** Whether a sample is about the root filesystem on a disk. A container's root (overlay) says nothing of the host. */
export const isRootFilesystem = ({ labels }: Sample): boolean =>
  labels.mountpoint === "/" && labels.fstype !== "rootfs" && labels.fstype !== "overlay"

/** Which host a sample is of: the same text for the same host. */
export type HostOf = (sample: Sample) => string

/** By the labels that the CPU's samples have beside their own: `instance`, `job` and their like of a federation. */
export const hostsOf = (cpu: ReadonlyArray<Sample>): HostOf => {
  const names = new Set<string>()
  for (const { labels } of cpu) for (const name of Object.keys(labels)) names.add(name)
  names.delete("cpu")
  names.delete("mode")
  const sorted = [...names].sort()
  return sorted.length === 0 ? () => "" : ({ labels }) => JSON.stringify(sorted.map((name) => labels[name] ?? ""))
}

/** Asks `choose` once for each host, and looks samples up in what it chose. */
const decide = (
  families: Families,
  hostOf: HostOf,
  names: ReadonlyArray<string>,
  choose: (host: string, devices: ReadonlyArray<string>) => ReadonlyArray<string>
): Counts => {
  const present = new Map<string, Set<string>>()
  for (const name of names) {
    for (const sample of families.get(name) ?? []) {
      const { device } = sample.labels
      if (device === undefined) continue
      const host = hostOf(sample)
      const devices = present.get(host)
      if (devices === undefined) present.set(host, new Set([device]))
      else devices.add(device)
    }
  }
  const chosen = new Map([...present].map(([host, devices]) => [host, new Set(choose(host, [...devices]))]))
  return (sample) =>
    sample.labels.device !== undefined && chosen.get(hostOf(sample))?.has(sample.labels.device) === true
}

type FactOf = (family: Family, host: string, device: string) => Sample | undefined

/** The sample that a family has of a device. Bonding families call it `master`. */
const factsBy = (families: Families, hostOf: HostOf): FactOf => {
  const index = new Map<string, Sample>()
  const key = (family: string, host: string, device: string) => JSON.stringify([family, host, device])
  for (const family of DEVICE_FAMILIES) {
    for (const sample of families.get(family) ?? []) {
      const device = sample.labels.device ?? sample.labels.master
      if (device !== undefined) index.set(key(family, hostOf(sample), device), sample)
    }
  }
  return (family, host, device) => index.get(key(family, host, device))
}

interface InterfaceFacts {
  readonly device: string
  readonly id: number | undefined
  readonly link: number | undefined
  readonly flags: number
  /** The kernel's ARPHRD number. */
  readonly type: number | undefined
  /** The kernel's NET_ADDR number. */
  readonly assigned: number | undefined
  /** The kernel's NET_NAME number. */
  readonly named: number | undefined
  readonly address: string
  readonly bond: boolean
  readonly driver: string | undefined
  readonly bus: string
}

const interfaceFacts = (device: string, fact: (family: Family) => Sample | undefined): InterfaceFacts => {
  const ethtool = fact("node_ethtool_info")?.labels
  return {
    device,
    id: fact("node_network_iface_id")?.value,
    link: fact("node_network_iface_link")?.value,
    flags: fact("node_network_flags")?.value ?? 0,
    type: fact("node_network_protocol_type")?.value,
    assigned: fact("node_network_address_assign_type")?.value,
    named: fact("node_network_name_assign_type")?.value,
    address: fact("node_network_info")?.labels.address ?? "",
    bond: fact("node_bonding_slaves") !== undefined || fact("node_bonding_active") !== undefined,
    driver: ethtool?.driver ?? (ethtool === undefined ? undefined : ""),
    bus: ethtool?.bus_info ?? ""
  }
}

// linux/if.h
const LOOPBACK = 0x8
const POINT_TO_POINT = 0x10
const NO_ARP = 0x80
const MASTER = 0x400
const SLAVE = 0x800
/** linux/if_arp.h: Ethernet, InfiniBand, IEEE 1394, Wi-Fi and its monitors, raw IP of modems, and OpenVZ's venet. */
const HARDWARE_TYPES: ReadonlySet<number> = new Set([1, 32, 24, 801, 802, 803, 519, 65_535])
// linux/netdevice.h
const PERMANENT = 0
const RANDOM = 1
const STOLEN = 2
/** By whoever made the interface. */
const NAMED_BY_USER = 3

/** `uplink`: virtual, but where a container sees no card, that is what connects it. */
type InterfaceKind = "physical" | "uplink" | "virtual"

const kindOfInterface = (one: InterfaceFacts, all: ReadonlyArray<InterfaceFacts>): InterfaceKind => {
  const { assigned, bus, device, driver, flags, id, link, named, type } = one
  if (one.bond || (flags & (LOOPBACK | MASTER)) !== 0) return "virtual"
  const tunnel =
    (type !== undefined && !HARDWARE_TYPES.has(type)) || (type !== 65_535 && (flags & (POINT_TO_POINT | NO_ARP)) !== 0)
  if (tunnel && !MODEMS.test(device)) return "virtual"
  const whereNoCardIs = CARDS.test(device) ? "uplink" : "virtual"
  if (driver !== undefined) {
    if (driver === "" && bus === "") return whereNoCardIs
    if (SOFTWARE_DRIVERS.test(driver)) return whereNoCardIs
    if (bus !== "" && !NO_BUS.has(bus)) return "physical"
  }
  if (named === NAMED_BY_USER || (id !== undefined && link !== undefined && id !== link)) return whereNoCardIs
  if (assigned === STOLEN) return "virtual"
  if (assigned === PERMANENT && id !== undefined && !VIRTUAL_MACHINE_ENDS.test(device)) return "physical"
  // The ports of a bond or team have one address, too.
  const port = (flags & SLAVE) !== 0 || CARDS.test(device)
  if (assigned !== undefined && !port && sharesAddress(one, all)) return "virtual"
  if (!isPhysicalInterface(device)) return "virtual"
  return assigned === RANDOM && !CARDS.test(device) ? "virtual" : "physical"
}

/** Whether a card has the address of this one, which is none: a bridge takes that of its port. */
const sharesAddress = ({ address, device }: InterfaceFacts, all: ReadonlyArray<InterfaceFacts>): boolean =>
  address !== "" &&
  all.some(
    (other) =>
      other.device !== device &&
      other.address === address &&
      other.assigned === PERMANENT &&
      other.id !== undefined &&
      other.id === other.link
  )

/** The slave of a card that is no bond: both have one address, and the card counts what its slave carries. */
const isBelowAnotherCard = (one: InterfaceFacts, cards: ReadonlyArray<InterfaceFacts>): boolean =>
  (one.flags & SLAVE) !== 0 &&
  one.address !== "" &&
  cards.some(({ address, flags }) => address === one.address && (flags & SLAVE) === 0)

const anyOf = (patterns: ReadonlyArray<string>): RegExp => new RegExp(`^(${patterns.join("|")})$`, "s")

/** What ethtool writes for a bus where there is none. */
const NO_BUS: ReadonlySet<string> = new Set(["N/A", "tap", "tun"])

/** Drivers of the kernel that make interfaces out of nothing, or on top of others. */
const SOFTWARE_DRIVERS = anyOf([
  "veth|bridge|openvswitch|bonding|team|tun|dummy|ifb|wireguard|macvlan|macvtap|ipvlan|vxlan|geneve|gretap|vrf|nlmon",
  "802\\.1Q VLAN Support|amneziawg|bareudp|batman_adv|erspan|gre|ip6_?gre|ip6tnl|ipip|sit|xfrm|vti|hsr|macsec|dsa"
])

const MODEMS = /^ww/

/** The backends that a Xen host has for the cards of its guests: their address counts as permanent. */
const VIRTUAL_MACHINE_ENDS = /^vif\d+\.\d+(-emu)?$/

/** Names that the kernel and systemd give to cards, and containers to what looks like one to them. */
const CARDS = anyOf([
  "eth\\d+|host\\d+|venet\\d+(:\\d+)?|usb\\d+|em\\d+|p\\d+p\\d+(_\\d+)?|(lan|wan)\\d*",
  "en(o|s|p|P|x|b|c|d|a|v|u)[0-9a-zA-Z]+",
  "(wl|ww|ib|sl|hsn)[0-9a-zA-Z]+"
])

/** Names of interfaces that are virtual as far as one can tell from a name. */
const VIRTUAL_INTERFACES = anyOf([
  "lo",
  "(ifb|dummy|tun|tunl|sit|gre|gretap|erspan|ip6tnl|ip6gre|ip_vti|ip6_vti|vti|ipsec|xfrm|ppp|ipvlan|macvlan|macvtap|vlan)\\d+",
  "(wg|tailscale|zt|nordlynx|cscotun|utun|gpd|nebula|netmaker|proton|warp).*|.*tun\\d+",
  // Their members are counted.
  "(bond|team)([\\d._-].*)?|.*[._-](bond|team)\\d*",
  // Virtual machines and containers, pods and overlay networks.
  "(veth|tap|cali|flannel|cni|cilium|lxc|lxd|incus|vxlan|geneve?|virbr|docker|podman|kube-|weave|antrea|nodelocaldns).*",
  "(fwbr|fwpr|fwln|qbr|qvb|qvo|qr-|qg-|vmnet|vboxnet|ve-|vb-|vz-|mv-|azv|azure|gke|ovn|ovs|br-|br_|bridge|fan-).*",
  "eni[0-9a-f]{8,}",
  "(vnet|nerdctl|vif|cbr|mpqemubr)\\d+(\\.\\d+)?(-emu)?",
  // Bridges.
  ".*br\\d+",
  // VLANs on top of an interface: eth0.100.
  ".*\\.\\d+"
])

const VOLUMES = ["node_disk_device_mapper_info", "node_md_disks", "node_md_state"] as const

/** ram, floppy, loop, md, sr, DRBD (linux/Documentation/admin-guide/devices.txt). */
const VIRTUAL_MAJORS: ReadonlySet<string> = new Set(["1", "2", "7", "9", "11", "147"])

const VIRTUAL_DISKS = anyOf([
  "(z?ram|loop|fd|sr)\\d+",
  // Volumes on top of disks: device mapper, software RAID, DRBD, bcache, ZFS.
  "(dm-|md|drbd|bcache|zd)\\d+(p\\d+)?|md_d\\d+|md_.*",
  "mmcblk\\d+(boot\\d+|rpmb|gp\\d+)",
  // One path of a multipath NVMe device.
  "nvme\\d+c\\d+n\\d+(p\\d+)?"
])

/** Partitions, where the disk itself is not in the scrape. */
const PARTITIONS = anyOf([
  "([hsv]|xv)d[a-z]+\\d+",
  "dasd[a-z]+\\d+",
  "nvme\\d+n\\d+p\\d+",
  "(nbd|rbd|pmem|mmcblk|ublkb)\\d+p\\d+"
])

/** Disks by the names of their drivers, some of which tell no path: over a network, or of a hypervisor. */
const DISKS = anyOf([
  "([hsv]|xv)d[a-z]+",
  "dasd[a-z]+",
  "nvme\\d+n\\d+",
  "(nbd|rbd|rnbd|pmem|mmcblk|ublkb|ubd)[\\da-z]+"
])

const pathOf = (info: Sample | undefined): string => info?.labels.path ?? ""

/** Whether the device is named after another one that is there: `sda1`, `nvme0n1p2`, `cciss!c0d0p1`. */
const isPartOf = (device: string, present: ReadonlySet<string>): boolean => {
  let end = device.length
  while (end > 0 && isDigit(device[end - 1])) end--
  if (end === device.length || end === 0) return false
  const stem = device.slice(0, end)
  return present.has(stem.endsWith("p") && isDigit(stem.at(-2)) ? stem.slice(0, -1) : stem)
}

const isDigit = (character: string | undefined): boolean =>
  character !== undefined && character >= "0" && character <= "9"
