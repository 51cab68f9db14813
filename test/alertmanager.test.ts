/**
 * Alerts in a real Alertmanager: what fires shows there with what it is about, and what is over goes. Needs Debian's
 * `prometheus-alertmanager`; says in one line that it was left out where it is missing.
 */
import { spawn } from "node:child_process"
import { existsSync } from "node:fs"
import { mkdtemp, rm, writeFile } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { PgClient } from "@effect/sql-pg"
import { assert, layer } from "@effect/vitest"
import { Effect, Layer, Result, Schedule } from "effect"
import { layerClient, makeAlertmanager } from "../src/alerts/Alertmanager.ts"
import { Alerts } from "../src/alerts/Alerts.ts"
import * as AlertsPostgres from "../src/alerts/AlertsPostgres.ts"
import type { Rule } from "../src/alerts/Rule.ts"
import { Rulebook } from "../src/alerts/Rulebook.ts"
import { readRules } from "../src/alerts/RuleFile.ts"
import { makeRegistry, Registry } from "../src/plugins/Registry.ts"
import * as SnapshotRowsPostgres from "../src/sinks/storage/SnapshotRowsPostgres.ts"
import { freePort } from "./Ports.ts"
import * as TestDatabase from "./TestDatabase.ts"
import { EPOCH, exporters, processRow, SECOND, store } from "./TruthRows.ts"

const BINARY = ["/usr/bin/prometheus-alertmanager", "/usr/bin/alertmanager"].find((path) => existsSync(path))
if (BINARY === undefined) {
  process.stdout.write("left out: a real Alertmanager (apt-get install prometheus-alertmanager)\n")
}

const book: { rules: ReadonlyArray<Rule> } = { rules: [] }
const live = Layer.mergeAll(AlertsPostgres.layer, SnapshotRowsPostgres.layer, layerClient).pipe(
  Layer.provideMerge(Layer.succeed(Rulebook, { rules: Effect.sync(() => book.rules) })),
  Layer.provideMerge(Layer.succeed(Registry, Result.getOrThrow(makeRegistry({ exporters })))),
  Layer.provideMerge(TestDatabase.layerWith({ exporters }))
)

/** Its address, once it answers. */
const alertmanager = Effect.gen(function* () {
  const folder = yield* Effect.acquireRelease(
    Effect.promise(() => mkdtemp(join(tmpdir(), "nodepulse-alertmanager-"))),
    (made) => Effect.promise(() => rm(made, { recursive: true, force: true }))
  )
  const config = join(folder, "alertmanager.yml")
  yield* Effect.promise(() => writeFile(config, "route: {receiver: nobody}\nreceivers: [{name: nobody}]\n"))
  const port = yield* freePort
  yield* Effect.acquireRelease(
    Effect.sync(() =>
      spawn(
        BINARY!,
        [
          `--config.file=${config}`,
          `--storage.path=${folder}`,
          `--web.listen-address=127.0.0.1:${port}`,
          "--cluster.listen-address="
        ],
        { stdio: "ignore" }
      )
    ),
    (child) => Effect.sync(() => void child.kill("SIGKILL"))
  )
  const url = `http://127.0.0.1:${port}`
  yield* Effect.tryPromise(async () => {
    if (!(await fetch(`${url}/-/ready`)).ok) throw new Error("not ready")
  }).pipe(Effect.retry(Schedule.spaced("100 millis")), Effect.timeout("100 seconds"))
  return url
})

interface Shown {
  readonly labels: Readonly<Record<string, string>>
  readonly annotations: Readonly<Record<string, string>>
  readonly generatorURL: string
}

const shownBy = (url: string) =>
  Effect.promise(async () => (await (await fetch(`${url}/api/v2/alerts`)).json()) as ReadonlyArray<Shown>)

/** Rows of the last five minutes. */
const recent = Effect.gen(function* () {
  const began = Math.floor(Date.now() / 1_000) - 300 - EPOCH / SECOND
  yield* store(
    Array.from({ length: 21 }, (_, n) =>
      processRow("db-1", began + 15 * n, "postgres", 100 + 14 * n, { since: began - 500 })
    )
  )
})

if (BINARY !== undefined) {
  layer(live, { excludeTestServices: true, timeout: "2 minutes" })("a real Alertmanager", (it) => {
    it.effect("is told what fires, and when it is over; another one that is away keeps nobody waiting", () =>
      Effect.gen(function* () {
        const url = yield* alertmanager
        const { list, pass } = yield* Alerts
        const away = `http://127.0.0.1:${yield* freePort}`
        const { send } = yield* makeAlertmanager({ urls: [away, url], publicUrl: "https://example.org/pulse" })
        book.rules = Result.getOrThrow(
          readRules(
            `rules:
  - {name: busy, resource: processes, metric: cpu, above: 50, severity: critical, owners: [dba], runbook: "https://wiki.example/busy"}
  - {name: quiet, resource: processes, metric: cpu, above: 99}`,
            exporters
          )
        )
        yield* recent
        yield* pass
        const [alert, ...others] = yield* list({ limit: 10 })
        assert.deepStrictEqual(others, [])
        yield* send
        yield* send
        const [one, ...more] = yield* shownBy(url)
        assert.deepStrictEqual(more, [])
        assert.deepStrictEqual(one!.labels, {
          alertname: "busy",
          severity: "critical",
          server: "db-1",
          group: "postgres",
          owner: "dba"
        })
        assert.strictEqual(one!.annotations.runbook, "https://wiki.example/busy")
        assert.match(one!.annotations.summary!, /^any group on any server: cpu above 50 % of a core/)
        assert.approximately(Number(one!.annotations.value), 93.3, 0.1)
        assert.strictEqual(one!.generatorURL, `https://example.org/pulse/watch/alerts/${alert!.id}`)
        yield* (yield* PgClient.PgClient)`update admiral.alerts set resolved_at = now() where rule = 'busy'`
        yield* send
        assert.deepStrictEqual(yield* shownBy(url), [])
      }).pipe(Effect.scoped)
    )
  })
}
