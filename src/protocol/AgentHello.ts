/**
 * What an agent says of itself with each push, beside the rows: the header `nodepulse-agent`. Both ends read and write it
 * here.
 *
 * ```
 * nodepulse-agent: name=web-1; machine=5f0c…; boot=9a41…; start=c07e…; after=77d0…; seq=12; interval=15;
 *                  sent=1764378549.123; step=-60.002@1764378500.001; corrected=-1200.000
 * ```
 *
 * - `machine`, `boot`, `start`: SHA-256 of the machine's id, of the boot's, of a number drawn when the agent started, each cut
 *   to 32 hexadecimal digits. Hashes only: the ids themselves stay where they are.
 * - `after`: earlier starts of the same agent, from the file beside its spool.
 * - `seq`: ascends with each request of one start; a second machine that was copied while it ran repeats it.
 * - `interval`: seconds between two pushes. `sent`: the agent's clock, epoch seconds.
 * - `step`: the last time that its clock was set, by how much and when. `corrected`: what was added to the times of the rows
 *   of this request, seconds.
 * - `unmatched`: exporters that answer there and report nothing though they should.
 * - `refused`: exporters whose scrapes are over a limit of the agent's, as `exporter/limit/most`, such as `…/series/50000`.
 * - `restrained`: what the agent does without to keep within its budget, and for which resource, such as
 *   `cpu,interval:4,groups:500,recorder:off`.
 *
 * Guarantee: reading never fails. A header that says no identity, or is longer than `HEADER_LENGTH_MAX`, is as good as none,
 * an unknown or unreadable part is left out: an older or a newer agent works without it.
 */
import { createHash } from "node:crypto"

export const AGENT_HEADER = "nodepulse-agent"
const HEADER_LENGTH_MAX = 2_048
export const AFTER_MAX = 8
const NAME_LENGTH_MAX = 64
const INTERVAL_SECONDS = { least: 1, most: 3_600, usual: 15 } as const

export interface AgentIdentity {
  readonly machine: string
  readonly boot: string
  readonly start: string
}

/** A step of the wall clock: signed seconds, and the moment after it, epoch seconds by the new time. */
export interface ClockStep {
  readonly seconds: number
  readonly at: number
}

/** An exporter that serves more than the agent takes: the limit that it is over, in bytes of a body or in series. */
export interface RefusedExporter {
  readonly exporter: string
  readonly limit: "body" | "series"
  readonly most: number
}

/** What an agent does without to keep within its budget. */
export interface RestrainedAgent {
  readonly causes: ReadonlyArray<"cpu" | "memory">
  /** How many times longer the time between two scrapes is. */
  readonly interval: 1 | 2 | 4
  /** How many groups it keeps apart; null: as many as ever. */
  readonly groups: number | null
  /** Whether the flight recorder runs. */
  readonly recorder: boolean
}

export interface AgentHello extends AgentIdentity {
  /** What the machine is called there: printable ASCII. */
  readonly name: string
  readonly after: ReadonlyArray<string>
  readonly sequence: number
  readonly intervalSeconds: number
  /** Epoch seconds of the agent's clock; undefined where it does not say. */
  readonly sent: number | undefined
  readonly step: ClockStep | undefined
  /** Seconds; undefined where the times are as they were taken. */
  readonly corrected: number | undefined
  /** Absent: none. */
  readonly unmatched?: ReadonlyArray<string>
  /** Absent: none. */
  readonly refused?: ReadonlyArray<RefusedExporter>
  /** Absent: it does all that it is asked to. */
  readonly restrained?: RestrainedAgent
}

/** What is sent of an id. */
export const hashOf = (kind: "machine" | "boot" | "start", id: string): string =>
  createHash("sha256").update(`nodepulse ${kind} ${id}`).digest("hex").slice(0, 32)

/** The header's value. */
export const formatHello = (hello: AgentHello): string => {
  const parts = [
    `name=${nameOf(hello.name)}`,
    `machine=${hello.machine}`,
    `boot=${hello.boot}`,
    `start=${hello.start}`,
    ...(hello.after.length === 0 ? [] : [`after=${hello.after.slice(-AFTER_MAX).join(",")}`]),
    `seq=${hello.sequence}`,
    `interval=${hello.intervalSeconds}`,
    ...(hello.sent === undefined ? [] : [`sent=${hello.sent.toFixed(3)}`]),
    ...(hello.step === undefined ? [] : [`step=${hello.step.seconds.toFixed(3)}@${hello.step.at.toFixed(3)}`]),
    ...(hello.corrected === undefined ? [] : [`corrected=${hello.corrected.toFixed(3)}`]),
    ...listed("unmatched", unmatchedOf(hello.unmatched)),
    ...listed("restrained", restrainedTexts(hello.restrained)),
    ...listed("refused", (hello.refused ?? []).map(refusedText).filter(isRefusal).slice(0, EXPORTERS_MAX))
  ]
  return parts.join("; ")
}

/** What the header says; undefined where it names no machine, boot and start. */
export const parseHello = (header: string | ReadonlyArray<string> | undefined): AgentHello | undefined => {
  if (typeof header !== "string" || header.length > HEADER_LENGTH_MAX) return undefined
  const parts = new Map<string, string>()
  for (const part of header.split(";")) {
    const equals = part.indexOf("=")
    if (equals > 0) parts.set(part.slice(0, equals).trim(), part.slice(equals + 1).trim())
  }
  const [machine, boot, start] = [parts.get("machine"), parts.get("boot"), parts.get("start")]
  if (!isHash(machine) || !isHash(boot) || !isHash(start)) return undefined
  const [seconds, at] = (parts.get("step") ?? "").split("@")
  const step = { seconds: numberOf(seconds), at: numberOf(at) }
  const unmatched = unmatchedOf((parts.get("unmatched") ?? "").split(","))
  const refused = [...new Set((parts.get("refused") ?? "").split(","))]
    .filter(isRefusal)
    .slice(0, EXPORTERS_MAX)
    .map(refusedOf)
  const restrained = restrainedOf(parts.get("restrained"))
  return {
    name: nameOf(parts.get("name") ?? ""),
    machine,
    boot,
    start,
    after: (parts.get("after") ?? "").split(",").filter(isHash).slice(-AFTER_MAX),
    sequence: Math.max(0, Math.floor(numberOf(parts.get("seq")) ?? 0)),
    intervalSeconds: Math.min(
      Math.max(numberOf(parts.get("interval")) ?? INTERVAL_SECONDS.usual, INTERVAL_SECONDS.least),
      INTERVAL_SECONDS.most
    ),
    sent: numberOf(parts.get("sent")),
    step: step.seconds === undefined || step.at === undefined ? undefined : { seconds: step.seconds, at: step.at },
    corrected: numberOf(parts.get("corrected")),
    ...(unmatched.length === 0 ? {} : { unmatched }),
    ...(refused.length === 0 ? {} : { refused }),
    ...(restrained === undefined ? {} : { restrained })
  }
}

const CAUSES = ["cpu", "memory"] as const

const restrainedTexts = (restrained: RestrainedAgent | undefined): ReadonlyArray<string> => {
  if (restrained === undefined) return []
  const { causes, groups, interval, recorder } = restrained
  return [
    ...CAUSES.filter((cause) => causes.includes(cause)),
    ...(interval === 1 ? [] : [`interval:${interval}`]),
    ...(groups === null ? [] : [`groups:${groups}`]),
    ...(recorder ? [] : ["recorder:off"])
  ]
}

/** Undefined where it names no resource: whatever else it says is as good as nothing. */
const restrainedOf = (text = ""): RestrainedAgent | undefined => {
  const found = text.split(",", RESTRAINED_PARTS_MAX)
  const causes = CAUSES.filter((cause) => found.includes(cause))
  if (causes.length === 0) return undefined
  const groups = found.map((part) => /^groups:([1-9]\d{0,5})$/.exec(part)?.[1]).find((count) => count !== undefined)
  return {
    causes,
    interval: found.includes("interval:4") ? 4 : found.includes("interval:2") ? 2 : 1,
    groups: groups === undefined ? null : Number(groups),
    recorder: !found.includes("recorder:off")
  }
}

const RESTRAINED_PARTS_MAX = 8

/** Names of exporters, as a registry has them. */
const unmatchedOf = (names: ReadonlyArray<string> = []): ReadonlyArray<string> =>
  names.filter((name) => /^[a-z][a-z0-9_]{0,39}$/.test(name)).slice(0, EXPORTERS_MAX)

const refusedText = ({ exporter, limit, most }: RefusedExporter): string => `${exporter}/${limit}/${most}`

const isRefusal = (text: string): boolean => /^[a-z][a-z0-9_]{0,39}\/(body|series)\/[1-9]\d{0,11}$/.test(text)

/** Of a text that {@link isRefusal}. */
const refusedOf = (text: string): RefusedExporter => {
  const [exporter, limit, most] = text.split("/") as [string, RefusedExporter["limit"], string]
  return { exporter, limit, most: Number(most) }
}

/** Of each kind of trouble: more than there are exporters with one. */
const EXPORTERS_MAX = 8

const listed = (name: string, values: ReadonlyArray<string>): ReadonlyArray<string> =>
  values.length === 0 ? [] : [`${name}=${values.join(",")}`]

const isHash = (text: string | undefined): text is string => text !== undefined && /^[0-9a-f]{32}$/.test(text)

/** Seconds of some thousand years are as far as any of these numbers goes. */
const numberOf = (text: string | undefined): number | undefined =>
  text !== undefined && /^-?\d{1,11}(\.\d{1,9})?$/.test(text) ? Number(text) : undefined

const nameOf = (text: string): string => text.replace(/[^\x21-\x7e]|[;,"\\]/g, "?").slice(0, NAME_LENGTH_MAX)
