/** When whom is told of what: lived through second by second. */
import { assert, describe, it } from "@effect/vitest"
import { type Facts, type Incident, plan } from "./Incidents.ts"
import type { Route } from "./NotifyFile.ts"
import { parseDays, parseHours } from "./TimeOfDay.ts"
import type { ToldAlert } from "./ToldAlert.ts"

const EPOCH = Date.UTC(2025, 9, 30, 12)

const route = (more: Partial<Route> = {}): Route => ({
  name: "default",
  receivers: ["ops"],
  severities: [],
  rule: "*",
  server: "*",
  group: "*",
  hours: undefined,
  continues: false,
  groupWait: 30_000,
  repeatEvery: undefined,
  rate: 10,
  ...more
})

interface Fire {
  readonly rule?: string
  readonly server?: string
  readonly group?: string
  readonly resource?: string
  readonly isOfItself?: boolean
  readonly severity?: ToldAlert["severity"]
  /** Seconds. */
  readonly from: number
  readonly to?: number
  readonly acknowledged?: number
}

interface World {
  readonly fires: ReadonlyArray<Fire>
  readonly routes?: ReadonlyArray<Route>
  /** [from, to) in seconds, and of which rule. */
  readonly silenced?: readonly [from: number, to: number, rule: string]
  readonly until?: number
}

/** What is told, as lines: "30 default firing busy/g, hot/". */
const lived = ({ fires, routes = [route()], silenced, until = 3_600 }: World): ReadonlyArray<string> => {
  const told: Array<string> = []
  let incidents: ReadonlyArray<Incident> = []
  const known = new Set<string>()
  for (let second = 0; second <= until; second += 2) {
    const all = fires.flatMap((fire, n) => (fire.from <= second ? [alertAt(fire, n, second)] : []))
    const now = EPOCH + second * 1_000
    const current = (alert: ToldAlert) => all.find(({ id }) => id === alert.id)!
    const facts: Facts = {
      now,
      routes,
      incidents: incidents.map((one) => ({
        ...one,
        members: one.members.map((member) => ({ ...member, alert: current(member.alert) }))
      })),
      alerts: all.filter(({ id }) => !known.has(id)),
      silentRules: new Set(["silent"]),
      silent: new Map(
        all
          .filter((one) => one.rule === "silent" && one.resolvedAt === null)
          .map(({ resource, server }) => [server, new Set([resource === "node" ? "*" : resource])])
      ),
      isSilenced: ({ rule }) =>
        silenced !== undefined && rule === silenced[2] && second >= silenced[0] && second < silenced[1]
    }
    const { changed, passedOver } = plan(facts)
    for (const { id } of passedOver) known.add(id)
    const after = new Map(facts.incidents.map((one) => [`${one.route} ${one.server}`, one]))
    for (const { due, incident } of changed) {
      after.set(`${incident.route} ${incident.server}`, { ...incident, id: incident.id ?? `${second}` })
      for (const { alert } of incident.members) known.add(alert.id)
      for (const { alerts, kind } of due)
        told.push(
          `${second} ${incident.route} ${kind} ${alerts.map(({ group, rule }) => `${rule}/${group}`).join(", ")}`
        )
    }
    incidents = [...after.values()].filter(({ closedAt }) => closedAt === null)
  }
  return told
}

const alertAt = (fire: Fire, n: number, second: number): ToldAlert => ({
  id: String(n),
  rule: fire.rule ?? "busy",
  sentence: "",
  severity: fire.severity ?? "warning",
  server: fire.server ?? "db-1",
  serverName: "Database",
  isOfItself: fire.isOfItself ?? false,
  resource: fire.resource ?? "node",
  group: fire.group ?? "g",
  value: 1,
  firedAt: EPOCH + fire.from * 1_000,
  resolvedAt: fire.to !== undefined && fire.to <= second ? EPOCH + fire.to * 1_000 : null,
  isAcknowledged: fire.acknowledged !== undefined && fire.acknowledged <= second
})

describe("an incident", () => {
  it("is one message for all alerts of a server that come together, and one when they are over", () => {
    assert.deepStrictEqual(
      lived({
        fires: [
          { from: 0, to: 600 },
          { from: 10, group: "h", to: 700 },
          { from: 20, rule: "hot", group: "", to: 650 }
        ]
      }),
      ["30 default firing busy/g, busy/h, hot/", "730 default resolved busy/g, busy/h, hot/"]
    )
  })

  it("is another one on another server, and by another route", () => {
    assert.deepStrictEqual(
      [
        ...lived({
          fires: [{ from: 0 }, { from: 0, server: "db-2" }, { from: 0, server: "web-1", severity: "critical" }],
          routes: [
            route({ name: "pager", severities: ["critical"], continues: true, groupWait: 0 }),
            route({ name: "db", server: "db-*" }),
            route()
          ]
        })
      ].sort(),
      ["0 pager firing busy/g", "30 db firing busy/g", "30 db firing busy/g", "30 default firing busy/g"]
    )
  })

  it("is of the routes whose rule, group, severity and server, by its id or its name, match", () => {
    const told = (more: Partial<Route>) =>
      lived({ fires: [{ from: 0 }], routes: [route({ groupWait: 0, ...more })], until: 10 })
    for (const more of [{}, { server: "db-*" }, { server: "Data*" }, { rule: "bus*" }, { group: "g" }]) {
      assert.lengthOf(told(more), 1, JSON.stringify(more))
    }
    for (const more of [{ server: "web-*" }, { rule: "idle" }, { group: "h" }, { severities: ["info"] as const }]) {
      assert.lengthOf(told(more), 0, JSON.stringify(more))
    }
  })

  it("tells what joins it later, and not again what was told", () => {
    assert.deepStrictEqual(lived({ fires: [{ from: 0 }, { from: 300, group: "h" }, { from: 310, group: "i" }] }), [
      "30 default firing busy/g",
      "330 default firing busy/h, busy/i"
    ])
  })

  it("is one message where an alert comes and goes within the wait, and one that it is over", () => {
    const flapping = Array.from({ length: 30 }, (_, n) => ({ from: 100 + n * 20, to: 110 + n * 20 }))
    assert.deepStrictEqual(lived({ fires: [{ from: 0, to: 90 }, ...flapping] }), [
      "30 default firing busy/g",
      "720 default resolved busy/g"
    ])
  })

  it("is told once in five minutes where all of it is over before anybody could be told", () => {
    const told = lived({
      fires: Array.from({ length: 30 }, (_, n) => ({ from: n * 70, to: 4 + n * 70 })),
      until: 1_800
    })
    assert.lengthOf(told, 6)
    assert.isTrue(told.every((line) => line.includes("firing")))
  })

  it("is told also where it was over before its message: somebody has to know", () => {
    assert.deepStrictEqual(lived({ fires: [{ from: 0, to: 10 }] }), ["30 default firing busy/g"])
  })

  it("is told again as often as the route says, until somebody acknowledges it", () => {
    const routes = [route({ repeatEvery: 600_000 })]
    assert.deepStrictEqual(lived({ fires: [{ from: 0 }], routes, until: 1_300 }), [
      "30 default firing busy/g",
      "630 default repeated busy/g",
      "1230 default repeated busy/g"
    ])
    assert.deepStrictEqual(lived({ fires: [{ from: 0, acknowledged: 700, to: 2_000 }], routes }), [
      "30 default firing busy/g",
      "630 default repeated busy/g",
      "700 default acknowledged busy/g",
      "2030 default resolved busy/g"
    ])
  })

  it("says each time that somebody took note of all of it, after what it is", () => {
    const joins = { from: 300, group: "h", acknowledged: 400 }
    assert.deepStrictEqual(lived({ fires: [{ from: 0, acknowledged: 10 }, joins], until: 600 }), [
      "30 default firing busy/g",
      "32 default acknowledged busy/g",
      "330 default firing busy/h",
      "400 default acknowledged busy/g, busy/h"
    ])
  })

  it("that came back unnoticed is told again, and that somebody took note of it, too", () => {
    const again = { from: 110, acknowledged: 700 }
    const routes = [route({ repeatEvery: 600_000 })]
    assert.deepStrictEqual(lived({ fires: [{ from: 0, to: 100, acknowledged: 50 }, again], routes, until: 800 }), [
      "30 default firing busy/g",
      "50 default acknowledged busy/g",
      "630 default repeated busy/g",
      "700 default acknowledged busy/g"
    ])
  })

  it("is not told again while it is silenced", () => {
    assert.deepStrictEqual(
      lived({
        fires: [{ from: 0 }],
        routes: [route({ repeatEvery: 600_000 })],
        silenced: [300, 1_500, "busy"],
        until: 1_600
      }),
      ["30 default firing busy/g", "1500 default repeated busy/g"]
    )
  })

  it("of a silent server is told, and mutes what else fires there; what goes on is told after", () => {
    assert.deepStrictEqual(
      lived({
        fires: [
          { from: 0, to: 200 },
          { from: 4, group: "stays" },
          { from: 10, rule: "silent", group: "", to: 600 },
          { from: 0, server: "db-2" }
        ],
        until: 1_200
      }),
      ["30 default firing silent/", "30 default firing busy/g", "600 default firing busy/stays"]
    )
  })

  it("waits while it is silenced, is told where it goes on, and never where it is over", () => {
    assert.deepStrictEqual(lived({ fires: [{ from: 10 }], silenced: [0, 300, "busy"] }), ["330 default firing busy/g"])
    assert.deepStrictEqual(lived({ fires: [{ from: 10, to: 200 }], silenced: [0, 300, "busy"] }), [])
    // Silenced after it came, and before it was told.
    assert.deepStrictEqual(lived({ fires: [{ from: 10 }], silenced: [20, 300, "busy"] }), ["300 default firing busy/g"])
    assert.deepStrictEqual(lived({ fires: [{ from: 10, to: 200 }], silenced: [20, 300, "busy"] }), [])
    // What was told is told to be over, also then.
    assert.deepStrictEqual(lived({ fires: [{ from: 10, to: 200 }], silenced: [100, 300, "busy"] }), [
      "40 default firing busy/g",
      "230 default resolved busy/g"
    ])
    const routes = [route({ repeatEvery: 600_000 })]
    assert.deepStrictEqual(lived({ fires: [{ from: 0 }], routes, silenced: [100, 1_000, "busy"], until: 1_500 }), [
      "30 default firing busy/g",
      "1000 default repeated busy/g"
    ])
  })

  it("outside of all hours waits for the route whose hours come", () => {
    const hours = { ...parseHours("12:10-18:00")!, days: parseDays(["mon-sun"])!, zone: "UTC" }
    const routes = [route({ name: "day", hours })]
    assert.deepStrictEqual(lived({ fires: [{ from: 0 }, { from: 0, server: "db-2", to: 60 }], routes }), [
      "630 day firing busy/g"
    ])
    assert.deepStrictEqual(lived({ fires: [{ from: 0 }], routes: [...routes, route()] }), ["30 default firing busy/g"])
  })

  it("of a route that is gone is still told to be over", () => {
    const open: Incident = {
      id: "1",
      route: "gone",
      server: "db-1",
      receivers: ["ops"],
      openedAt: EPOCH,
      dueAt: null,
      closingAt: null,
      toldAt: EPOCH,
      owesResolve: true,
      tookNote: false,
      closedAt: null,
      members: [{ alert: alertAt({ from: 0, to: 1 }, 0, 2), state: "told" }]
    }
    const none = { silentRules: new Set<string>(), silent: new Map(), isSilenced: () => false }
    const { changed } = plan({ now: EPOCH + 5_000, routes: [], incidents: [open], alerts: [], ...none })
    assert.deepStrictEqual(
      changed[0]?.due.map(({ kind }) => kind),
      ["resolved"]
    )
    assert.strictEqual(changed[0]?.incident.closedAt, EPOCH + 5_000)
  })

  it("of an order that waits for a second person is told within ten seconds, once, and not where it was signed by then", () => {
    const waits = { rule: "Act", group: "restart x", resource: "signatures" }
    const routes = [route({ groupWait: 60_000, repeatEvery: 120_000 })]
    assert.deepStrictEqual(lived({ fires: [{ ...waits, from: 0, to: 8 }], routes }), [])
    assert.deepStrictEqual(lived({ fires: [{ ...waits, from: 0, to: 600 }], routes }), [
      "10 default firing Act/restart x",
      "660 default resolved Act/restart x"
    ])
    assert.deepStrictEqual(
      lived({ fires: [{ ...waits, from: 0, to: 600 }], routes: [route({ groupWait: 0 })] })[0],
      "0 default firing Act/restart x"
    )
    // Silenced until it was signed, and a server that says nothing.
    assert.deepStrictEqual(
      lived({ fires: [{ ...waits, from: 0, to: 100 }], silenced: [0, 50, "Act"], routes }).length,
      2
    )
    assert.deepStrictEqual(lived({ fires: [{ ...waits, from: 0, to: 40 }], silenced: [0, 50, "Act"], routes }), [])
    const silent = { from: 0, to: 3_000, rule: "silent", group: "", resource: "node" }
    assert.include(
      lived({ fires: [silent, { ...waits, from: 100, to: 600 }], routes }).join("\n"),
      "110 default firing Act/restart x"
    )
  })

  it("is not even opened for an order that was signed before anybody looked", () => {
    const signed = alertAt({ rule: "Act", resource: "signatures", from: 0, to: 1 }, 0, 2)
    const none = { silentRules: new Set<string>(), silent: new Map(), isSilenced: () => false }
    const facts = { now: EPOCH + 2_000, routes: [route()], incidents: [], alerts: [signed], ...none }
    assert.deepStrictEqual(plan(facts), { changed: [], passedOver: [signed] })
  })

  it("of an order that was signed holds up nothing of what became of it, and of the next one in the same words", () => {
    const act = { rule: "Act", group: "restart x" }
    const fires = [
      { ...act, resource: "signatures", from: 0, to: 30 },
      { ...act, resource: "acts", from: 34, to: 34 },
      { ...act, resource: "signatures", from: 40, to: 80 }
    ]
    assert.deepStrictEqual(lived({ fires, routes: [route({ groupWait: 0 })] }).slice(0, 3), [
      "0 default firing Act/restart x",
      "30 default resolved Act/restart x",
      "34 default firing Act/restart x"
    ])
    assert.deepStrictEqual(
      lived({ fires }).filter((line) => line.includes("firing")),
      ["10 default firing Act/restart x", "50 default firing Act/restart x, Act/restart x"]
    )
  })

  it("is muted by the silence of what it is about, or of the host, and never where it is about NodePulse itself", () => {
    const silent = (resource: string) => ({ from: 0, to: 600, rule: "silent", group: "", resource })
    const hot = { from: 100, to: 400, rule: "hot", resource: "node" }
    const busy = { from: 100, to: 400, rule: "busy", resource: "processes" }
    const full = { from: 100, to: 400, rule: "full", resource: "nodepulse", isOfItself: true }
    const firing = (fires: ReadonlyArray<Fire>) =>
      lived({ fires }).flatMap((line) => (line.includes("firing") ? [line.split(" firing ")[1]] : []))
    assert.deepStrictEqual(firing([silent("processes"), hot, busy, full]), ["silent/", "hot/g, full/g"])
    assert.deepStrictEqual(firing([silent("node"), hot, busy, full]), ["silent/", "full/g"])
  })
})
