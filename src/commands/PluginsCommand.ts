/** `nodepulse plugins …`: what authors of exporters reach for. */
import { existsSync } from "node:fs"
import { mkdir, writeFile } from "node:fs/promises"
import { dirname } from "node:path"
import { Clock, DateTime, Duration, Effect, Option, Result } from "effect"
import { Argument, Command } from "effect/cli"
import { rankingsOf } from "../plugins/Catalog.ts"
import { formatOfBody } from "../plugins/Exposition.ts"
import { readBody } from "../plugins/Reading.ts"
import { Registry } from "../plugins/Registry.ts"
import { scaffold } from "../plugins/Scaffold.ts"
import { makeWire } from "../plugins/Wire.ts"
import { printable } from "../protocol/PrintableText.ts"
import { CommandFailed, readScrapeInput } from "./Input.ts"
import { say, sayAside } from "./Terminal.ts"

const list = Command.make(
  "list",
  {},
  Effect.fnUntraced(function* () {
    const { exporters } = yield* Registry
    for (const exporter of exporters) {
      const rankings = rankingsOf(exporter).map(({ key }) => key)
      yield* say(
        [
          `${exporter.name}: ${exporter.title}`,
          `  scrapes    ${exporter.scrape.endpoint} every ${Duration.format(exporter.scrape.interval)}`,
          `  table      admiral.${exporter.table.name}, ${Object.keys(exporter.table.columns).length} columns, kept ${Duration.format(exporter.table.retention)}`,
          `  resource   /api/servers/{id}/${exporter.resource}${rankings.length > 0 ? `, ranked by ${rankings.join(" | ")}` : ""}`
        ].join("\n")
      )
    }
  })
).pipe(Command.withDescription("List the exporters that plugins.config.ts enables"))

const parse = Command.make(
  "parse",
  {
    exporter: Argument.String("exporter").pipe(Argument.withDescription("Its name, as `plugins list` shows it")),
    file: Argument.String("file").pipe(
      Argument.withDescription("A scrape; standard input where none is named"),
      Argument.optional
    )
  },
  Effect.fnUntraced(function* ({ exporter: name, file }) {
    const registry = yield* Registry
    const exporter = registry.get(name)
    if (exporter === undefined) {
      const known = registry.exporters.map((exporter) => exporter.name).join(", ")
      return yield* new CommandFailed({ reason: `there is no exporter "${name}"; there are ${known}` })
    }
    const body = yield* readScrapeInput(file)
    const source = Option.getOrElse(file, () => "standard input")
    const now = yield* Clock.currentTimeMillis
    const reading = readBody(exporter, body, formatOfBody(body), new Date(now))
    if (Result.isFailure(reading))
      return yield* new CommandFailed({ reason: printable(`${source}: ${name}: ${reading.failure}`) })
    const wire = makeWire(exporter)
    const { countersSince, rows, skipped } = reading.success
    const { empty } = exporter.scrape
    if (rows.length === 0 && skipped.length === 0 && empty !== undefined) {
      yield* sayAside(`${source}: ${name} ${empty.complaint}. To mend it: ${empty.remedy.join("; ")}`)
    }
    yield* say(
      JSON.stringify(
        {
          rows: rows.map((row) => wire.encodeFields(row)),
          skipped,
          counters_since: countersSince === null ? null : DateTime.formatIso(DateTime.makeUnsafe(countersSince))
        },
        null,
        2
      )
    )
  })
).pipe(
  Command.withDescription(
    "Parse a scrape as an exporter does and print its rows as they go on the wire (without the timestamp), and what was skipped and why, as JSON"
  ),
  Command.withExamples([
    {
      command: "curl -s http://127.0.0.1:9100/metrics | nodepulse plugins parse EXPORTER",
      description: "See which rows a scrape becomes"
    }
  ])
)

const create = Command.make(
  "new",
  {
    name: Argument.String("name").pipe(
      Argument.withDescription("What the exporter is called on the wire, with or without _exporter at its end")
    )
  },
  Effect.fnUntraced(function* ({ name }) {
    const registry = yield* Registry
    const made = scaffold(name)
    if (Result.isFailure(made)) return yield* new CommandFailed({ reason: made.failure.message })
    const { exporter, files, next } = made.success
    if (registry.get(exporter) !== undefined) {
      return yield* new CommandFailed({ reason: `there is an exporter "${exporter}" already` })
    }
    if (!existsSync("plugins.config.ts")) {
      return yield* new CommandFailed({
        reason: "there is no plugins.config.ts here: run it at the root of a checkout"
      })
    }
    yield* Effect.tryPromise({
      try: async () => {
        for (const { content, path } of files) {
          await mkdir(dirname(path), { recursive: true })
          await writeFile(path, content, { flag: "wx" })
        }
      },
      catch: (error) => new CommandFailed({ reason: (error as Error).message })
    })
    yield* say([...files.map(({ path }) => `made ${path}`), "", "Next:", ...next.map((step) => `- ${step}`)].join("\n"))
  })
).pipe(Command.withDescription("Make the folder of a new exporter, which passes its conformance suite as it is"))

export const pluginsCommand = Command.make("plugins").pipe(
  Command.withDescription("Look at exporters, try their parsers, begin new ones"),
  Command.withSubcommands([list, parse, create])
)
