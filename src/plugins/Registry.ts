import type { Exporter } from "./Exporter.ts"

export interface Config {
  readonly exporters: ReadonlyArray<Exporter>
}

export const defineConfig = (config: Config): Config => config
