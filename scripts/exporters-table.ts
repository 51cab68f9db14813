/**
 * Writes docs/exporters.md, what each exporter of plugins.config.ts is scraped for, stores and ranks by: part of
 * `npm run generate`. With `--check` it writes nothing, says whether the file differs, and exits with 1 where it does.
 */
import { existsSync, readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { Duration } from "effect"
import config from "../plugins.config.ts"
import { rankingsOf } from "../src/plugins/Catalog.ts"
import type { Exporter } from "../src/plugins/Exporter.ts"

const path = join(import.meta.dirname, "..", "docs", "exporters.md")

/** The whole document. Pure. */
const exportersDocument = (exporters: ReadonlyArray<Exporter>): string =>
  [
    "# Exporters",
    "",
    "What the enabled exporters of `plugins.config.ts` store. Made by `npm run generate`: change the declarations instead.",
    ...exporters.flatMap(section),
    ""
  ].join("\n")

const section = (exporter: Exporter): ReadonlyArray<string> => {
  const { name, resource, scrape, table, title } = exporter
  return [
    "",
    `## ${name}`,
    "",
    `${title}. Scraped at \`${scrape.endpoint}\` every ${Duration.format(scrape.interval)}, kept for`,
    `${Duration.format(table.retention)}, read at \`/api/servers/{id}/${resource}\`${rankings(exporter)}.`,
    "",
    "| column | kind | unit | |",
    "|---|---|---|---|",
    ...Object.entries(table.columns).map(([column, declared]) => {
      const unit = declared.kind === "label" ? "" : (declared.unit ?? "")
      return `| \`${column}\` | ${declared.kind} | ${unit} | ${declared.doc.replaceAll("|", "\\|")} |`
    })
  ]
}

const rankings = (exporter: Exporter): string => {
  const names = rankingsOf(exporter).map(({ key }) => key)
  return names.length === 0 ? "" : `, ranked by ${names.map((name) => `\`${name}\``).join(", ")}`
}

if (import.meta.main) {
  const text = exportersDocument(config.exporters)
  if (!existsSync(path) || readFileSync(path, "utf8") !== text) {
    if (process.argv.includes("--check")) {
      process.stdout.write("docs/exporters.md differs: npm run generate\n")
      process.exitCode = 1
    } else {
      writeFileSync(path, text)
      process.stdout.write("docs/exporters.md\n")
    }
  }
}
