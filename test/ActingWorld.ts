/** People who sign and hosts that answer, as the server sees them: what tests of acting ask and say. */
import { generateKeyPairSync, type KeyObject, randomBytes, randomUUID } from "node:crypto"
import { approve, keyIdOf, rawPublicKeyOf } from "../src/protocol/Approvals.ts"
import type { Approval, Offer, Order, Outcome, Poll, Preview, PreviewRequest } from "../src/protocol/Orders.ts"

const BOOT = "11111111-2222-4333-8444-555555555555"

export interface Person {
  readonly name: string
  readonly privateKey: KeyObject
  readonly key: string
  /** As it stands in a host's file. */
  readonly publicKey: string
}

export const person = (name: string): Person => {
  const { privateKey } = generateKeyPairSync("ed25519")
  const raw = rawPublicKeyOf(privateKey)
  return { name, privateKey, key: keyIdOf(raw), publicKey: Buffer.from(raw).toString("base64") }
}

/** Signed now, for so many seconds. */
export const signed = (order: Order, { name, privateKey }: Person, seconds = 55): Approval =>
  approve(order, name, Math.floor(Date.now() / 1_000) + seconds, privateKey)

const PROCESS = { pid: 4_711, start_ticks: 123_456, name: "burner" } as const
export const UNIT = { unit: "burner.service", invocation: "0123456789abcdef0123456789abcdef" } as const

export const orderFor = (server: string, changes: Partial<Order> = {}): Order =>
  ({
    version: 1,
    id: randomUUID(),
    server,
    boot_id: BOOT,
    verb: "terminate",
    target: PROCESS,
    settings: {},
    reason: "it burns",
    nonce: randomBytes(16).toString("base64url"),
    ...changes
  }) as Order

const offer = (verb: Offer["verb"], target: Offer["target"], second_person: boolean): Offer => ({
  verb,
  target,
  refusal: null,
  roles: ["operator"],
  second_person,
  left_this_hour: 3,
  would: `would ${verb} it`,
  settings: {}
})

/** What a host answers that allows to end its process alone, and to restart its unit for two persons. */
export const previewOf = (server: string, { id, target }: PreviewRequest): Preview => ({
  version: 1,
  id,
  server,
  boot_id: BOOT,
  at: Math.floor(Date.now() / 1_000),
  target,
  refusal: null,
  unit: null,
  processes: [],
  processes_more: 0,
  shares: [],
  offers: [offer("terminate", PROCESS, false), offer("restart", UNIT, true)],
  approvers: []
})

export const outcomeOf = (order: string | null, changes: Partial<Outcome> = {}): Outcome => ({
  id: randomUUID(),
  order,
  result: "done",
  code: null,
  message: "done as asked",
  at: Math.floor(Date.now() / 1_000),
  by: ["ada"],
  reverts_at: null,
  ...changes
})

export const pollOf = (server: string, changes: Partial<Poll> = {}): Poll => ({
  version: 1,
  server,
  boot_id: BOOT,
  wait_seconds: 0,
  rules_digest: "A".repeat(43),
  rules: [],
  approvers: [],
  previews: [],
  outcomes: [],
  ...changes
})
