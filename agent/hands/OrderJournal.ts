/**
 * What this host was asked and what became of it: a file that only grows, a line of JSON each, and the audit of this side.
 *
 * ```
 * {"kind":"intent","order":{…},"by":["ada"],"rule":"…","at":1764513600,"up":1234.5}   written to disk before anything is done
 * {"kind":"outcome","outcome":{…}}                                                    and after it
 * {"kind":"recorded","id":"…"}                                                        the server has the outcome
 * ```
 *
 * Guarantee: an intent is on the disk before {@link OrderJournal.intend} returns, and an order or a nonce that has one is never
 * accepted again in this boot, whatever the clocks do (an order of another boot is refused anyway). A line that a crash has torn is
 * passed over; it was followed by nothing.
 *
 * Times: `at` by the wall clock, epoch seconds, for people; `up` seconds since the boot, by which rates are counted.
 *
 * Bounds: {@link SEEN_MAX} orders of one boot, then nothing more is accepted until the next; refusals are written up to
 * {@link REFUSALS_PER_HOUR} an hour. A file over {@link BYTES_MAX} is set aside at the start as `journal.1`, where one was before it goes.
 */
import * as Fs from "node:fs"
import { join } from "node:path"
import { Schema } from "effect"
import { type Order, Order as OrderSchema, Outcome } from "../../src/protocol/Orders.ts"
import { ORDER_LIMITS } from "../../src/protocol/OrderText.ts"

const BYTES_MAX = 8 * 1024 * 1024
const SEEN_MAX = 10_000
const REFUSALS_PER_HOUR = 300
const HOUR_SECONDS = 3_600

const Intent = Schema.Struct({
  kind: Schema.Literal("intent"),
  order: OrderSchema,
  by: Schema.Array(Schema.String),
  rule: Schema.String,
  at: Schema.Finite,
  up: Schema.Finite
})
export type Intent = typeof Intent.Type
const Line = Schema.Union([
  Intent,
  Schema.Struct({ kind: Schema.Literal("outcome"), outcome: Outcome }),
  Schema.Struct({ kind: Schema.Literal("recorded"), id: Schema.String })
])
type Line = typeof Line.Type
const decode = Schema.decodeUnknownOption(Line)

export class OrderJournal {
  readonly #folder: string
  readonly #bootId: string
  #file: number
  #intents: Array<Intent> = []
  readonly #open = new Map<string, Intent>()
  readonly #nonces = new Set<string>()
  readonly #ids = new Set<string>()
  /** By their own ids, until the server has them. */
  readonly #unsent = new Map<string, Outcome>()
  /** What became of orders that were accepted, by the order's id. */
  readonly #outcomes = new Map<string, Outcome>()
  #refusals: Array<number> = []

  constructor(folder: string, bootId: string) {
    this.#folder = folder
    this.#bootId = bootId
    Fs.mkdirSync(folder, { recursive: true, mode: 0o700 })
    const path = join(folder, "journal")
    const text = Fs.existsSync(path) ? Fs.readFileSync(path, "utf8") : ""
    for (const line of text.split("\n")) this.#take(readLine(line))
    this.#intents = this.#intents.slice(-SEEN_MAX)
    if (Buffer.byteLength(text) > BYTES_MAX) this.#setAside(path)
    this.#file = Fs.openSync(path, "a", 0o600)
    // What a crash tore must not swallow the line that comes next.
    if (text !== "" && !text.endsWith("\n")) Fs.writeSync(this.#file, "\n")
    syncFolder(folder)
  }

  /** Orders of this boot, the oldest first. */
  get intents(): ReadonlyArray<Intent> {
    return this.#intents
  }

  get isFull(): boolean {
    return this.#ids.size >= SEEN_MAX
  }

  /** Whether an order with this id or this nonce was accepted in this boot. */
  hasSeen({ id, nonce }: Order): boolean {
    return this.#ids.has(id) || this.#nonces.has(nonce)
  }

  /** How often the rule was used within the last hour. */
  usesOf(rule: string, up: number): number {
    return this.#intents.filter((intent) => intent.rule === rule && up - intent.up < HOUR_SECONDS).length
  }

  /** Writes that the order is about to be done. From here on it is never done again. */
  intend(intent: Omit<Intent, "kind">): void {
    this.#append({ kind: "intent", ...intent })
  }

  /** Writes what became of an order; false where it is one refusal of too many, which is told nobody. */
  conclude(outcome: Outcome, up: number): boolean {
    if (outcome.result === "refused") {
      this.#refusals = this.#refusals.filter((at) => up - at < HOUR_SECONDS)
      if (this.#refusals.length >= REFUSALS_PER_HOUR) return false
      this.#refusals.push(up)
    }
    this.#append({ kind: "outcome", outcome })
    return true
  }

  /** Intents of any boot that have no outcome: this program ended while it was at them. */
  get interrupted(): ReadonlyArray<Intent> {
    return [...this.#open.values()]
  }

  /** Outcomes that the server does not have yet, the oldest first. */
  unsent(): ReadonlyArray<Outcome> {
    return [...this.#unsent.values()].slice(0, ORDER_LIMITS.outcomes)
  }

  recorded(ids: ReadonlyArray<string>): void {
    for (const id of ids) if (this.#unsent.has(id)) this.#append({ kind: "recorded", id })
  }

  close(): void {
    Fs.closeSync(this.#file)
  }

  #append(line: Line): void {
    const bytes = Buffer.from(`${JSON.stringify(line)}\n`)
    let written = 0
    while (written < bytes.length) written += Fs.writeSync(this.#file, bytes, written)
    Fs.fdatasyncSync(this.#file)
    this.#take(line)
  }

  #take(line: Line | undefined): void {
    if (line === undefined) return
    if (line.kind === "recorded") {
      this.#unsent.delete(line.id)
    } else if (line.kind === "outcome") {
      const { id, order, result } = line.outcome
      if (order !== null && result !== "refused") {
        this.#open.delete(order)
        this.#outcomes.set(order, line.outcome)
      }
      this.#unsent.set(id, line.outcome)
    } else {
      this.#open.set(line.order.id, line)
      if (line.order.boot_id !== this.#bootId) return
      this.#intents.push(line)
      this.#ids.add(line.order.id)
      this.#nonces.add(line.order.nonce)
    }
  }

  /** Begins a new file with what still counts. */
  #setAside(path: string): void {
    const outcomes = this.#intents.flatMap(({ order }) => this.#outcomes.get(order.id) ?? [])
    const intents = new Set([...this.#intents, ...this.#open.values()])
    const kept: ReadonlyArray<Line> = [
      ...intents,
      ...outcomes.map((outcome): Line => ({ kind: "outcome", outcome })),
      ...outcomes.filter(({ id }) => !this.#unsent.has(id)).map(({ id }): Line => ({ kind: "recorded", id })),
      ...[...this.#unsent.values()]
        .filter((outcome) => !outcomes.includes(outcome))
        .map((outcome): Line => ({ kind: "outcome", outcome }))
    ]
    const fresh = join(this.#folder, "journal.new")
    Fs.writeFileSync(fresh, kept.map((line) => `${JSON.stringify(line)}\n`).join(""), { mode: 0o600, flush: true })
    // First a second name for the old one, then the new one in its place: at every moment there is one.
    Fs.rmSync(join(this.#folder, "journal.1"), { force: true })
    Fs.linkSync(path, join(this.#folder, "journal.1"))
    Fs.renameSync(fresh, path)
  }
}

const readLine = (text: string): Line | undefined => {
  try {
    const line = decode(JSON.parse(text))
    return line._tag === "Some" ? line.value : undefined
  } catch {
    return undefined
  }
}

const syncFolder = (folder: string): void => {
  const file = Fs.openSync(folder, "r")
  Fs.fsyncSync(file)
  Fs.closeSync(file)
}
