/**
 * What an operator is told to type, typed: the real exporter as Debian's package starts it reports nothing, and with the
 * lines of the remedy it reports what runs. Needs Debian's prometheus-process-exporter; where it is missing, that is said.
 */
import { spawn } from "node:child_process"
import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { assert, describe, it } from "@effect/vitest"
import { Duration, Effect, Result, Schedule } from "effect"
import { processExporter } from "../../src/plugins/process-exporter/ProcessExporter.ts"
import { readBody } from "../../src/plugins/Reading.ts"
import { onPath } from "../../test/OnPath.ts"
import { exchange } from "./HttpExchange.ts"
import { closedPort } from "./HttpPeer.fixture.ts"

const PROGRAM = "prometheus-process-exporter"
const able = onPath(PROGRAM) !== undefined
const suffix = able ? "" : ` (left out: apt-get install ${PROGRAM})`

const EXPORTER = processExporter()

/** The rows of the real exporter, started with these arguments. */
const rowsOf = (args: ReadonlyArray<string>) =>
  Effect.gen(function* () {
    const port = yield* closedPort
    yield* Effect.acquireRelease(
      Effect.sync(() => spawn(PROGRAM, [...args, `-web.listen-address=127.0.0.1:${port}`], { stdio: "ignore" })),
      (child) => Effect.sync(() => child.kill("SIGKILL"))
    )
    const url = `http://127.0.0.1:${port}/metrics`
    const request = { method: "GET", url, headers: {}, timeout: Duration.seconds(20), bodyLimit: 1e8 } as const
    const { body } = yield* exchange(request).pipe(
      Effect.retry({ schedule: Schedule.spaced("100 millis"), times: 100 })
    )
    return Result.getOrThrow(readBody(EXPORTER, body, "text", new Date())).rows.length
  })

describe(`the remedy for an exporter that matches nothing${suffix}`, () => {
  it.live.skipIf(!able)("mends Debian's process_exporter, as it is told", () =>
    Effect.gen(function* () {
      const [file, args] = EXPORTER.scrape.empty!.remedy
      const [, path, config] = /^put into (\S+): (.+)$/.exec(file!)!
      const [, flags] = /ARGS="(.*)"$/.exec(args!)!
      assert.strictEqual(yield* rowsOf([]), 0)
      const folder = yield* Effect.acquireRelease(
        Effect.sync(() => mkdtempSync(join(tmpdir(), "nodepulse-unmatched-"))),
        (made) => Effect.sync(() => rmSync(made, { recursive: true, force: true }))
      )
      writeFileSync(join(folder, "config.yml"), `${config}\n`)
      assert.isAbove(yield* rowsOf([flags!.replace(path!, join(folder, "config.yml"))]), 0)
    })
  )
})
