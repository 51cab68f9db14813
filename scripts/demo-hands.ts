/**
 * A host of the demonstration that acts: `monitoring`, where a renderer of pictures went wild. Ada has limited it some minutes ago, as
 * `demo-fleet.ts` has it; what she may do next its host tells whoever asks. It is played (`PlayedHands.ts`): nothing is done.
 *
 * Its approvers' keys follow from their names, so that pictures can be taken of somebody who signs: they are no secrets, and no real host
 * may have them. Whoever tries the demonstration gives orders unsigned.
 */
import { createHash, createPrivateKey, randomBytes, randomUUID } from "node:crypto"
import { PgClient, PgTypes } from "@effect/sql-pg"
import { Effect } from "effect"
import { approve, keyIdOf, rawPublicKeyOf } from "../src/protocol/Approvals.ts"
import type { Offer, Order, PreviewProcess } from "../src/protocol/Orders.ts"
import { REVERTED_VERBS } from "../src/protocol/OrderText.ts"
import { WILD } from "./demo-fleet.ts"
import { type PlayedHost, playHands } from "./PlayedHands.ts"

export const ACTING_SERVER = "monitoring"

const BOOT = randomUUID()
const UNIT = { unit: `${WILD.name}.service`, invocation: randomBytes(16).toString("hex") }
/** Ticks, 100 a second: six days after the boot. */
const STARTED = 51_840_217

const processOf = (pid: number, after: number, cpu: number, children = 0): PreviewProcess => ({
  pid,
  start_ticks: STARTED + after,
  name: WILD.name.slice(0, 15),
  group: WILD.name,
  parent: pid === 20_117 ? 1 : 20_117,
  user: "grafana",
  state: children > 0 ? "S" : "R",
  command: `/usr/share/grafana/plugins/${WILD.name}`,
  unit: UNIT.unit,
  threads: 7,
  nice: 0,
  children,
  memory_bytes: (children > 0 ? 62 : 141) * 2 ** 20,
  cpu_seconds: cpu,
  container: false
})

const PROCESSES = [processOf(20_117, 0, 212, 2), processOf(20_441, 140_800, 1_404), processOf(20_442, 140_810, 1_377)]

const offer = (verb: Offer["verb"], target: Offer["target"], would: string, more: Partial<Offer> = {}): Offer => ({
  verb,
  target,
  refusal: null,
  roles: ["operator", "admin"],
  second_person: false,
  left_this_hour: 5,
  would,
  settings: {},
  ...more
})

const minutes = { min: 1, max: 120 }
const OFFERS: ReadonlyArray<Offer> = [
  offer("weight", UNIT, "set CPUWeight= at run time; it is not set now", {
    settings: { weight: { min: 1, max: 100 }, minutes }
  }),
  offer("quota", UNIT, "set CPUQuota= at run time; it is 40 % of one core now", {
    settings: { percent: { min: 20, max: 200 }, minutes }
  }),
  offer("restart", UNIT, "restart it: its 3 processes end and are started anew", {
    second_person: true,
    roles: ["admin"],
    left_this_hour: 1
  }),
  ...PROCESSES.flatMap(({ name, pid, start_ticks }) => {
    const target = { pid, start_ticks, name }
    return [
      offer("nice", target, `set the nice value of process ${pid}`, { settings: { nice: { min: 1, max: 19 } } }),
      offer("terminate", target, `send SIGTERM to process ${pid}, and to nothing else`),
      offer("kill", target, "", { refusal: { code: "term-first", message: "" } })
    ]
  })
]

/** What stands before the 32 bytes of an Ed25519 key in PKCS #8 (RFC 8410). */
const PKCS8 = Buffer.from("302e020100300506032b657004220420", "hex")

const personOf = (name: string, role: "operator" | "admin") => {
  const seed = createHash("sha256").update(`a key of the demonstration, which is no secret: ${name}`).digest()
  const pkcs8 = Buffer.concat([PKCS8, seed])
  const privateKey = createPrivateKey({ key: pkcs8, format: "der", type: "pkcs8" })
  const publicKey = rawPublicKeyOf(privateKey)
  return { pkcs8, privateKey, approver: { name, role, key: keyIdOf(publicKey), publicKey } }
}

/** Whose browser the pictures are taken in. */
export const ada = personOf("Ada", "admin")
const bob = personOf("Bob", "admin")

const hostOf = (server: string): PlayedHost => ({
  server,
  bootId: BOOT,
  approvers: [ada.approver, bob.approver],
  rules: [
    {
      verbs: ["nice", "weight", "quota", "terminate", "kill"],
      units: [UNIT.unit],
      names: [],
      roles: ["operator", "admin"],
      second_person: false,
      per_hour: 6,
      hours: null
    },
    {
      verbs: ["restart"],
      units: [UNIT.unit],
      names: [],
      roles: ["admin"],
      second_person: true,
      per_hour: 1,
      hours: null
    }
  ],
  unit: {
    ...UNIT,
    description: "Renders panels as pictures",
    active: "active",
    restart: "on-failure",
    main_pid: 20_117,
    processes: PROCESSES.length,
    dependants: [],
    dependants_more: 0,
    weight: null,
    quota_percent: 40,
    memory_high_bytes: null,
    memory_bytes: 344 * 2 ** 20
  },
  processes: PROCESSES,
  shares: [],
  offers: OFFERS,
  does: ({ verb }) => ({
    result: "done",
    code: null,
    message: "played: nothing was done",
    reverts_at: REVERTED_VERBS.some((one) => one === verb) ? Math.floor(Date.now() / 1_000) + 1_800 : null
  })
})

/** What Ada did, as it would have been stored then. `now`: epoch seconds, as the fleet counts it. */
const insertStory = Effect.fnUntraced(function* (server: string, now: number) {
  const sql = yield* PgClient.PgClient
  const at = now - WILD.limitedFor
  const order: Order = {
    version: 1,
    id: randomUUID(),
    server,
    boot_id: BOOT,
    verb: "quota",
    target: UNIT,
    settings: { percent: 40, minutes: 120 },
    reason: "Alerts are evaluated late: the renderer takes the CPU",
    nonce: randomBytes(16).toString("base64url")
  }
  const approval = approve(order, "Ada", at + 55, ada.privateKey)
  const outcome = {
    id: randomUUID(),
    order: order.id,
    result: "done",
    code: null,
    message: `CPUQuota=40% is set on ${UNIT.unit}`,
    at,
    by: ["Ada"],
    reverts_at: at + 7_200
  }
  const complete = { until: at + 55, approvals: [approval] }
  for (const [seconds, event, author, content] of [
    [-9, "asked", "link:Ada", { order, preview_id: randomUUID(), needed: 1, group: null }],
    [-9, "approved", "link:Ada", { approval, complete }],
    [-1, "sent", `hands:${server}`, {}],
    [1, "done", `hands:${server}`, outcome]
  ] as const) {
    yield* sql.unsafe(STORE, [
      PgTypes.text(order.id),
      PgTypes.text(server),
      PgTypes.float8(at + seconds),
      PgTypes.text(event),
      PgTypes.text(author),
      PgTypes.json(content)
    ])
  }
})

const STORE = `insert into admiral.orders (order_id, server_id, at, event, author, content)
select $1::text, server.id, to_timestamp($3::float8), $4::text, $5::text, $6::json
from admiral.servers as server where server.server_id = $2::text`

/** Tells the story, and goes on as its host for ever. `now`: epoch seconds, as the fleet counts it. */
export const actOnFleet = Effect.fnUntraced(function* (
  url: string,
  agent: { readonly id: string; readonly token: string },
  now: number
) {
  yield* insertStory(agent.id, now)
  return yield* playHands(url, agent.token, hostOf(agent.id))
})
