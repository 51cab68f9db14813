import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { dirname, join } from "node:path"
import { assert, describe, it } from "@effect/vitest"
import { Clock, Effect, Result } from "effect"
import { parseExposition } from "../../src/plugins/Exposition.ts"
import { nodeExporter } from "../../src/plugins/node-exporter/NodeExporter.ts"
import { openNodeCollector } from "./CollectorNode.ts"
import { ProcFiles } from "./ProcFiles.ts"

/** A folder with these files; a text that begins with `->` is a link. */
const folder = (files: Readonly<Record<string, string>>) =>
  Effect.acquireRelease(
    Effect.sync(() => {
      const root = mkdtempSync(join(tmpdir(), "nodepulse-sys-"))
      for (const [path, text] of Object.entries(files)) {
        mkdirSync(dirname(join(root, path)), { recursive: true })
        if (text.startsWith("->")) symlinkSync(text.slice(2), join(root, path))
        else writeFileSync(join(root, path), text)
      }
      return root
    }),
    (root) => Effect.sync(() => rmSync(root, { recursive: true, force: true }))
  )

const netDev = (names: ReadonlyArray<string>) =>
  `Inter-|   Receive\n face |bytes\n${names.map((name, index) => `${name}: ${10 ** index} 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0`).join("\n")}\n`
const diskstats = (names: ReadonlyArray<string>) =>
  names.map((name, index) => ` 8 0 ${name} ${10 ** index} 0 0 0 0 0 0 0 0 0 0`).join("\n")

/** What the plugin makes of what the collector reads from such a machine. */
const rowOf = (
  interfaces: ReadonlyArray<string>,
  disks: ReadonlyArray<string>,
  sysFiles: Readonly<Record<string, string>>
) =>
  Effect.gen(function* () {
    const proc = yield* folder({
      stat: "cpu0 1 2 3 4 5 6 7 8 0 0\nbtime 1700000000\n",
      "self/net/dev": netDev(interfaces),
      diskstats: diskstats(disks)
    })
    const sys = yield* folder(sysFiles)
    const collector = yield* openNodeCollector(new ProcFiles(proc), yield* Clock.Clock, new ProcFiles(sys))
    const { text } = yield* collector.collect
    const { samples, skipped } = Result.getOrThrow(parseExposition(text))
    assert.deepStrictEqual(skipped, [])
    const row = Result.getOrThrow(nodeExporter().parse(samples, new Date(0))).rows[0]!
    return { received: row.network_receive_bytes_total, reads: row.disk_reads_completed_total }
  })

const card = (name: string, flags: number, address: string) => ({
  [`class/net/${name}/device`]: `->../../devices/pci/bus-of-${name}`,
  [`class/net/${name}/flags`]: `0x${flags.toString(16)}\n`,
  [`class/net/${name}/address`]: `${address}\n`
})
const software = (name: string, flags = 0x1003) => ({ [`class/net/${name}/flags`]: `0x${flags.toString(16)}\n` })

describe("the built-in collector's devices", () => {
  it.effect("count where there is hardware below, whatever they are called", () =>
    Effect.gen(function* () {
      const names = ["docker-lan", "eth9", "uplink", "cilium_host", "wwan0"]
      const { received } = yield* rowOf(names, [], {
        ...card("docker-lan", 0x1003, "aa:00:00:00:00:01"),
        ...software("eth9"),
        ...software("uplink", 0x1403),
        ...software("cilium_host"),
        ...card("wwan0", 0x10d1, "")
      })
      assert.strictEqual(received, 10_001)
    })
  )

  it.effect("count once where one card is the slave of another, and where they are slaves of a bond", () =>
    Effect.gen(function* () {
      const hyperV = yield* rowOf(["eth0", "enP1s1"], [], {
        ...card("eth0", 0x1003, "00:0d:3a:00:00:01"),
        ...card("enP1s1", 0x1803, "00:0d:3a:00:00:01")
      })
      assert.strictEqual(hyperV.received, 1)
      const bond = yield* rowOf(["eno1", "eno2", "lan"], [], {
        ...card("eno1", 0x1803, "00:0d:3a:00:00:01"),
        ...card("eno2", 0x1803, "00:0d:3a:00:00:01"),
        ...software("lan", 0x1443)
      })
      assert.strictEqual(bond.received, 11)
    })
  )

  it.effect("of a container are its uplink, for want of a card", () =>
    Effect.gen(function* () {
      const { received } = yield* rowOf(["lo", "eth0", "docker0", "veth12"], [], {
        ...software("lo", 0x9),
        ...software("eth0"),
        ...software("docker0"),
        ...software("veth12")
      })
      assert.strictEqual(received, 10)
    })
  )

  it.effect("are disks where there is hardware below, and neither volumes nor partitions", () =>
    Effect.gen(function* () {
      const names = ["sda", "sda1", "dm-0", "cciss/c0d0", "cciss/c0d0p1", "emcpowera", "xvda1"]
      const { reads } = yield* rowOf([], names, {
        "block/sda/device": "->../../2:0:0:0",
        "block/sda/dev": "8:0\n",
        "block/dm-0/dm/name": "vg-root\n",
        "block/cciss!c0d0/device": "->../../c0d0",
        "block/emcpowera/dev": "120:0\n",
        "block/xvda1/device": "->../../vbd-51713",
        "block/xvda1/dev": "202:1\n"
      })
      assert.strictEqual(reads, 1_001_001)
    })
  )

  it.effect("are judged by their names where there is no sysfs", () =>
    Effect.gen(function* () {
      const found = yield* rowOf(["eth0", "docker0"], ["sda", "sda1"], { unrelated: "" })
      assert.deepStrictEqual(found, { received: 1, reads: 1 })
    })
  )
})
