/**
 * Alerts for Prometheus' Alertmanager (its API v2), which groups, silences and routes them: whoever has one goes on with it.
 *
 * Guarantee: at least once. What fires is sent again and again, as Alertmanager expects, and ends there by itself where NodePulse stops
 * to send; what is over is sent as such for {@link RESOLVED_FOR}. So nothing is remembered of what was sent, several processes may
 * send the same, and an Alertmanager that was away misses nothing that lasts. Bound: {@link ALERTS_MAX} alerts, those that fire first;
 * what it answers is not read, and no redirect is followed. User and password of an address are sent as such, and are in no log.
 */
import { unescape } from "node:querystring"
import { Clock, Duration, Effect, Layer } from "effect"
import { FetchHttpClient, HttpClient, HttpClientRequest } from "effect/http"
import { innermostReason } from "../InnermostCause.ts"
import { makeNotice } from "../Waiting.ts"
import { type Alert, Alerts } from "./Alerts.ts"
import type { Rule } from "./Rule.ts"
import { Rulebook } from "./Rulebook.ts"

export interface AlertmanagerOptions {
  /** Its addresses, such as `http://127.0.0.1:9093`: each of them gets everything. */
  readonly urls: ReadonlyArray<string>
  /** Where people reach NodePulse; undefined where it is not told. */
  readonly publicUrl: string | undefined
}

const SEND_EVERY = Duration.seconds(15)
const ANSWER_WITHIN = Duration.seconds(10)
/** What fires is taken for over where nothing was sent for as long: three times and a little. */
const ENDS_AFTER_MILLIS = 60_000
const RESOLVED_FOR = Duration.minutes(15)
const ALERTS_MAX = 1_000

/** Sends for ever. For the supervisor. */
export const makeAlertmanager = Effect.fnUntraced(function* ({ publicUrl, urls }: AlertmanagerOptions) {
  const alerts = yield* Alerts
  const rulebook = yield* Rulebook
  const client = HttpClient.withScope(yield* HttpClient.HttpClient)
  const targets = urls.map(targetOf)

  const send = Effect.gen(function* () {
    const now = yield* Clock.currentTimeMillis
    const all = yield* alerts.list({ limit: ALERTS_MAX })
    const recent = all.filter(
      ({ resolvedAt }) => resolvedAt === null || now - resolvedAt < Duration.toMillis(RESOLVED_FOR)
    )
    if (recent.length === 0) return
    const rules = new Map((yield* rulebook.rules).map((rule) => [rule.name, rule]))
    const body = recent.map((alert) => postable(alert, rules.get(alert.rule), now, publicUrl))
    yield* Effect.forEach(
      targets,
      ({ notice, request }) =>
        client.execute(HttpClientRequest.bodyJsonUnsafe(request, body)).pipe(
          Effect.flatMap(({ status }) => (status < 300 ? Effect.void : Effect.fail(new Error(`it answers ${status}`)))),
          Effect.scoped,
          Effect.timeoutOrElse({ duration: ANSWER_WITHIN, orElse: () => Effect.fail(new Error("it does not answer")) }),
          Effect.catch((error) => notice(innermostReason(error)))
        ),
      { concurrency: 4, discard: true }
    )
  }).pipe(Effect.catchTag("DatabaseUnavailable", (error) => Effect.logWarning(error.message)))

  return { run: Effect.forever(Effect.andThen(send, Effect.sleep(SEND_EVERY))), send }
})

/** Alerts go where they were told to go, and nowhere else. */
export const layerClient: Layer.Layer<HttpClient.HttpClient> = FetchHttpClient.layer.pipe(
  Layer.provide(Layer.succeed(FetchHttpClient.RequestInit, { redirect: "manual" }))
)

/** `fetch` takes no address with a user, and would say it with its password. */
const targetOf = (address: string) => {
  const url = new URL(address)
  const { password, username } = url
  url.username = ""
  url.password = ""
  const shown = url.href.replace(/\/$/, "")
  const request = HttpClientRequest.post(`${shown}/api/v2/alerts`)
  return {
    notice: makeNotice(`Alertmanager at ${shown}`),
    request: username === "" ? request : HttpClientRequest.basicAuth(request, unescape(username), unescape(password))
  }
}

/** An alert as Alertmanager takes it. Labels are its identity; what is said about it is in the annotations. */
const postable = (alert: Alert, rule: Rule | undefined, now: number, publicUrl: string | undefined) => ({
  labels: {
    alertname: alert.rule,
    severity: alert.severity,
    ...(alert.serverId === null ? {} : { server: alert.serverId }),
    ...(alert.group === "" ? {} : { group: alert.group }),
    ...(rule === undefined || rule.owners.length === 0 ? {} : { owner: rule.owners.join(",") })
  },
  annotations: {
    summary: alert.sentence,
    ...(alert.value === null ? {} : { value: String(Number(alert.value.toPrecision(4))) }),
    ...(rule?.runbook === undefined ? {} : { runbook: rule.runbook })
  },
  startsAt: new Date(alert.firedAt).toISOString(),
  endsAt: new Date(alert.resolvedAt ?? now + ENDS_AFTER_MILLIS).toISOString(),
  ...(publicUrl === undefined ? {} : { generatorURL: `${publicUrl}/watch/alerts/${encodeURIComponent(alert.id)}` })
})
