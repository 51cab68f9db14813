/** Entries of the stream, which anyone who can reach Valkey may have written. */
import { Result } from "effect"
import config from "../../plugins.config.ts"
import { makeSnapshotCodec } from "../../src/plugins/SnapshotCodec.ts"
import { delivery } from "../../src/sinks/ValkeySubscription.ts"
import { isSame, must, NOW, shaped, type Target, wires } from "./Target.ts"

const codec = makeSnapshotCodec(wires)

export const streamTarget: Target = {
  name: "stream-entry",
  input: (chance) =>
    shaped(chance, () => {
      const exporter = chance.oneOf(config.exporters)
      const values = Object.values(exporter.table.columns).map((column) =>
        column.kind === "label"
          ? chance.oneOf(["nginx", "", 'quote " \\ é', "\u2028"])
          : column.nullable && chance.next() < 0.3
            ? null
            : chance.oneOf([0, 1, 4096, column.type === "double" ? 0.1 : 7])
      )
      const since = chance.oneOf([null, (NOW - 5) * 1_000])
      const snapshot = { exporter: exporter.name, serverId: "s", timestamp: NOW * 1_000, countersSince: since, values }
      return Buffer.from(`${exporter.name}\n${codec.encode(snapshot)}`)
    }),
  check: (input, chance) => {
    const text = input.toString()
    const line = text.indexOf("\n")
    const [exporterName, snapshot] = line < 0 ? ["", text] : [text.slice(0, line), text.slice(line + 1)]
    const fields = ["server_id", "web-1", "exporter_name", exporterName, "snapshot", snapshot]
    if (chance.next() < 0.1) fields.splice(chance.between(0, 6), chance.between(0, 3), text.slice(0, 20))
    const decoded = codec.decode(delivery("1-1", 1, fields))
    if (Result.isFailure(decoded)) {
      must(decoded.failure !== "" && decoded.failure.length < 2_000, "a reason is short")
      return "refused"
    }
    const { exporter, values } = decoded.success
    must(wires.get(exporter)!.misfit(values) === undefined, "what is decoded can be stored")
    const again = codec.decode({ serverId: "web-1", exporterName: exporter, snapshot: codec.encode(decoded.success) })
    must(
      Result.isSuccess(again) && isSame(again.success, { ...decoded.success, serverId: "web-1" } as never),
      "it means one thing"
    )
    return "taken"
  }
}
