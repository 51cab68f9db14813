/**
 * The enabled exporters: the only list of plugins. Agent and server are built from it. Options (endpoint, interval,
 * timeout, retention, staleAfter) go into the parentheses: `processExporter({ interval: "10 seconds" })`.
 */
import { cgroups } from "./src/plugins/cgroups/Cgroups.ts"
import { nodeExporter } from "./src/plugins/node-exporter/NodeExporter.ts"
import { processAccounting } from "./src/plugins/process-accounting/ProcessAccounting.ts"
import { processExporter } from "./src/plugins/process-exporter/ProcessExporter.ts"
import { defineConfig } from "./src/plugins/Registry.ts"

export default defineConfig({ exporters: [nodeExporter(), processExporter(), processAccounting(), cgroups()] })
