/**
 * Writes what Ansible has to know of the exporters (names, ports, intervals, roles) from the declarations in
 * plugins.config.ts into ansible/: `npm run ansible:vars`, part of `npm run generate`. With `--check` it writes nothing, names
 * what differs, and exits 1.
 *
 * An exporter without a role is not listed: whether a machine runs it is not Ansible's to say. The agent scrapes it at its
 * usual address where something listens there, and its doctor does not fail where nothing does.
 */
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs"
import { dirname, join } from "node:path"
import { Duration } from "effect"
import config from "../plugins.config.ts"
import type { Exporter } from "../src/plugins/Exporter.ts"

const ansible = join(import.meta.dirname, "..", "ansible")

/** Path below ansible/ -> text. */
const ansibleFiles = (exporters: ReadonlyArray<Exporter>): ReadonlyMap<string, string> => {
  const files = new Map<string, string>()
  const withRole = exporters.filter(({ name }) => existsSync(join(ansible, "roles", roleOf(name))))
  files.set(
    "vars/exporters.yml",
    yaml("nodepulse_exporter_roles:", ...withRole.map(({ name }) => `  - ${roleOf(name)}`))
  )
  files.set(
    "roles/nodepulse-agent/defaults/main/exporters.yml",
    yaml(
      "nodepulse_agent_exporters:",
      ...withRole.flatMap(({ name, scrape }) => [
        `  - name: ${name}`,
        "    enabled: true",
        `    endpoint: ${endpointOf(scrape.endpoint, name)}`,
        `    interval: ${Duration.toMillis(scrape.interval) / 1000}s`
      ])
    )
  )
  for (const { name, scrape } of withRole) {
    const address = new URL(scrape.endpoint).host
    files.set(`roles/${roleOf(name)}/defaults/main/listen.yml`, yaml(`${name}_listen_address: ${address}`))
  }
  return files
}

/** Wherever the inventory lets the exporter listen. */
const endpointOf = (endpoint: string, exporter: string): string => {
  const { host, pathname } = new URL(endpoint)
  return `"http://{{ ${exporter}_listen_address | default('${host}') }}${pathname}"`
}

const roleOf = (exporter: string): string => exporter.replaceAll("_", "-")

const yaml = (...lines: ReadonlyArray<string>): string =>
  ["---", "# Made by `npm run generate` from plugins.config.ts: change it there.", ...lines, ""].join("\n")

/** The files that differ from what the declarations say. */
const drifted = (files: ReadonlyMap<string, string>): ReadonlyArray<string> =>
  [...files].flatMap(([path, text]) => {
    const file = join(ansible, path)
    return existsSync(file) && readFileSync(file, "utf8") === text ? [] : [path]
  })

if (import.meta.main) {
  const files = ansibleFiles(config.exporters)
  const different = drifted(files)
  for (const path of different) {
    process.stdout.write(`ansible/${path}${process.argv.includes("--check") ? " differs: npm run generate" : ""}\n`)
    if (process.argv.includes("--check")) continue
    mkdirSync(dirname(join(ansible, path)), { recursive: true })
    writeFileSync(join(ansible, path), files.get(path)!)
  }
  if (process.argv.includes("--check") && different.length > 0) process.exitCode = 1
}
