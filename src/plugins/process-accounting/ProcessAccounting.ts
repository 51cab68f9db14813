/**
 * Short-lived processes, as the agent's own collector tells them from the kernel's process accounting: how often each
 * command ran between two looks at the processes, from where, and the CPU time it used (docs/short-lived.md).
 *
 * A process that an exporter of processes saw is not among them, so their CPU times add up. A pair of command and parent that
 * lacks one of its two numbers is left out with a note; one that is there twice counts once. A scrape without any sample of its
 * own is a `ParseError`.
 */
import { Result } from "effect"
import { counter, label } from "../Column.ts"
import { defineExporter, ParseError, type Skipped } from "../Exporter.ts"
import { beginning, distinctSeries } from "../Series.ts"
import { rate } from "../TopQuery.ts"

const RUNS = "nodepulse_short_lived_runs_total"
const CPU = "nodepulse_short_lived_cpu_seconds_total"
/** Always there, also where nothing was short-lived. */
const RECORDS = "nodepulse_accounting_records_total"
const STARTED = "process_start_time_seconds"

export const processAccounting = defineExporter({
  name: "process_accounting",
  title: "Short-lived processes",
  scrape: {
    // Nothing but the built-in collector serves this today.
    endpoint: "http://127.0.0.1:9258/metrics",
    interval: "15 seconds",
    timeout: "5 seconds",
    families: [RUNS, CPU, RECORDS, STARTED],
    collector: "accounting",
    optIn: true
  },
  table: {
    name: "accounting_snapshots",
    retention: "7 days",
    beginsAtZero: true,
    columns: {
      command: label({ doc: "Command name of the process, at most 15 characters." }),
      parent: label({ doc: "Process group, or command, that started it." }),
      runs_total: counter({ type: "bigint", doc: "Processes that ended and that no scrape of the processes saw." }),
      cpu_seconds_total: counter({ unit: "seconds", doc: "CPU time that they used." })
    }
  },
  parse: (samples, scrapedAt) => {
    const { byName, skipped } = distinctSeries(samples)
    if (![RUNS, CPU, RECORDS].some((name) => byName.has(name))) {
      const reason = "unsupported exporter: no metric of short-lived processes"
      return Result.fail(new ParseError({ exporter: "process_accounting", reason }))
    }
    const pairs = new Map<string, Pair>()
    const notes: Array<Skipped> = [...skipped]
    for (const [name, part] of [
      [RUNS, "runs"],
      [CPU, "cpu"]
    ] as const) {
      for (const { labels, value } of byName.get(name) ?? []) {
        const { command, parent } = labels
        if (command === undefined || parent === undefined) {
          notes.push({ reason: `${name} without the label ${command === undefined ? "command" : "parent"}` })
          continue
        }
        // A length, since both may hold any character.
        const key = `${command.length}:${command}${parent}`
        const pair = pairs.get(key) ?? { command, parent, runs: 0, cpu: 0, parts: 0 }
        pairs.set(key, { ...pair, [part]: pair[part] + value, parts: pair.parts | PARTS[part] })
      }
    }
    const rows = []
    for (const { command, cpu, parent, parts, runs } of pairs.values()) {
      if (parts === PARTS.runs + PARTS.cpu) rows.push({ command, parent, runs_total: runs, cpu_seconds_total: cpu })
      else notes.push({ reason: `${quote(command)} of ${quote(parent)} has no ${parts === PARTS.runs ? CPU : RUNS}` })
    }
    return Result.succeed({ rows, skipped: notes, countersSince: beginning(byName.get(STARTED), scrapedAt) })
  },
  top: {
    resource: "short_lived",
    per: "command",
    // No share of the host's CPU: they are a part of it only, and what is not theirs is not unaccounted for.
    rankings: { cpu: rate("cpu_seconds_total"), runs: rate("runs_total") },
    default: "cpu"
  },
  shortLived: { cpu: "cpu_seconds_total", runs: "runs_total" }
})

interface Pair {
  readonly command: string
  readonly parent: string
  readonly runs: number
  readonly cpu: number
  readonly parts: number
}

const PARTS = { runs: 1, cpu: 2 } as const

const quote = (text: string) => JSON.stringify(text.slice(0, 60))
