import { processExporter } from "./src/plugins/process-exporter/ProcessExporter.ts"
import { defineConfig } from "./src/plugins/Registry.ts"

export default defineConfig({ exporters: [processExporter()] })
