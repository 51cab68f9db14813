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
 * passed over; it was followed by nothing. Of two programs that write the same file, through whatever mishap, at most one gets past
 * {@link OrderJournal.intend}: after each line the file has to be as long as this one has written it.
 *
 * Times: `at` by the wall clock, epoch seconds, for people; `up` seconds since the boot, by which rates are counted.
 *
 * Bounds: {@link SEEN_MAX} orders of one boot, then nothing more is accepted until the next; refusals are written up to
 * {@link REFUSALS_PER_HOUR} an hour, and the last {@link UNSENT_MAX} of them are kept for the server. A file over {@link BYTES_MAX} that has
 * doubled since it was begun is set aside as `journal.1`, where one was before it goes; so what is kept of it is bounded by what still counts.
 */
import * as Fs from "node:fs"
import { join } from "node:path"
import { Schema } from "effect"
import { type Order, Order as OrderSchema, Outcome } from "../../src/protocol/Orders.ts"
import { ORDER_LIMITS } from "../../src/protocol/OrderText.ts"

const BYTES_MAX = 8 * 1024 * 1024
const SEEN_MAX = 10_000
const REFUSALS_PER_HOUR = 300
const UNSENT_MAX = 1_000
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
  /** Bytes of the file, and how many it had when it was begun. */
  #length = 0
  #begunWith = 0

  constructor(folder: string, bootId: string) {
    this.#folder = folder
    this.#bootId = bootId
    Fs.mkdirSync(folder, { recursive: true, mode: 0o700 })
    const path = join(folder, "journal")
    const text = Fs.existsSync(path) ? Fs.readFileSync(path, "utf8") : ""
    for (const line of text.split("\n")) this.#take(readLine(line))
    this.#intents = this.#intents.slice(-SEEN_MAX)
    this.#file = this.#opened()
    // What a crash tore must not swallow the line that comes next.
    if (text !== "" && !text.endsWith("\n")) this.#length += Fs.writeSync(this.#file, "\n")
    this.#setAsideIfLong()
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

  /** What became of an order that was accepted, in words; empty where there is none. */
  endingOf(order: string): string {
    const outcome = this.#outcomes.get(order)
    return outcome === undefined ? "" : `${outcome.result}: ${outcome.message}`
  }

  /** How often the rule was used within the last hour. */
  usesOf(rule: string, up: number): number {
    return this.#intents.filter((intent) => intent.rule === rule && up - intent.up < HOUR_SECONDS).length
  }

  /** Writes that the order is about to be done. From here on it is never done again. */
  intend(intent: Omit<Intent, "kind">): void {
    this.#append({ kind: "intent", ...intent })
  }

  /** Writes what became of an order, if it is not one refusal of too many, which is told nobody; `last`: the next one would be. */
  conclude(outcome: Outcome, up: number): "yes" | "last" | "no" {
    if (outcome.result === "refused") {
      this.#refusals = this.#refusals.filter((at) => up - at < HOUR_SECONDS)
      if (this.#refusals.length >= REFUSALS_PER_HOUR) return "no"
      this.#refusals.push(up)
    }
    this.#append({ kind: "outcome", outcome })
    this.#setAsideIfLong()
    return outcome.result === "refused" && this.#refusals.length >= REFUSALS_PER_HOUR ? "last" : "yes"
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
    this.#length += bytes.length
    const path = join(this.#folder, "journal")
    const { ino, size } = Fs.fstatSync(this.#file)
    if (size !== this.#length || Fs.statSync(path, { throwIfNoEntry: false })?.ino !== ino) {
      throw new Error(`${path} was changed by somebody else: this program ends before it does anything`)
    }
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
      if (result === "refused") this.#forgetRefusals()
    } else {
      this.#open.set(line.order.id, line)
      if (line.order.boot_id !== this.#bootId) return
      this.#intents.push(line)
      this.#ids.add(line.order.id)
      this.#nonces.add(line.order.nonce)
    }
  }

  /** A server that records nothing does not make this program remember without end. */
  #forgetRefusals(): void {
    if (this.#unsent.size <= UNSENT_MAX) return
    const oldest = [...this.#unsent.values()].find(({ result }) => result === "refused")
    if (oldest !== undefined) this.#unsent.delete(oldest.id)
  }

  #opened(): number {
    const file = Fs.openSync(join(this.#folder, "journal"), "a", 0o600)
    this.#length = Fs.fstatSync(file).size
    return file
  }

  #setAsideIfLong(): void {
    if (this.#length <= Math.max(BYTES_MAX, this.#begunWith * 2)) return
    this.#setAside(join(this.#folder, "journal"))
    Fs.closeSync(this.#file)
    this.#file = this.#opened()
    this.#begunWith = this.#length
    syncFolder(this.#folder)
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
