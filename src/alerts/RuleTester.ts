/**
 * Tests of rules: what would have fired over made-up series, by the machine that asks rules of the present (`ServerWatch.ts`), beside what is
 * expected. Needs no server and no database; the time is that of the series.
 *
 * A test begins at a moment at which all rules are asked, those about growth too, and ends with the last scrape.
 */
import { Effect } from "effect"
import type { RegistryShape } from "../plugins/Registry.ts"
import { GrowthSight } from "./GrowthSight.ts"
import { EVERY_MILLIS, metricsOf, type Rule } from "./Rule.ts"
import { isAbout, liveThrough, lookbackFor } from "./RuleReader.ts"
import type { RuleTest, TestedAlert } from "./RuleTestFile.ts"
import { BEGINNING, type Entry } from "./RuleTestSeries.ts"
import { ServerWatch, type Turn } from "./ServerWatch.ts"

/** How a test went: it passed where nothing is missing and nothing is too much. */
export interface TestedRules {
  /** Expected, and not so. */
  readonly missing: ReadonlyArray<TestedAlert>
  /** So, and not expected. */
  readonly unexpected: ReadonlyArray<TestedAlert>
  /** When the test ended, milliseconds since the beginning. */
  readonly end: number
}

/** Tries a test on the rules that it asks. */
export const testRules = Effect.fnUntraced(function* (
  test: RuleTest,
  rules: ReadonlyArray<Rule>,
  registry: Pick<RegistryShape, "host">
) {
  const asked = rules.filter(({ name }) => test.only?.includes(name) ?? true)
  const end = Math.max(...test.entries.map((entry) => entry.end))
  const found: Array<TestedAlert> = []
  for (const entry of test.entries) {
    const turns = yield* turnsOf(test, entry, asked, registry, end)
    found.push(...alertsOf(turns, entry.server))
  }
  found.sort(inOrder)
  const keys = new Set(found.map(keyOf))
  const expected = new Set(test.expected.map(keyOf))
  return {
    missing: [...test.expected].sort(inOrder).filter((alert) => !keys.has(keyOf(alert))),
    unexpected: found.filter((alert) => !expected.has(keyOf(alert))),
    end
  } satisfies TestedRules
})

/** What the rules about one exporter find of one server. */
const turnsOf = Effect.fnUntraced(function* (
  { entries, facts }: RuleTest,
  { exporter, measures, names, scrapes, server }: Entry,
  asked: ReadonlyArray<Rule>,
  { host }: Pick<RegistryShape, "host">,
  end: number
) {
  const watched = { id: 0, server_id: server, name: server }
  const rules = asked.filter((rule) => rule.exporter === exporter.name && isAbout(rule, watched))
  if (rules.length === 0) return []
  const ofHost = entries.find((entry) => entry.server === server && entry.exporter === host)
  const { cores = null, memory: memoryBytes = null } = facts.get(server) ?? {}
  const watch = new ServerWatch({
    rules,
    metrics: metricsOf(exporter),
    measures,
    presence: exporter.top?.presence,
    nameOf: (group) => names[group] ?? "",
    sizeAt: () => ({ cores: cores ?? null, memoryBytes: memoryBytes ?? null }),
    host: ofHost === undefined ? undefined : { exporter: ofHost.exporter, measures: ofHost.measures },
    id: watched.id
  })
  const seen = {
    rows: scrapes,
    host: ofHost?.scrapes ?? [],
    steps: stepsOf({ exporter, measures, scrapes }),
    hostSteps: ofHost === undefined ? undefined : stepsOf(ofHost)
  }
  const window = { from: (BEGINNING - EVERY_MILLIS) * 1_000, to: (BEGINNING + end) * 1_000 }
  return yield* liveThrough(watch, seen, window, lookbackFor(rules, { exporter }))
})

const stepsOf = ({ exporter, measures, scrapes }: Pick<Entry, "exporter" | "measures" | "scrapes">): GrowthSight => {
  const steps = new GrowthSight(measures, exporter.top?.presence)
  const visitor = steps.visitor()
  for (const scrape of scrapes) visitor.scrape(scrape)
  visitor.end?.()
  return steps
}

/** The alerts that turns in order of time make. */
const alertsOf = (turns: ReadonlyArray<Turn>, server: string): ReadonlyArray<TestedAlert> => {
  const alerts: Array<TestedAlert> = []
  const open = new Map<string, number>()
  for (const { at, group, rule, to } of turns) {
    const key = JSON.stringify([rule.name, group])
    const since = at - BEGINNING
    const place = open.get(key)
    if (to === "firing") {
      open.set(key, alerts.push({ rule: rule.name, server, group, firesAt: since, resolvesAt: undefined }) - 1)
    } else if (place !== undefined) {
      alerts[place] = { ...alerts[place]!, resolvesAt: since }
      open.delete(key)
    }
  }
  return alerts
}

const keyOf = ({ firesAt, group, resolvesAt, rule, server }: TestedAlert): string =>
  JSON.stringify([rule, server, group, firesAt, resolvesAt ?? null])

const inOrder = (a: TestedAlert, b: TestedAlert): number => a.firesAt - b.firesAt || (keyOf(a) < keyOf(b) ? -1 : 1)
