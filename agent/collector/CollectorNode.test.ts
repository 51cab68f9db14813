import { assert, describe, it } from "@effect/vitest"
import { type NodeSources, nodeFamilies } from "./CollectorNode.ts"
import { renderExposition } from "./ExpositionText.ts"

const NONE: NodeSources = {
  stat: "cpu  1 2 3 4 5 6 7 8 9 10\ncpu0 100 20 30 4000 50 6 7 8 9 10\nbtime 1761820000\nprocs_running 3\nprocs_blocked 1\n",
  meminfo: undefined,
  loadavg: undefined,
  diskstats: undefined,
  netDev: undefined,
  mounts: undefined,
  processes: undefined,
  root: undefined
}

/** Samples by their series. */
const samples = (changes: Partial<NodeSources>) =>
  Object.fromEntries(
    renderExposition(nodeFamilies({ ...NONE, ...changes }, 100, 1_761_830_000_500))
      .split("\n")
      .filter((line) => line !== "" && !line.startsWith("#"))
      .map((line) => [line.slice(0, line.lastIndexOf(" ")), Number(line.slice(line.lastIndexOf(" ") + 1))])
  )

describe("the built-in node collector", () => {
  it("gives CPU seconds by core and mode, guest time not counted twice", () => {
    const found = samples({})
    assert.strictEqual(found['node_cpu_seconds_total{cpu="0",mode="user"}'], 1)
    assert.strictEqual(found['node_cpu_seconds_total{cpu="0",mode="idle"}'], 40)
    assert.strictEqual(found['node_cpu_seconds_total{cpu="0",mode="steal"}'], 0.08)
    assert.strictEqual(Object.keys(found).filter((name) => name.startsWith("node_cpu")).length, 8)
    assert.strictEqual(found.node_boot_time_seconds, 1_761_820_000)
    assert.strictEqual(found.node_time_seconds, 1_761_830_000.5)
    assert.strictEqual(found.node_procs_running, 3)
    assert.strictEqual(found.node_procs_blocked, 1)
  })

  it("leaves out what it cannot read, rather than make it 0", () => {
    const names = Object.keys(samples({})).map((series) => series.replace(/\{.*/, ""))
    for (const name of names) assert.match(name, /^node_(cpu_seconds_total|boot_time_seconds|time_seconds|procs_)/)
  })

  it("gives the time in which tasks waited, where the kernel tells it", () => {
    const found = samples({
      pressure: {
        cpu: "some avg10=0.10 avg60=1.25 avg300=0.95 total=13400500000\nfull avg10=0.00 avg60=0.00 avg300=0.00 total=7\n",
        memory: "full avg10=0.00 avg60=0.00 avg300=0.00 total=7\n",
        io: undefined
      }
    })
    assert.strictEqual(found.node_pressure_cpu_waiting_seconds_total, 13_400.5)
    assert.isUndefined(found.node_pressure_memory_waiting_seconds_total)
    assert.isUndefined(found.node_pressure_io_waiting_seconds_total)
  })

  it("gives memory in bytes, under node_exporter's names", () => {
    const found = samples({
      meminfo: "MemTotal:       16307256 kB\nActive(anon):    100 kB\nHugePages_Total:       3\n"
    })
    assert.strictEqual(found.node_memory_MemTotal_bytes, 16_698_630_144)
    assert.strictEqual(found.node_memory_Active_anon_bytes, 102_400)
    assert.isUndefined(found.node_memory_HugePages_Total_bytes)
  })

  it("gives the file system that is mounted last on /", () => {
    const found = samples({
      mounts: "rootfs / rootfs rw 0 0\n/dev/vda1 / ext4 rw 0 0\n/dev/vdb /srv xfs rw 0 0\n",
      root: { bsize: 4096, blocks: 1000, bfree: 500, bavail: 400 }
    })
    const labels = '{device="/dev/vda1",fstype="ext4",mountpoint="/"}'
    assert.strictEqual(found[`node_filesystem_size_bytes${labels}`], 4_096_000)
    assert.strictEqual(found[`node_filesystem_free_bytes${labels}`], 2_048_000)
    assert.strictEqual(found[`node_filesystem_avail_bytes${labels}`], 1_638_400)
  })

  it("gives disks in bytes and seconds, of old and new kernels", () => {
    const found = samples({
      diskstats:
        " 254 0 vda 8157 10 64000 7 900 20 32000 8 0 8784 9999 1 2 3 4 5 6\n 8 1 sda1 1 2 3 4\n 8 0 sda 1 0 2 0 3 0 4 0 0 5 6\n"
    })
    assert.strictEqual(found['node_disk_reads_completed_total{device="vda"}'], 8157)
    assert.strictEqual(found['node_disk_read_bytes_total{device="vda"}'], 64_000 * 512)
    assert.strictEqual(found['node_disk_writes_completed_total{device="vda"}'], 900)
    assert.strictEqual(found['node_disk_written_bytes_total{device="vda"}'], 32_000 * 512)
    assert.strictEqual(found['node_disk_io_time_seconds_total{device="vda"}'], 8.784)
    assert.strictEqual(found['node_disk_io_time_seconds_total{device="sda"}'], 0.005)
    assert.isUndefined(found['node_disk_reads_completed_total{device="sda1"}'])
  })

  it("gives networks, also where the numbers touch the name or the name has a colon", () => {
    const found = samples({
      netDev:
        "Inter-|   Receive  |  Transmit\n face |bytes packets errs drop|bytes\n  eth0:1024 2 3 4 0 0 0 0 4096 6 7 8 0 0 0 0\neth0:1: 5 0 0 0 0 0 0 0 9 0 0 0 0 0 0 0\n"
    })
    assert.strictEqual(found['node_network_receive_bytes_total{device="eth0"}'], 1024)
    assert.strictEqual(found['node_network_receive_drop_total{device="eth0"}'], 4)
    assert.strictEqual(found['node_network_transmit_bytes_total{device="eth0"}'], 4096)
    assert.strictEqual(found['node_network_transmit_errs_total{device="eth0"}'], 7)
    assert.strictEqual(found['node_network_receive_bytes_total{device="eth0:1"}'], 5)
  })

  it("gives load and processes", () => {
    const found = samples({ loadavg: "0.10 0.20 0.30 2/345 6789\n", processes: 87 })
    assert.deepStrictEqual([found.node_load1, found.node_load5, found.node_load15], [0.1, 0.2, 0.3])
    assert.strictEqual(found.node_processes_pids, 87)
  })
})
