import { describe, expect, it } from "@effect/vitest"
import { Result } from "effect"
import { conformance } from "../Conformance.ts"
import type { Sample } from "../Exposition.ts"
import { isPhysicalDisk, isPhysicalInterface } from "./Devices.ts"
import { nodeExporter } from "./NodeExporter.ts"

conformance(nodeExporter, { fixtures: new URL("./fixtures/", import.meta.url), variations: 20 })

const sample = (name: string, value: number, labels: Record<string, string> = {}): Sample => ({ name, labels, value })
const idle = sample("node_cpu_seconds_total", 10, { cpu: "0", mode: "idle" })
const row = (...samples: ReadonlyArray<Sample>) =>
  Result.getOrThrow(nodeExporter().parse([idle, ...samples], new Date(0))).rows[0]!

describe("a host's row", () => {
  it("has null, not 0, for every metric that the scrape lacks", () => {
    const { cpu_cores, cpu_idle_seconds, cpu_set, ...rest } = row()
    expect(cpu_cores).toBe(1)
    expect(cpu_set).toBeGreaterThan(0)
    expect(cpu_idle_seconds).toBe(10)
    expect(new Set(Object.values(rest))).toEqual(new Set([null]))
  })

  it("counts nice as user, and irq and softirq as system", () => {
    const mode = (name: string, value: number) => sample("node_cpu_seconds_total", value, { cpu: "0", mode: name })
    expect(row(mode("user", 1), mode("nice", 2), mode("system", 4), mode("irq", 8), mode("softirq", 16))).toMatchObject(
      {
        cpu_user_seconds: 3,
        cpu_system_seconds: 28
      }
    )
  })

  it("sums whole disks only, and physical interfaces only", () => {
    const disk = (device: string) => sample("node_disk_read_bytes_total", 1, { device })
    const net = (device: string) => sample("node_network_receive_bytes_total", 1, { device })
    expect(
      row(
        ...["sda", "sda1", "nvme0n1", "nvme0n1p2", "dm-0", "md127", "loop3", "zram0", "sr0"].map(disk),
        ...["lo", "eth0", "wlan0", "docker0", "veth12ab", "br-9f", "br0", "bond0", "eth0.100"].map(net)
      )
    ).toMatchObject({ disk_read_bytes_total: 2, network_receive_bytes_total: 2 })
  })

  it("counts a series once that is there twice, whatever the order of its labels", () => {
    const once = sample("node_network_receive_bytes_total", 5, { device: "eth0", job: "a" })
    const again = sample("node_network_receive_bytes_total", 9, { job: "a", device: "eth0" })
    const parsed = Result.getOrThrow(nodeExporter().parse([idle, idle, once, again], new Date(0)))
    expect(parsed.rows[0]).toMatchObject({ cpu_idle_seconds: 10, cpu_cores: 1, network_receive_bytes_total: 5 })
    expect(parsed.skipped.map(({ reason }) => reason)).toEqual([
      'node_cpu_seconds_total{cpu="0",mode="idle"} is there more than once; the first counts',
      'node_network_receive_bytes_total{job="a",device="eth0"} is there more than once; the first counts'
    ])
  })

  it("sums the series of several hosts, all of them alike, and judges each host's devices by its own facts", () => {
    const host = (instance: string, bytes: number, named: number) => [
      sample("node_cpu_seconds_total", 10, { cpu: "0", mode: "idle", instance }),
      sample("node_cpu_seconds_total", 1, { cpu: "0", mode: "user", instance }),
      sample("node_memory_MemTotal_bytes", 1_000, { instance }),
      sample("node_disk_read_bytes_total", bytes, { device: "sda", instance }),
      sample("node_network_receive_bytes_total", bytes, { device: "lan-x", instance }),
      sample("node_network_name_assign_type", named, { device: "lan-x", instance }),
      sample("node_filesystem_size_bytes", bytes, { device: "/dev/sda1", fstype: "ext4", mountpoint: "/", instance })
    ]
    const samples = [...host("a", 10, 4), ...host("b", 20, 3)]
    expect(Result.getOrThrow(nodeExporter().parse(samples, new Date(0))).rows[0]).toMatchObject({
      cpu_cores: 2,
      cpu_idle_seconds: 20,
      cpu_user_seconds: 2,
      memory_total_bytes: 2_000,
      disk_read_bytes_total: 30,
      disk_total_bytes: 30,
      network_receive_bytes_total: 10
    })
  })

  it("does not know since when its counters count, nor its uptime, where the boot time is none", () => {
    const now = new Date(1_700_000_000_000)
    const parsed = (boot: number) =>
      Result.getOrThrow(
        nodeExporter().parse(
          [idle, sample("node_boot_time_seconds", boot), sample("node_time_seconds", 1_700_000_000)],
          now
        )
      )
    expect(parsed(1_699_999_000).countersSince).toBe(1_699_999_000_000)
    expect(parsed(1_699_999_000).rows[0]!.uptime_seconds).toBe(1_000)
    for (const boot of [0, -1, Number.NaN, Infinity, 1_700_000_061]) {
      expect(parsed(boot).countersSince, `${boot}`).toBeNull()
      expect(parsed(boot).rows[0]!.uptime_seconds, `${boot}`).toBeNull()
    }
  })

  it("says nothing of disks or network where there is no physical one", () => {
    expect(
      row(
        sample("node_disk_read_bytes_total", 7, { device: "loop0" }),
        sample("node_network_receive_bytes_total", 7, { device: "lo" })
      )
    ).toMatchObject({ disk_read_bytes_total: null, network_receive_bytes_total: null })
  })

  it("takes the root filesystem from its disk, and does not believe one that could not be read", () => {
    const root = (fstype: string, size: number, error = 0) => [
      sample("node_filesystem_size_bytes", size, { mountpoint: "/", fstype }),
      sample("node_filesystem_free_bytes", 30, { mountpoint: "/", fstype }),
      sample("node_filesystem_avail_bytes", 20, { mountpoint: "/", fstype }),
      sample("node_filesystem_device_error", error, { mountpoint: "/", fstype })
    ]
    expect(row(...root("rootfs", 1), ...root("ext4", 100))).toMatchObject({
      disk_total_bytes: 100,
      disk_used_bytes: 70,
      disk_available_bytes: 20
    })
    const unknown = { disk_total_bytes: null, disk_used_bytes: null, disk_available_bytes: null }
    expect(row(...root("overlay", 100))).toMatchObject(unknown)
    expect(row(...root("ext4", 100, 1))).toMatchObject(unknown)
  })

  it("has null for a value that is no number, with a note, and keeps the rest", () => {
    const parsed = nodeExporter().parse(
      [idle, sample("node_load1", Number.NaN), sample("node_load5", 2), sample("node_memory_MemFree_bytes", -1)],
      new Date(0)
    )
    const { rows, skipped } = Result.getOrThrow(parsed)
    expect(rows[0]).toMatchObject({ load_1min: null, load_5min: 2, memory_free_bytes: null })
    expect(skipped.map(({ reason }) => reason)).toEqual([
      "memory_free_bytes is -1, but must be a whole number from 0 to 9007199254740991, or null",
      "load_1min is NaN, but must be a finite number, 0 or more, or null"
    ])
  })

  it("is refused, not filled with zeros, where the exporter is too old or another", () => {
    const refusal = (name: string) => {
      const parsed = nodeExporter().parse([sample(name, 10, { cpu: "cpu0", mode: "idle" })], new Date(0))
      return Result.isFailure(parsed) ? parsed.failure.message : ""
    }
    expect(refusal("node_cpu")).toContain("unsupported exporter, too old: it tells CPU time as node_cpu")
    expect(refusal("node_load1")).toContain('is its collector "cpu" switched off?')
    expect(refusal("redis_up")).toContain("this is not node_exporter")
  })
})

describe("a device's name tells whether it is physical", () => {
  it.each(["sda", "sdaa", "vda", "xvda", "hda", "nvme0n1", "nvme10n12", "mmcblk0", "nbd0", "dasda"])(
    "disk %s",
    (device) => {
      expect(isPhysicalDisk(device)).toBe(true)
    }
  )

  it.each([
    ...["sda1", "vda15", "xvda1", "nvme0n1p1", "nvme0c0n1", "mmcblk0p1", "mmcblk0boot0", "nbd0p1"],
    ...["dm-0", "md0", "loop0", "ram0", "zram0", "sr0", "fd0", "drbd1", "zd16", undefined]
  ])("no disk: %s", (device) => {
    expect(isPhysicalDisk(device)).toBe(false)
  })

  it.each(["eth0", "ens3", "enp0s31f6", "wlan0", "wlp2s0", "ib0", "usb0", "venet0", "eno1np0", "local0"])(
    "interface %s",
    (device) => {
      expect(isPhysicalInterface(device)).toBe(true)
    }
  )

  it.each([
    ...["lo", "docker0", "veth9f", "br-1a2b", "br0", "vmbr0", "virbr0", "virbr0-nic", "lxcbr0", "tun0", "tap0"],
    ...["cali1", "flannel.1", "cni0", "dummy0", "wg0", "bond0", "team0", "ifb0", "eth0.5", "vnet3", undefined],
    ...["cilium_host", "lxc3f2a91c07b5e", "eni0a1b2c3d4e5", "gke5ae0c2f1a8d", "azv4f2a9c1d3e7", "bond-lan", "incusbr0"],
    ...[
      "wg-office",
      "ovn-k8s-mp0",
      "ovs-system",
      "genev_sys_6081",
      "vif3.0",
      "vmnet8",
      "vboxnet0",
      "ppp0",
      "tailscale0"
    ]
  ])("no interface: %s", (device) => {
    expect(isPhysicalInterface(device)).toBe(false)
  })
})
