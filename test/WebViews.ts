/**
 * Every place of the page, for what must hold everywhere (`web-views.test.ts`): a new place is one more line.
 *
 * What they show is `seedViews`: an hour of a server whose groups have hostile and look-alike names, one that never reported, and
 * one whose own name is hostile.
 */
import { Effect } from "effect"
import type { Page } from "playwright-core"
import { kill, recording } from "../src/protocol/Recording.fixture.ts"
import { orderFor, pollOf, previewOf } from "./ActingWorld.ts"
import * as TestServer from "./TestServer.ts"
import { GROUPS, goesOn, groupRow, HOST, hostRow, hour, INTERVAL, once, push } from "./WebWorld.ts"

/** `node` with a Cyrillic о, all Cyrillic letters that read as "copy", full width, and an honest Cyrillic name. */
export const LOOK_ALIKES = [
  "n\u043ede",
  "\u0441\u043e\u0440\u0443",
  "\uff4eginx",
  "\u0441\u0435\u0440\u0432\u0435\u0440"
]
/** What a server may be called. */
const HOSTILE_SERVER = `<b>d\u0430tabase-${"w".repeat(40)}`

const HOSTILE_UNIT = `<i>web-${"w".repeat(60)}.service`
const unitsAt = (at: number, n: number) => ({
  [HOST]: [hostRow(at, n)],
  [GROUPS]: ["logger", LOOK_ALIKES[0]!].map((name) => ({ ...groupRow(at, name, n, 30), unit: HOSTILE_UNIT })),
  cgroups: [
    {
      timestamp: new Date(at).toISOString(),
      unit: HOSTILE_UNIT,
      slice: "",
      cpu_seconds_total: n * 4,
      memory_bytes: 2 ** 26
    }
  ]
})

/** Does not fire on what is seeded. */
const QUIET_RULE = {
  name: "A thousand cores",
  resource: "processes",
  metric: "cpu",
  group: "*",
  over: "5m",
  above: 100_000
}

/** An order that waits for a signature; its reason is what somebody else wrote. */
const ORDER = "0b9d7c1e-1111-4222-8333-444444444444"
const RULE = {
  verbs: ["terminate" as const],
  units: [],
  names: ["postgres"],
  roles: ["operator" as const],
  second_person: false,
  per_hour: 3,
  hours: null
}

/** More than are shown at once, of digests on machines with hostile names: one stream is nobody's, one does not answer. */
const STREAMS = Array.from({ length: 20 }, (_, stream) => ({
  stream,
  owner: stream === 3 ? null : `${HOSTILE_SERVER}-${stream % 3}.4711.k3x9ab`,
  isOwnerKnown: true,
  ownedForSeconds: stream === 3 ? null : 86_400 * stream,
  fence: 7 + stream,
  rows: stream === 4 ? null : stream * 1_234,
  pending: stream === 4 ? null : stream * 10,
  waiting: stream === 4 ? null : stream === 7 ? 1_510 : 0,
  bound: stream === 4 ? null : 100_000,
  bytes: stream === 4 ? null : stream * 2 ** 20,
  oldestSeconds: stream === 4 || stream === 0 ? null : stream * 4
}))

export interface View {
  readonly name: string
  /** Of the server with an hour of rows it is `one-1`. */
  readonly path: string
  /** What is there once it shows what it is for. */
  readonly ready: (page: Page) => Promise<unknown>
  readonly signedOut?: boolean
  /** Looked at on every screen: the others on the narrowest and the widest, which saves minutes. */
  readonly everyScreen?: boolean
}

const ranked = async (page: Page) => {
  await page.locator(".ranked tbody .row-button").first().waitFor()
  await page.locator(".stack:not(.previous) canvas").waitFor()
}

export const VIEWS: ReadonlyArray<View> = [
  {
    name: "the fleet",
    path: "/",
    everyScreen: true,
    ready: (page) => page.locator(".fleet tbody a").first().waitFor()
  },
  {
    name: "a fleet in which nothing is found",
    path: "/?q=nobody-runs-this",
    ready: (page) => page.getByText("No server matches").waitFor()
  },
  { name: "a server", path: "/servers/one-1", everyScreen: true, ready: ranked },
  {
    name: "a server that never reported",
    path: "/servers/never-1",
    ready: (page) => page.getByText("This server has never reported.").waitFor()
  },
  {
    name: "an open process",
    path: "/servers/one-1?open=nginx",
    ready: async (page) => {
      await ranked(page)
      await page.getByRole("complementary", { name: /nginx/ }).getByText("in this range").waitFor()
    }
  },
  {
    name: "a process that is acted on",
    path: "/servers/one-1?open=postgres",
    ready: async (page) => {
      await page.getByText("Act on this").click()
      // After a minute and a half of silence its host is not asked any more.
      await page.getByText(/Asking the host|Nothing listens on this host/).waitFor()
    }
  },
  {
    name: "acts of a server",
    path: "/servers/one-1/acts",
    ready: (page) => page.locator(".acts tbody tr").first().waitFor()
  },
  {
    name: "an order",
    path: `/acts/${ORDER}`,
    ready: (page) => page.locator(".exactly-said").waitFor()
  },
  {
    name: "keys of this browser",
    path: "/access/keys",
    ready: (page) => page.getByRole("button", { name: "Make it" }).waitFor()
  },
  {
    name: "a resource",
    path: "/servers/one-1/node",
    ready: (page) => page.locator(".panel canvas").first().waitFor()
  },
  {
    name: "an open unit",
    path: `/servers/unit-1/units?open=${encodeURIComponent(HOSTILE_UNIT)}`,
    ready: (page) => page.locator(".members tbody tr").first().waitFor()
  },
  {
    name: "recordings of a server",
    path: "/servers/one-1/recordings",
    ready: (page) => page.getByRole("rowheader").first().waitFor()
  },
  {
    name: "a recording with a kill for want of memory",
    path: "/recordings/1",
    everyScreen: true,
    ready: (page) => page.locator(".recorded canvas").first().waitFor()
  },
  {
    name: "watch",
    path: "/watch",
    ready: (page) => page.getByRole("heading", { name: "Fires now" }).waitFor()
  },
  {
    name: "rules for alerts",
    path: "/watch/rules",
    ready: (page) => page.locator("main .rule-row").first().waitFor()
  },
  {
    name: "a rule for alerts",
    path: "/watch/rule?resource=processes&group=postgres&server=one-1&above=1",
    ready: (page) => page.locator(".fired-strip").first().waitFor()
  },
  {
    name: "a silence that is made",
    path: "/watch/silences",
    ready: async (page) => {
      await page.getByRole("button", { name: "Silence…" }).click()
      await page.getByRole("dialog").getByText("Nothing fires now.").waitFor()
    }
  },
  {
    name: "messages about alerts",
    path: "/watch/messages",
    ready: (page) => page.getByRole("heading", { name: "Receivers" }).waitFor()
  },
  {
    name: "the pipeline",
    path: "/pipeline",
    ready: (page) => page.getByRole("heading", { name: "Supervision tree" }).waitFor()
  },
  {
    name: "the pipeline of many streams",
    path: "/pipeline?streams",
    ready: async (page) => {
      await page.route("**/api/pipeline", async (route) => {
        const response = await route.fetch()
        await route.fulfill({ response, json: { ...(await response.json()), streams: STREAMS } })
      })
      await page.reload()
      await page.getByRole("button", { name: "All 20 streams" }).waitFor()
    }
  },
  {
    name: "a comparison",
    path: "/compare?s=one-1,never-1",
    everyScreen: true,
    ready: (page) => page.getByRole("rowheader", { name: "postgres" }).waitFor()
  },
  {
    name: "a process over all servers",
    path: "/compare/process?resource=processes&group=postgres",
    ready: (page) => page.getByRole("link", { name: "one-1" }).first().waitFor()
  },
  {
    name: "a ledger",
    path: "/servers/one-1?against=previous",
    ready: (page) => page.locator(".ledger-said").waitFor()
  },
  {
    name: "processes of the fleet",
    path: "/processes",
    ready: (page) => page.locator("tbody th .name").first().waitFor()
  },
  {
    name: "servers of a process",
    path: "/processes/processes/postgres",
    ready: (page) => page.getByRole("row").filter({ hasText: "one-1" }).first().waitFor()
  },
  {
    name: "rules for names",
    path: "/groupings",
    ready: (page) => page.getByRole("heading", { name: "Group names" }).waitFor()
  },
  {
    name: "access",
    path: "/access",
    ready: (page) => page.locator("main table tbody tr").first().waitFor()
  },
  {
    name: "the audit",
    path: "/access/audit",
    ready: (page) => page.locator(".audit li").first().waitFor()
  },
  {
    name: "no such place",
    path: "/nowhere",
    ready: (page) => page.getByRole("alert").waitFor()
  },
  {
    name: "a new server",
    path: "/",
    ready: async (page) => {
      await page.getByRole("button", { name: "Add a server" }).click()
      await page.getByLabel("What is it called?").waitFor()
    }
  },
  {
    name: "the help",
    path: "/pipeline",
    ready: async (page) => {
      await page.getByRole("button", { name: "Keyboard and help" }).click()
      await page.getByRole("heading", { name: "Keyboard and numbers" }).waitFor()
    }
  },
  {
    name: "the sign-in",
    path: "/",
    signedOut: true,
    ready: (page) => page.getByText("sign-in link").first().waitFor()
  }
]

/** 15 minutes in which what has a hostile name was killed. */
const recorded = () => {
  const ended = Date.now() / 1_000 - 60
  const long = recording({ ended, reason: "oom_kill" }, 900)
  const rename = <A extends { readonly name: string }>(one: A) => ({ ...one, name: HOSTILE_SERVER })
  return {
    ...long,
    processes: [...long.processes, ...long.processes.map(rename)],
    units: [...long.units, ...long.units.map(rename)],
    kills: [
      kill({ at: ended - 5 }),
      kill({
        at: ended - 4,
        name: HOSTILE_SERVER,
        unit: null,
        scope: "host",
        limited: null,
        limit: null,
        source: "presumed"
      })
    ]
  }
}

/** A host that allows something, has answered one preview, and then says no more. */
const askedToAct = Effect.fnUntraced(function* (server: string, token: string) {
  const { request } = yield* TestServer.TestServer
  const poll = (changes: Parameters<typeof pollOf>[1]) =>
    request("POST", "/api/hands/poll", { token, body: pollOf(server, { rules: [RULE], ...changes }) })
  const target = { pid: 4_711 }
  const asked = yield* request("POST", `/api/servers/${server}/previews`, { body: { target } })
  const id = asked.body.preview_id
  yield* poll({})
  yield* poll({ previews: [previewOf(server, { id, target })] })
  const order = orderFor(server, { id: ORDER, reason: `because ${HOSTILE_SERVER}` })
  yield* request("POST", `/api/servers/${server}/orders`, { body: { preview_id: id, order } })
})

export const seedViews = once(
  Effect.gen(function* () {
    const { register, request } = yield* TestServer.TestServer
    const now = Math.floor(Date.now() / INTERVAL) * INTERVAL
    const one = yield* register("one-1")
    for (const payload of hour(now)) yield* push(one.token, payload)
    yield* push(one.token, {
      [GROUPS]: [2, 1, 0].flatMap((age) =>
        LOOK_ALIKES.map((name, n) => groupRow(now - age * INTERVAL, name, 20 - age + n, 30))
      )
    })
    yield* goesOn(one.token, now)
    yield* request("POST", "/api/recordings", { token: one.token, body: recorded() })
    yield* askedToAct("one-1", one.token)
    yield* register("never-1")
    yield* request("PUT", `/api/rules/${encodeURIComponent(QUIET_RULE.name)}`, {
      body: { document: QUIET_RULE, base_version: 0 }
    })
    const unit = yield* register("unit-1")
    for (const n of [1, 2, 3]) yield* push(unit.token, unitsAt(now - (3 - n) * INTERVAL, n))
    const hostile = yield* register(HOSTILE_SERVER)
    yield* push(hostile.token, {
      [HOST]: [hostRow(now - INTERVAL, 1), hostRow(now, 2)],
      [GROUPS]: [1, 0].map((age) => groupRow(now - age * INTERVAL, LOOK_ALIKES[0]!, 20 - age, 30))
    })
  })
)
