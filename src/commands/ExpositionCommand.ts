/** `nodepulse exposition`: what the parser makes of a scrape. */
import { Effect, Option, Result } from "effect"
import { Argument, Command, Flag } from "effect/cli"
import { parseExposition } from "../plugins/Exposition.ts"
import { expositionToJson } from "../plugins/ExpositionJson.ts"
import { CommandFailed, readScrapeInput } from "./Input.ts"
import { say } from "./Terminal.ts"

const file = Argument.String("file").pipe(
  Argument.withDescription("A scrape; standard input where none is named"),
  Argument.optional
)

const format = Flag.Literals("format", ["text", "openmetrics"]).pipe(
  Flag.withDescription("Prometheus text 0.0.4 with the names of version 3, or OpenMetrics 1.0"),
  Flag.withDefault("text" as const)
)

export const expositionCommand = Command.make(
  "exposition",
  { format, file },
  Effect.fnUntraced(function* ({ file, format }) {
    const body = yield* readScrapeInput(file)
    const parsed = parseExposition(body, { format })
    if (Result.isFailure(parsed)) {
      return yield* new CommandFailed({
        reason: `${Option.getOrElse(file, () => "standard input")}: ${parsed.failure.message}`
      })
    }
    yield* say(JSON.stringify(expositionToJson(parsed.success), null, 2))
  })
).pipe(
  Command.withDescription(
    "Parse a scrape and print its samples, and what was skipped and why, as JSON. Exits 1 where the text as a whole is refused."
  ),
  Command.withExamples([
    {
      command: "curl -s http://127.0.0.1:9100/metrics | nodepulse exposition",
      description: "See what an exporter says"
    }
  ])
)
