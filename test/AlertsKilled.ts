/** What the test of killed evaluators and the processes that it kills (`alertsWorker.ts`) have in common: the rules, and who is told. */
import { tmpdir } from "node:os"
import { Effect, Layer, Result } from "effect"
import * as NotificationsPostgres from "../src/alerts/delivery/NotificationsPostgres.ts"
import { NotifyBook } from "../src/alerts/delivery/NotifyBook.ts"
import { readNotify } from "../src/alerts/delivery/NotifyFile.ts"
import type { Rule } from "../src/alerts/Rule.ts"
import { Rulebook } from "../src/alerts/Rulebook.ts"
import { readRules } from "../src/alerts/RuleFile.ts"
import * as SilencesPostgres from "../src/alerts/silences/SilencesPostgres.ts"
import { AlertStories } from "../src/alerts/story/Story.ts"
import { exporters } from "./RollupsKilled.ts"

/** How PostgreSQL's own views call the processes. */
export const WORKER = "alerts-worker"

export const rules: ReadonlyArray<Rule> = Result.getOrThrow(
  readRules(
    `rules:
  - {name: quick, resource: processes, metric: cpu, above: 50}
  - {name: held, resource: processes, metric: cpu, above: 50, for: 1m, keep_firing_for: 1m}
  - {name: large, resource: processes, metric: memory, above: 60, resolve: 40, over: 2m}
  - {name: silent, resource: processes, silent: true, over: 1m}`,
    exporters
  )
)

export const bookOf: Layer.Layer<Rulebook> = Layer.succeed(Rulebook, { rules: Effect.succeed(rules) })

/** Each rule has a route of its own, so that an incident is what one rule says of one server. */
const notifyFile = (hook: string) => `receivers:
  - {name: hook, webhook: {url: "${hook}"}}
allow: ["127.0.0.1"]
routes:
${rules.map(({ name }) => `  - {name: ${name}, rule: ${name}, receivers: [hook], group_wait: "0s", rate: 1000}`).join("\n")}
`

/** Tells a hook. */
export const notifierOf = (hook: string) =>
  NotificationsPostgres.layerWith({ publicUrl: undefined }).pipe(
    Layer.provide(
      Layer.mergeAll(
        SilencesPostgres.layer,
        Layer.succeed(AlertStories, { of: () => Effect.succeedNone } as never),
        Layer.succeed(NotifyBook, {
          state: Effect.succeed({ config: Result.getOrThrow(readNotify(notifyFile(hook), tmpdir())), problems: [] })
        })
      )
    ),
    Layer.provide(bookOf)
  )
