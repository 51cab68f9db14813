/**
 * Writes docs/limits.md, every bound on what a client of the server may do: part of `npm run generate`. With `--check` it
 * writes nothing, says whether the file differs, and exits with 1 where it does.
 */
import { existsSync, readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import {
  APPROVALS_KEPT_MAX,
  ORDER_MINUTES,
  ORDERS_A_DAY_MAX,
  OUTCOMES_A_DAY_MAX,
  PREVIEWS_KEPT_MINUTES,
  PREVIEWS_MAX
} from "../src/acting/Acting.ts"
import { INCIDENTS_MAX } from "../src/alerts/Backtest.ts"
import {
  ADDRESSES_MAX,
  NOTIFY_BYTES_MAX,
  RECEIVERS_MAX,
  ROUTES_MAX,
  TOLD_MAX
} from "../src/alerts/delivery/NotifyFile.ts"
import { PATTERN_ALLOWED } from "../src/alerts/Rule.ts"
import { NAME_MAX, OWNERS_MAX, RULE_FILE_BYTES_MAX, RULES_MAX, RUNBOOK_MAX } from "../src/alerts/RuleFile.ts"
import { FILES_MAX } from "../src/alerts/RuleFolder.ts"
import { GROUPS_MAX } from "../src/alerts/ServerWatch.ts"
import { KEPT_DAYS, SILENCE_DAYS_MAX, SILENCES_MAX } from "../src/alerts/silences/Silences.ts"
import { POLLS_MAX, SERVER_POLLS_MAX } from "../src/http/ingest/HandsPoll.ts"
import { IN_FLIGHT_MAX, SERVER_IN_FLIGHT_MAX } from "../src/http/ingest/RecordingIngest.ts"
import { BOUNDS } from "../src/http/server/Limits.ts"
import { RANGES_MAX, REJECTIONS_MAX } from "../src/plugins/Payload.ts"
import { LABEL_LENGTH_MAX } from "../src/plugins/Storable.ts"
import { ORDER_LIMITS } from "../src/protocol/OrderText.ts"
import { PACKED_BYTES_MAX } from "../src/protocol/Recording.ts"
import { RECORDINGS_DAYS, RECORDINGS_MAX, REQUEST_MINUTES } from "../src/recordings/Recordings.ts"

const path = join(import.meta.dirname, "..", "docs", "limits.md")

const IN_FORCE = "a problem; what the file said before stays in force"
const REFUSED = "422, or a problem of the file"

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
  ["files of rules", grouped(FILES_MAX), "a problem; those beyond are not read"],
  ["a file of rules: its size", shown(RULE_FILE_BYTES_MAX, "bytes"), IN_FORCE],
  [
    "a rule: its name, each of its owners, how many of those, its runbook, in characters",
    `${NAME_MAX}, ${NAME_MAX}, ${OWNERS_MAX}, ${grouped(RUNBOOK_MAX)}`,
    REFUSED
  ],
  ["group and server of a rule, and what silences and routes match", PATTERN_ALLOWED, REFUSED],
  ["groups of a server that a rule is pending or fires for at a time", grouped(GROUPS_MAX), "others are left out"],
  ["incidents of a rule that a back-test lists", grouped(INCIDENTS_MAX), "counted"],
  ["silences that are not over", grouped(SILENCES_MAX), "409"],
  [
    "recordings of a server",
    `${RECORDINGS_MAX}, for ${RECORDINGS_DAYS} d`,
    "the oldest that somebody asked for is dropped first"
  ],
  ["a recording as it is sent", shown(PACKED_BYTES_MAX, "bytes"), "413"],
  ["recordings that are on their way, of a server", `${IN_FLIGHT_MAX}, ${SERVER_IN_FLIGHT_MAX}`, "503"],
  ["how long a request for a recording waits", `${REQUEST_MINUTES} min`, "it expires"],
  ["a poll of `nodepulse hands`", shown(ORDER_LIMITS.pollBytes, "bytes"), "413"],
  ["polls of `nodepulse hands` that are under way, of a server", `${grouped(POLLS_MAX)}, ${SERVER_POLLS_MAX}`, "503"],
  [
    `previews that are asked of a server, and by one person, in ${PREVIEWS_KEPT_MINUTES} min: they are kept as long`,
    grouped(PREVIEWS_MAX),
    "409"
  ],
  ["orders for a server, and by one person, a day", grouped(ORDERS_A_DAY_MAX), "409"],
  [
    "how long an order waits for its approvals, and how many it takes",
    `${ORDER_MINUTES} min, ${APPROVALS_KEPT_MAX}`,
    "it expires; 409"
  ],
  ["outcomes of orders that a server tells, a day", grouped(OUTCOMES_A_DAY_MAX), "the others wait on the host"],
  [
    "how long a silence may last, and how long it is listed when it is over",
    `${SILENCE_DAYS_MAX} d, ${KEPT_DAYS} d`,
    "400"
  ],
  ["`notify.yml`: its size", shown(NOTIFY_BYTES_MAX, "bytes"), IN_FORCE],
  [
    "`notify.yml`: receivers, routes, receivers of a route, addresses of a mail",
    `${RECEIVERS_MAX}, ${ROUTES_MAX}, ${TOLD_MAX}, ${ADDRESSES_MAX}`,
    IN_FORCE
  ],
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

function shown(most: number, unit: "bytes" | "seconds" | "number"): string {
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
