/**
 * Which devices of a Linux host are physical, judged by their names: what is counted once must not be counted again in
 * a partition, a volume, a bond or a bridge above it. Names that are not known here count as physical.
 */
import type { Sample } from "../Exposition.ts"

const VIRTUAL_DISK = [
  "z?ram\\d+",
  "loop\\d+",
  "fd\\d+",
  "sr\\d+",
  // Volumes on top of disks: device mapper, software RAID, DRBD, bcache, ZFS.
  "(dm-|md|drbd|bcache|zd)\\d+(p\\d+)?",
  // Partitions.
  "([hsv]|xv)d[a-z]+\\d+",
  "dasd[a-z]+\\d+",
  "nvme\\d+n\\d+p\\d+",
  "(nbd|rbd|pmem)\\d+p\\d+",
  "mmcblk\\d+(p\\d+|boot\\d+|rpmb)",
  // One path of a multipath NVMe device.
  "nvme\\d+c\\d+n\\d+(p\\d+)?"
]

const VIRTUAL_INTERFACE = [
  "lo",
  "(ifb|dummy|wg|tun|tunl|sit|gre|erspan|ip6tnl|ip6gre|ipvlan|macvlan|macvtap|vlan|tailscale)\\d+",
  // Their members are counted.
  "(bond|team)\\d+",
  // Virtual machines and containers.
  "(veth|tap|cali|flannel|cni|cilium|vxlan|virbr|docker_gwbridge|kube-|zt|fwbr|fwpr|fwln).*",
  "(docker|podman|vnet|nerdctl)\\d+",
  // Bridges.
  "br-.*",
  "ovs-.*",
  "(br|vmbr|lxcbr|lxdbr|xenbr)\\d+",
  // VLANs on top of an interface: eth0.100.
  ".*\\.\\d+"
]

const VIRTUAL_DISKS = new RegExp(`^(${VIRTUAL_DISK.join("|")})$`)
const VIRTUAL_INTERFACES = new RegExp(`^(${VIRTUAL_INTERFACE.join("|")})$`, "s")

/** Whether a block device is a whole physical disk. */
export const isPhysicalDisk = (device: string | undefined): boolean =>
  device !== undefined && !VIRTUAL_DISKS.test(device)

/** Whether a network interface is physical. */
export const isPhysicalInterface = (device: string | undefined): boolean =>
  device !== undefined && !VIRTUAL_INTERFACES.test(device)

/** Whether a sample is about the root filesystem on a disk. A container's root (overlay) says nothing of the host. */
export const isRootFilesystem = ({ labels }: Sample): boolean =>
  labels.mountpoint === "/" && labels.fstype !== "rootfs" && labels.fstype !== "overlay"
