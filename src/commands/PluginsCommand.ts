/** `nodepulse plugins …`: what authors of exporters reach for. */
import { existsSync } from "node:fs"
import { mkdir, writeFile } from "node:fs/promises"
import { dirname } from "node:path"
import { Clock, Console, DateTime, Duration, Effect, Option, Result } from "effect"
import { Argument, Command } from "effect/cli"
import { formatOf, parseExposition } from "../plugins/Exposition.ts"
import { Registry } from "../plugins/Registry.ts"
import { scaffold } from "../plugins/Scaffold.ts"
import { makeWire } from "../plugins/Wire.ts"
import { CommandFailed, readInput } from "./Input.ts"

const list = Command.make(
  "list",
  {},
  Effect.fnUntraced(function* () {
    const { exporters } = yield* Registry
    for (const exporter of exporters) {
      const rankings = Object.keys(exporter.top?.rankings ?? {})
      yield* Console.log(
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
    const body = yield* readInput(file)
    const source = Option.getOrElse(file, () => "standard input")
    const exposition = parseExposition(body, {
      format: formatOf(undefined),
      ...(exporter.scrape.families === undefined ? {} : { families: exporter.scrape.families })
    })
    if (Result.isFailure(exposition))
      return yield* new CommandFailed({ reason: `${source}: ${exposition.failure.message}` })
    const now = yield* Clock.currentTimeMillis
    const parsed = exporter.parse(exposition.success.samples, new Date(now))
    if (Result.isFailure(parsed)) return yield* new CommandFailed({ reason: `${source}: ${parsed.failure.message}` })
    const wire = makeWire(exporter)
    const { countersSince, rows, skipped } = parsed.success
    yield* Console.log(
      JSON.stringify(
        {
          rows: rows.map((row) => wire.encodeFields(row)),
          skipped: [...exposition.success.skipped, ...skipped],
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
      Argument.withDescription("What the exporter is called on the wire, such as my_exporter")
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
    yield* Console.log(
      [...files.map(({ path }) => `made ${path}`), "", "Next:", ...next.map((step) => `- ${step}`)].join("\n")
    )
  })
).pipe(Command.withDescription("Make the folder of a new exporter, which passes its conformance suite as it is"))

export const pluginsCommand = Command.make("plugins").pipe(
  Command.withDescription("Look at exporters, try their parsers, begin new ones"),
  Command.withSubcommands([list, parse, create])
)
