/** The flight recorder from end to end: this machine's own agent, a whole server, an alert that fires, and somebody who asks. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { expect, layer } from "@effect/vitest"
import { Duration, Effect, Schedule } from "effect"
import { afterAll } from "vitest"
import { withDefaults } from "../agent/config/AgentConfig.ts"
import config from "../plugins.config.ts"
import { shows } from "../web/src/recordings/RecordingWords.ts"
import * as TestServer from "./TestServer.ts"

const able = process.platform === "linux"
const suffix = able ? "" : " (left out: it needs Linux)"

const folder = mkdtempSync(join(tmpdir(), "nodepulse-recorder-"))
afterAll(() => rmSync(folder, { recursive: true, force: true }))
const rule = { name: "Runs at all", resource: "processes", metric: "memory", above: 0, over: "30s", severity: "info" }
writeFileSync(join(folder, "all.yml"), JSON.stringify({ rules: [rule] }))

/** The built-in collectors, scraped each second. */
const agent = (() => {
  const all = withDefaults({}, config.exporters, undefined, [])
  const often = { interval: Duration.seconds(1), timeout: Duration.millis(800), collector: "always" as const }
  return { ...all, exporters: all.exporters.map((one) => ({ ...one, ...often })) }
})()

/** What the server answers once it is so, however slow the machine is. */
const soon = <A>(ask: Effect.Effect<A>, until: (answer: A) => boolean) =>
  Effect.repeat(ask, { until, schedule: Schedule.spaced("300 millis") }).pipe(
    Effect.timeout("100 seconds"),
    Effect.orDie
  )

layer(TestServer.layerWith({ rulesDir: folder, agent }), { excludeTestServices: true, timeout: "1 minute" })(
  "the flight recorder",
  (it) => {
    it.effect.skipIf(!able)(
      `sends what led to an alert by itself, and what somebody asks for, each once${suffix}`,
      () =>
        Effect.gen(function* () {
          const { request } = yield* TestServer.TestServer
          const get = (path: string) => Effect.map(request("GET", path), ({ body }) => body)
          const { alerts } = yield* soon(get("/api/alerts?state=firing"), ({ alerts }) => alerts.length > 0)
          const [{ fired_at, server_id }] = alerts
          const list = get(`/api/servers/${server_id}/recordings`)
          const first = yield* soon(list, ({ recordings }) => recordings.length > 0)
          expect(first.recordings.map(({ reason }: { reason: string }) => reason)).toEqual(["alert"])
          expect(first.request).toMatchObject({ reason: "alert", by: null, state: "answered" })
          // What the alert's page goes by.
          expect(shows(first.recordings[0], Date.parse(fired_at))).toBe(true)
          const asked = yield* request("POST", `/api/servers/${server_id}/recordings`)
          expect([asked.status, asked.body.state]).toEqual([202, "waiting"])
          const second = yield* soon(list, ({ recordings }) => recordings.length > 1)
          expect(second.recordings.map(({ reason }: { reason: string }) => reason)).toEqual(["asked", "alert"])
          expect(second.request).toMatchObject({ reason: "asked", by: "admin", state: "answered" })
          const whole = yield* get(`/api/recordings/${second.recordings[0].recording_id}`)
          expect(whole.at.length).toBeGreaterThan(5)
          expect(whole.host.cpu_user.filter((value: unknown) => typeof value === "number").length).toBeGreaterThan(3)
          expect(whole.processes.length).toBeGreaterThan(0)
        }),
      { timeout: 240_000 }
    )
  }
)
