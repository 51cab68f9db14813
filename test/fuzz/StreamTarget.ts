/** Entries of the stream, which anyone who can reach Valkey may have written. */
import { Result } from "effect"
import config from "../../plugins.config.ts"
import { makeSnapshotCodec } from "../../src/plugins/SnapshotCodec.ts"
import { snapshotAt, together } from "../../src/plugins/Snapshots.ts"
import { contentOf, rowsIn, SCRAPE_ROWS_MAX } from "../../src/sinks/stream/StreamEntry.ts"
import { isSame, must, NOW, shaped, type Target, wires } from "./Target.ts"

const codec = makeSnapshotCodec(wires)

export const streamTarget: Target = {
  name: "stream-entry",
  input: (chance) =>
    shaped(chance, () => {
      const exporter = chance.oneOf(config.exporters)
      const values = () =>
        Object.values(exporter.table.columns).map((column) =>
          column.kind === "label"
            ? chance.oneOf(["nginx", "", 'quote " \\ é', "\u2028"])
            : column.nullable && chance.next() < 0.3
              ? null
              : chance.oneOf([0, 1, 4096, column.type === "double" ? 0.1 : 7])
        )
      const since = chance.oneOf([null, (NOW - 5) * 1_000])
      const rows = Array.from({ length: chance.between(1, 3) }, () => ({
        exporter: exporter.name,
        serverId: "s",
        timestamp: NOW * 1_000,
        countersSince: chance.next() < 0.1 ? null : since,
        values: values()
      }))
      const [snapshots] = together(rows)
      return chance.next() < 0.5
        ? Buffer.from(`${exporter.name}\n${codec.encode(rows[0]!)}`)
        : Buffer.from(`${exporter.name} ${rows.length}\n${codec.encodeScrape(snapshots!)}`)
    }),
  check: (input, chance) => {
    const text = input.toString()
    const line = text.indexOf("\n")
    const [head, body] = line < 0 ? ["", text] : [text.slice(0, line), text.slice(line + 1)]
    const [exporterName = "", rows] = head.split(" ")
    const fields = ["server_id", "web-1", "exporter_name", exporterName]
    fields.push(...(rows === undefined ? ["snapshot", body] : ["rows", rows, "scrape", body]))
    if (chance.next() < 0.1) fields.splice(chance.between(0, 8), chance.between(0, 3), text.slice(0, 20))
    const content = contentOf(fields)
    const length = rowsIn(content)
    must(length >= 1 && length <= SCRAPE_ROWS_MAX, "an entry has some rows")
    const decoded = "scrape" in content ? codec.decodeScrape(content) : codec.decodeEach(content)
    if (Result.isFailure(decoded)) {
      must(decoded.failure !== "" && decoded.failure.length < 2_000, "a reason is short")
      return "refused"
    }
    must(decoded.success.length === length, "its rows are what it says")
    for (let row = 0; row < length; row++) {
      const snapshot = snapshotAt(decoded.success, row)
      must(wires.get(snapshot.exporter)!.misfit(snapshot.values) === undefined, "what is decoded can be stored")
      const again = codec.decode({
        serverId: "web-1",
        exporterName: snapshot.exporter,
        snapshot: codec.encode(snapshot)
      })
      must(
        Result.isSuccess(again) && isSame(again.success, { ...snapshot, serverId: "web-1" } as never),
        "it means one thing"
      )
    }
    return "taken"
  }
}
