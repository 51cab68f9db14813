/**
 * A process that appends to and removes from the spool in the folder it is given until it is killed, and says on
 * standard output what has resolved: `+n` appended record number n, `-n` removed it. Numbers begin at the second argument.
 */
import { writeSync } from "node:fs"
import { Effect } from "effect"
import { packRows } from "./PackedRows.ts"
import { Spool } from "./Spool.ts"
import { layerDisk } from "./SpoolDisk.ts"

const [path = "", first = "0"] = process.argv.slice(2)

const forever = Effect.gen(function* () {
  const spool = yield* Spool
  for (let n = Number(first); ; n += 2) {
    yield* spool.append(
      [n, n + 1].map((number) => ({ exporter: "e", scrapedAt: number, rows: packRows([JSON.stringify({ number })]) }))
    )
    writeSync(1, `+${n}\n+${n + 1}\n`)
    // Holes in the middle: the newest goes now and then, as a pusher that sends the newest first would have it.
    if (n % 3 === 0) {
      const newest = yield* spool.peek({ order: "newest", maxBytes: 0 })
      yield* spool.remove(newest.map(({ id }) => id))
      for (const { scrapedAt } of newest) writeSync(1, `-${scrapedAt}\n`)
    }
  }
})

await Effect.runPromise(
  forever.pipe(Effect.provide(layerDisk({ path, maxBytes: 64 * 1024 * 1024, maxAge: "99999 days" })))
)
