/**
 * What `nodepulse.yml` may hold, read into typed values. Pure: files, tokens and defaults are `AgentConfig.ts`, how it is read and
 * what is bounded `src/YamlDocument.ts`. A token or a password never appears in a problem.
 */
import { Duration, type Result, Schema } from "effect"
import { closest, type Place, readYaml, valueText } from "../../src/YamlDocument.ts"
import { BytesBetween, CountBetween, DurationBetween, FilePath, HttpUrl, Switch } from "../../src/YamlValue.ts"
import { SCRAPE_LIMITS_RANGE } from "../scrape/ScrapeLimits.ts"
import {
  CpuBudget,
  EndpointUrl,
  HeaderToken,
  ListenAddress,
  MachineName,
  MemoryBudget,
  ProxyText
} from "./ConfigValue.ts"
import { namesProblems } from "./ProcessNamesSetting.ts"

const SECOND = 1000
const HOUR = 3600 * SECOND
const MEBI = 1024 * 1024

const ServerSection = Schema.Struct({
  url: HttpUrl,
  token: Schema.optionalKey(HeaderToken),
  token_file: Schema.optionalKey(FilePath),
  ca_file: Schema.optionalKey(FilePath),
  cert_file: Schema.optionalKey(FilePath),
  key_file: Schema.optionalKey(FilePath),
  proxy: Schema.optionalKey(ProxyText),
  timeout: Schema.optionalKey(DurationBetween(SECOND, 120 * SECOND))
})

const BufferSection = Schema.Struct({
  path: Schema.optionalKey(FilePath),
  max_bytes: Schema.optionalKey(BytesBetween(MEBI, 1024 * 1024 * MEBI)),
  max_age: Schema.optionalKey(DurationBetween(60 * SECOND, 30 * 24 * HOUR))
})

const LabelsSection = Schema.Struct({ server_name: Schema.optionalKey(MachineName) })

const MetricsSection = Schema.Struct({ listen: Schema.optionalKey(ListenAddress) })

const BudgetSection = Schema.Struct({
  cpu: Schema.optionalKey(CpuBudget),
  memory: Schema.optionalKey(MemoryBudget)
})

const AccountingSection = Schema.Struct({ file: FilePath })
const RecorderSection = Schema.Struct({ enabled: Schema.optionalKey(Switch) })

const ExporterSection = Schema.Struct({
  name: Schema.String,
  enabled: Schema.optionalKey(Switch),
  endpoint: Schema.optionalKey(EndpointUrl),
  ca_file: Schema.optionalKey(FilePath),
  cert_file: Schema.optionalKey(FilePath),
  key_file: Schema.optionalKey(FilePath),
  interval: Schema.optionalKey(DurationBetween(SECOND, HOUR)),
  timeout: Schema.optionalKey(DurationBetween(100, HOUR)),
  body_limit: Schema.optionalKey(BytesBetween(...SCRAPE_LIMITS_RANGE.body)),
  series_limit: Schema.optionalKey(CountBetween(...SCRAPE_LIMITS_RANGE.series)),
  line_limit: Schema.optionalKey(BytesBetween(...SCRAPE_LIMITS_RANGE.line)),
  label_limit: Schema.optionalKey(BytesBetween(...SCRAPE_LIMITS_RANGE.label)),
  collector: Schema.optionalKey(Schema.Literals(["auto", "always", "never"]))
})

const ConfigSchema = Schema.Struct({
  server: Schema.optionalKey(ServerSection),
  buffer: Schema.optionalKey(BufferSection),
  labels: Schema.optionalKey(LabelsSection),
  metrics: Schema.optionalKey(MetricsSection),
  accounting: Schema.optionalKey(AccountingSection),
  budget: Schema.optionalKey(BudgetSection),
  recorder: Schema.optionalKey(RecorderSection),
  exporters: Schema.optionalKey(Schema.Array(ExporterSection)),
  /** Looked at by `ProcessNamesSetting.ts`, which says what is wrong with an entry. */
  process_names: Schema.optionalKey(Schema.Unknown),
  process_names_file: Schema.optionalKey(FilePath)
})

/** Durations in milliseconds, sizes in bytes. */
export type ConfigDocument = typeof ConfigSchema.Type

const KNOWN_KEYS: ReadonlyArray<readonly [path: RegExp, keys: ReadonlyArray<string>]> = [
  [/^$/, Object.keys(ConfigSchema.fields)],
  [/^server$/, Object.keys(ServerSection.fields)],
  [/^buffer$/, Object.keys(BufferSection.fields)],
  [/^labels$/, Object.keys(LabelsSection.fields)],
  [/^metrics$/, Object.keys(MetricsSection.fields)],
  [/^budget$/, Object.keys(BudgetSection.fields)],
  [/^accounting$/, Object.keys(AccountingSection.fields)],
  [/^recorder$/, Object.keys(RecorderSection.fields)],
  [/^exporters\[\d+\]$/, Object.keys(ExporterSection.fields)]
]

/** Some hundred times what a file with every setting has. */
export const TEXT_BYTES_MAX = 64 * 1024

const decode = Schema.decodeUnknownResult(ConfigSchema, { errors: "all", onExcessProperty: "error" })

/** Reads the text. A failure is the list of problems, one sentence each. */
export const readConfigDocument = (
  text: string,
  exporterNames: ReadonlyArray<string>
): Result.Result<ConfigDocument, ReadonlyArray<string>> =>
  readYaml(text, {
    decode,
    keys: KNOWN_KEYS,
    contradictions: (config, place) => contradictions(config, exporterNames, place),
    hidden,
    written: "process_names",
    bounds: { bytes: TEXT_BYTES_MAX, keys: 1_000, parts: 20_000 }
  })

/** A token or a password is never shown. */
const hidden = (key: string, value: unknown): string | undefined => {
  if (key === "token" || key === "proxy") return "not shown"
  if ((key === "url" || key === "endpoint") && String(value).includes("@")) return "not shown, as it holds a password"
  return undefined
}

/** What the schema cannot say: rules between fields. */
const contradictions = (
  config: ConfigDocument,
  exporterNames: ReadonlyArray<string>,
  place: Place
): ReadonlyArray<string> => {
  const problems: Array<string> = []
  const { server } = config
  if (server !== undefined && (server.token === undefined) === (server.token_file === undefined)) {
    const both = server.token !== undefined
    problems.push(
      both
        ? "server.token and server.token_file are both set, but only one may be"
        : "server.token_file is missing: the file with the token that the server gave for this machine (or server.token)"
    )
  }
  problems.push(...halfCertificate("server", server ?? {}))
  if (config.process_names !== undefined) {
    problems.push(...namesProblems(config.process_names, place))
    if (config.process_names_file !== undefined) {
      problems.push("process_names and process_names_file are both set, but only one may be")
    }
  }
  const seen = new Set<string>()
  for (const [index, exporter] of (config.exporters ?? []).entries()) {
    const path = place(["exporters", index, "name"])
    if (!exporterNames.includes(exporter.name)) {
      const meant = closest(exporter.name, exporterNames)
      const hint = meant === undefined ? "" : `, did you mean "${meant}"?`
      problems.push(
        `${path} is ${valueText(exporter.name)}, which is no known exporter${hint} (known: ${exporterNames.join(", ")})`
      )
    }
    if (seen.has(exporter.name)) problems.push(`${path}: "${exporter.name}" is listed twice`)
    seen.add(exporter.name)
    problems.push(...halfCertificate(`exporters[${index}]`, exporter))
    const { interval, timeout } = exporter
    if (interval !== undefined && timeout !== undefined && timeout >= interval) {
      const millis = (value: number) => Duration.format(Duration.millis(value))
      problems.push(
        `${place(["exporters", index, "timeout"])} is ${millis(timeout)}, but must be less than the interval (${millis(interval)})`
      )
    }
  }
  return problems
}

const halfCertificate = (
  section: string,
  { cert_file, key_file }: { readonly cert_file?: string; readonly key_file?: string }
): ReadonlyArray<string> => {
  if ((cert_file === undefined) === (key_file === undefined)) return []
  const [given, missing] = cert_file === undefined ? ["key_file", "cert_file"] : ["cert_file", "key_file"]
  return [`${section}.${missing} is missing: ${section}.${given} is set, and one is of no use without the other`]
}
