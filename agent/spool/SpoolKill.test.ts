import { spawn } from "node:child_process"
import { existsSync } from "node:fs"
import { mkdtemp, rm } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { seededRandom } from "../../test/Seeded.ts"
import { unpackRows } from "./PackedRows.ts"
import { Spool } from "./Spool.ts"
import { layerDisk } from "./SpoolDisk.ts"

const kills = Number(process.env.NODEPULSE_KILLS ?? 20)
const seed = Number(process.env.NODEPULSE_SEED ?? Math.floor(Math.random() * 2 ** 31))

/** Runs the writer, kills it with SIGKILL once it has printed `bytes`, and resolves to what it printed. */
const writeAndKill = (path: string, first: number, bytes: number): Promise<string> =>
  new Promise((resolve, reject) => {
    const writer = spawn(process.execPath, [join(import.meta.dirname, "SpoolWriter.fixture.ts"), path, `${first}`], {
      stdio: ["ignore", "pipe", "inherit"],
      timeout: 30_000
    })
    let printed = ""
    writer.stdout.setEncoding("utf8").on("data", (text: string) => {
      printed += text
      if (printed.length >= bytes) writer.kill("SIGKILL")
    })
    writer.on("error", reject)
    writer.on("close", (code, signal) =>
      signal === "SIGKILL" ? resolve(printed) : reject(new Error(`the writer ended by itself with ${code}`))
    )
  })

describe("the spool on disk, its process killed", () => {
  it.effect(
    `has every record whose append resolved, after each of ${kills} kills (seed ${seed})`,
    () =>
      Effect.gen(function* () {
        const random = seededRandom(seed)
        const folder = yield* Effect.acquireRelease(
          Effect.promise(() => mkdtemp(join(tmpdir(), "nodepulse-kill-"))),
          (made) => Effect.promise(() => rm(made, { recursive: true, force: true }))
        )
        const path = join(folder, "spool")
        const appended = new Set<number>()
        const removed = new Set<number>()
        let first = 0
        for (let kill = 0; kill < kills; kill++) {
          const from = first
          const printed = yield* Effect.promise(() => writeAndKill(path, from, 8 + Math.floor(random() * 4000)))
          // The last line may be cut off.
          for (const line of printed.slice(0, printed.lastIndexOf("\n") + 1).split("\n")) {
            if (line === "") continue
            const number = Number(line.slice(1))
            ;(line.startsWith("+") ? appended : removed).add(number)
            first = Math.max(first, number)
          }
          // What was being appended when it was killed may be there as well: the next writer's numbers begin above.
          first += 100
          assert.isTrue(existsSync(join(path, "lock")), "the killed writer leaves its lock")
          const { found, stats } = yield* Effect.gen(function* () {
            const spool = yield* Spool
            const records = yield* spool.peek({ order: "oldest", maxBytes: Number.MAX_SAFE_INTEGER })
            return { found: records, stats: yield* spool.stats }
          }).pipe(Effect.provide(layerDisk({ path, maxBytes: 64 * 1024 * 1024, maxAge: "99999 days" })))
          const there = new Set(found.map(({ scrapedAt }) => scrapedAt))
          // A removal may have resolved without being told any more: the writer removes the second of every third pair.
          const last = /\+(\d+)\n$/.exec(printed.slice(0, printed.lastIndexOf("\n") + 1))?.[1]
          if (last !== undefined && (Number(last) - 1) % 3 === 0 && !there.has(Number(last))) removed.add(Number(last))
          const where = `seed ${seed}, kill ${kill}`
          assert.deepStrictEqual(
            [...appended].filter((number) => !there.has(number) && !removed.has(number)),
            [],
            `${where}: lost`
          )
          assert.deepStrictEqual(
            [...removed].filter((number) => there.has(number)),
            [],
            `${where}: sent again`
          )
          assert.strictEqual(there.size, found.length, `${where}: twice`)
          for (const { rows, scrapedAt } of found)
            assert.strictEqual(unpackRows(rows), JSON.stringify([{ number: scrapedAt }]))
          assert.isTrue(
            found.every(({ id }, at) => at === 0 || id > found[at - 1]!.id),
            `${where}: order`
          )
          // At most the one append that was cut short.
          assert.isAtMost(stats.damaged, 1, where)
          assert.strictEqual(stats.dropped, 0, where)
          assert.isTrue(stats.durable, where)
        }
        assert.isAbove(appended.size, kills)
        assert.isAbove(removed.size, 0)
      }).pipe(Effect.scoped),
    { timeout: 120_000 + kills * 5_000 }
  )
})
