/**
 * Writes docs/limits.md, every bound on what a client of the server may do: part of `npm run generate`. With `--check` it
 * writes nothing, says whether the file differs, and exits with 1 where it does.
 */
import { existsSync, readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { RULES_MAX } from "../src/alerts/RuleFile.ts"
import { SILENCES_MAX } from "../src/alerts/silences/Silences.ts"
import { BOUNDS } from "../src/http/server/Limits.ts"
import { RANGES_MAX, REJECTIONS_MAX } from "../src/plugins/Payload.ts"
import { LABEL_LENGTH_MAX } from "../src/plugins/Storable.ts"

const path = join(import.meta.dirname, "..", "docs", "limits.md")

/** Bounds that are part of what is stored or of the protocol: no setting changes them. */
const FIXED: ReadonlyArray<readonly [of: string, most: string, beyond: string]> = [
  ["the length of a label, in UTF-16 units", grouped(LABEL_LENGTH_MAX), "the row is rejected: `invalid`"],
  [
    "rejected rows that an answer tells one by one, and ranges of further ones",
    `${REJECTIONS_MAX}, ${RANGES_MAX}`,
    "counted by code"
  ],
  [
    "rules for alerts, of all layers together",
    grouped(RULES_MAX),
    "409; of files and defaults, those beyond are left out"
  ],
  ["silences that are not over", grouped(SILENCES_MAX), "409"],
  ["a request's headers", "16 KiB", "431, closed"]
]

/** The whole document. Pure. */
const limitsDocument = (): string =>
  [
    "# Limits",
    "",
    "What a client of the server may do, and what it is told beyond. Made by `npm run generate` from `src/http/server/Limits.ts`.",
    "A setting is an environment variable of the server, in bytes, seconds or as a number. What the agent takes of an exporter",
    "is bounded in its file: [deployment.md](deployment.md).",
    "",
    "| what | default | beyond it | setting |",
    "|---|---|---|---|",
    ...Object.values(BOUNDS).map(
      ({ beyond, most, of, unit, variable }) => `| ${of} | ${shown(most, unit)} | ${beyond} | \`${variable}\` |`
    ),
    ...FIXED.map(([of, most, beyond]) => `| ${of} | ${most} | ${beyond} | |`),
    ""
  ].join("\n")

const shown = (most: number, unit: "bytes" | "seconds" | "number"): string => {
  if (unit === "seconds") return `${most} s`
  if (unit === "number") return grouped(most)
  return most >= 1024 * 1024 ? `${most / 1024 / 1024} MiB` : `${most / 1024} KiB`
}

/** A number with a blank between its thousands. */
function grouped(value: number): string {
  return value.toLocaleString("en").replaceAll(",", " ")
}

if (import.meta.main) {
  const text = limitsDocument()
  if (!existsSync(path) || readFileSync(path, "utf8") !== text) {
    if (process.argv.includes("--check")) {
      process.stdout.write("docs/limits.md differs: npm run generate\n")
      process.exitCode = 1
    } else {
      writeFileSync(path, text)
      process.stdout.write("docs/limits.md\n")
    }
  }
}
