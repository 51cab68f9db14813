import { Effect, Layer } from "effect"
import { Registry } from "../../plugins/Registry.ts"
import { layerMemory, StoredRows } from "./SnapshotRowsMemory.ts"
import { suite, suiteExporters, suiteServers } from "./SnapshotRowsSuite.ts"

suite(
  "in memory",
  layerMemory(new Set(suiteServers)).pipe(Layer.provide(Registry.layer({ exporters: suiteExporters }))),
  (exporter) => Effect.map(StoredRows, (stored) => stored.all(exporter))
)
