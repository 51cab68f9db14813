/**
 * Who may write for a server: one agent at a time, its *holder*. Pure decisions; where they are kept is `AgentsPostgres.ts`.
 *
 * A token that is on two machines (a cloned VM, a copied file) would mix the rows of both, and no number made of them means
 * anything. So each push says who it comes from (`AgentHello`), and:
 * - the first to come holds the token;
 * - an agent that was restarted follows itself at once: same boot, and it knows the start before (the file beside its spool);
 * - any other is a *rival* and waits, losing nothing, until the holder has been silent for three of its intervals. A machine
 *   that was rebooted, reinstalled or moved takes over like that. A clone does not, as long as the original reports;
 * - a holder that reports while a rival waits proves that there are two: a *conflict*, which both are told;
 * - a machine that was copied while it ran repeats the original's sequence: it is told to begin again under another number,
 *   and is a rival then.
 *
 * A state file that was copied proves nothing: without the same boot it is not believed, and of two on the same boot (two
 * containers) the one that came before is a rival from then on, as its start is nobody's predecessor.
 *
 * Silence is measured from the rival's first attempt (`contended`), or from `seenAt`, which is at most `REFRESH_MILLIS`
 * behind: so a holder that reports costs no write per push.
 */
import type { AgentHello, AgentIdentity, ClockStep, RefusedExporter, RestrainedAgent } from "../protocol/AgentHello.ts"

/** Times in epoch milliseconds of the server's clock. */
export interface AgentState {
  readonly holder: (AgentIdentity & { readonly name: string }) | null
  /** Since when it is the holder. */
  readonly since: number
  /** The last push, at most `REFRESH_MILLIS` ago while it reports. */
  readonly seenAt: number
  readonly intervalSeconds: number
  readonly sequence: number
  /** A rival has asked since, and the holder has not reported. */
  readonly contended: {
    readonly since: number
    readonly at: number
    readonly name: string
    readonly machine: string
  } | null
  /** Holder and rival have both reported, the rival at `at` last. */
  readonly conflict: {
    readonly since: number
    readonly at: number
    readonly name: string
    readonly sameMachine: boolean
  } | null
  /** How far the agent's clock is ahead of the server's. */
  readonly clock: { readonly skewSeconds: number; readonly at: number } | null
  readonly step: ClockStep | null
  /** What was added to the times of rows that were refused for the clock. */
  readonly corrected: { readonly seconds: number; readonly at: number } | null
  /** Exporters that answer there and report nothing though they should; absent: none. */
  readonly unmatched?: ReadonlyArray<string>
  /** Exporters whose scrapes are over a limit of the agent's; absent: none. */
  readonly refused?: ReadonlyArray<RefusedExporter>
  /** What the agent does without to keep within its budget; absent: nothing. */
  readonly restrained?: RestrainedAgent
  /** Exporters that it sends and this server does not know. */
  readonly unknown: ReadonlyArray<{ readonly exporter: string; readonly at: number }>
}

export const NO_AGENT: AgentState = {
  holder: null,
  since: 0,
  seenAt: 0,
  intervalSeconds: 15,
  sequence: 0,
  contended: null,
  conflict: null,
  clock: null,
  step: null,
  corrected: null,
  unknown: []
}

const REFRESH_MILLIS = 60_000
/** A refused rival is noted no more often than this. */
const RIVAL_REFRESH_MILLIS = 5_000
/** So many intervals of silence, and at least this long: longer than any process remembers what it read. */
const PATIENCE_INTERVALS = 3
const PATIENCE_MILLIS_MIN = 15_000
/** So long after the rival's last attempt there is no conflict any more; with long intervals, twice the patience. */
const CONFLICT_MILLIS = 10 * 60_000
/** So long after it was last sent, an exporter counts as known or gone: longer than the agent's longest pause. */
const UNKNOWN_MILLIS = 15 * 60_000
/** A conflict is somebody's to mend: the rival asks again after this. */
const CONFLICT_RETRY_SECONDS = 60
/** The path of a request takes time as well: a smaller change of the skew is none. */
const SKEW_NOTICED_SECONDS = 2

export type Verdict =
  | { readonly _tag: "Holder" }
  /** Another agent held the token a moment ago. */
  | { readonly _tag: "Wait"; readonly seconds: number; readonly patienceSeconds: number }
  /** Two machines report with one token. */
  | { readonly _tag: "Conflict"; readonly seconds: number; readonly holder: string; readonly sameMachine: boolean }
  /** Another machine sends under the same start. */
  | { readonly _tag: "Replayed" }

export interface Decision {
  readonly verdict: Verdict
  /** What is to be written; the state that was given where nothing is. */
  readonly state: AgentState
  /** A line for the log. */
  readonly event: { readonly level: "info" | "warning"; readonly text: string } | undefined
}

/** What follows from a push by `hello` at `now`. */
export const decide = (state: AgentState, hello: AgentHello, now: number): Decision => {
  const { holder } = state
  if (holder === null) return { verdict: HOLDER, state: held(state, hello, now), event: undefined }
  if (hello.start === holder.start) {
    if (hello.sequence <= state.sequence) return { verdict: { _tag: "Replayed" }, state, event: undefined }
    return reported(state, hello, now)
  }
  if (hello.boot === holder.boot && hello.after.includes(holder.start)) {
    return { verdict: HOLDER, state: held(state, hello, now), event: undefined }
  }
  return rivalled(state, holder, hello, now)
}

const HOLDER: Verdict = { _tag: "Holder" }

/** The holder reports. */
const reported = (state: AgentState, hello: AgentHello, now: number): Decision => {
  const { contended } = state
  const told = toldBy(state, hello, now)
  if (contended === null) {
    const due = now - state.seenAt >= REFRESH_MILLIS || told !== state
    return { verdict: HOLDER, state: due ? refreshed(told, hello, now) : state, event: undefined }
  }
  const before = conflictOf(state, now)
  const sameMachine = contended.machine === hello.machine
  const conflict = { since: before?.since ?? contended.since, at: contended.at, name: contended.name, sameMachine }
  const text = `two machines report with one token: "${hello.name}" writes, "${contended.name}" is refused${sameMachine ? ", a clone of it" : ""}; make a token of its own for one of them`
  const event = before === null ? ({ level: "warning", text } as const) : undefined
  return { verdict: HOLDER, state: { ...refreshed(told, hello, now), contended: null, conflict }, event }
}

/** Somebody else reports. */
const rivalled = (
  state: AgentState,
  holder: NonNullable<AgentState["holder"]>,
  hello: AgentHello,
  now: number
): Decision => {
  const patience = patienceOf(state)
  const { contended } = state
  const waited = contended === null ? 0 : now - contended.since
  if (waited >= patience || now - state.seenAt >= REFRESH_MILLIS + patience) {
    const silent = Math.round((now - state.seenAt) / 1_000)
    const text = `the agent on "${hello.name}" takes over from the one on "${holder.name}", which has been silent for ${silent} s`
    return { verdict: HOLDER, state: held(state, hello, now), event: { level: "info", text } }
  }
  const due = contended === null || now - contended.at >= RIVAL_REFRESH_MILLIS || contended.name !== hello.name
  const conflict = conflictOf(state, now)
  const next: AgentState = due
    ? {
        ...state,
        contended: { since: contended?.since ?? now, at: now, name: hello.name, machine: hello.machine },
        conflict: conflict === null ? null : { ...conflict, at: now }
      }
    : state
  const sameMachine = holder.machine === hello.machine
  const verdict: Verdict =
    conflict === null
      ? {
          _tag: "Wait",
          seconds: Math.max(1, Math.ceil((patience - waited) / 1_000)),
          patienceSeconds: Math.round(patience / 1_000)
        }
      : { _tag: "Conflict", seconds: CONFLICT_RETRY_SECONDS, holder: holder.name, sameMachine }
  return { verdict, state: next, event: undefined }
}

const patienceOf = ({ intervalSeconds }: AgentState): number =>
  Math.max(PATIENCE_MILLIS_MIN, intervalSeconds * PATIENCE_INTERVALS * 1_000)

/** The state of a new holder. What was said of the one before is no longer true. */
const held = (state: AgentState, hello: AgentHello, now: number): AgentState => {
  const { boot, machine, name, start } = hello
  const fresh = { ...state, holder: { boot, machine, name, start }, since: now, contended: null, conflict: null }
  const sameMachine = state.holder?.machine === machine
  return refreshed(
    toldBy(sameMachine ? fresh : { ...fresh, clock: null, step: null, corrected: null }, hello, now),
    hello,
    now
  )
}

const refreshed = (state: AgentState, hello: AgentHello, now: number): AgentState => ({
  ...state,
  seenAt: now,
  intervalSeconds: hello.intervalSeconds,
  sequence: hello.sequence,
  conflict: conflictOf(state, now)
})

/** What a push tells beside who it is from; the same state where that is nothing new. */
const toldBy = (state: AgentState, hello: AgentHello, now: number): AgentState => {
  const told = clockOf(state, hello, now)
  const { refused: refusedBefore = [], restrained: restrainedBefore, unmatched: unmatchedBefore = [], ...rest } = told
  const { refused = [], restrained, unmatched = [] } = hello
  const isRestrainedAlike = JSON.stringify(restrainedBefore) === JSON.stringify(restrained)
  if (isRestrainedAlike && unmatchedBefore.join() === unmatched.join() && isSame(refusedBefore, refused)) return told
  return {
    ...rest,
    ...(unmatched.length === 0 ? {} : { unmatched }),
    ...(refused.length === 0 ? {} : { refused }),
    ...(restrained === undefined ? {} : { restrained })
  }
}

const isSame = (before: ReadonlyArray<RefusedExporter>, after: ReadonlyArray<RefusedExporter>): boolean =>
  before.length === after.length &&
  before.every(({ exporter, limit, most }, index) => {
    const other = after[index]
    return exporter === other?.exporter && limit === other.limit && most === other.most
  })

/** What a push tells about its clock; the same state where that is nothing new. */
const clockOf = (state: AgentState, hello: AgentHello, now: number): AgentState => {
  const skewSeconds = hello.sent === undefined ? undefined : Math.round(hello.sent * 10 - now / 100) / 10
  const skewed =
    skewSeconds !== undefined &&
    (state.clock === null || Math.abs(skewSeconds - state.clock.skewSeconds) >= SKEW_NOTICED_SECONDS)
  const stepped = hello.step !== undefined && hello.step.at !== state.step?.at
  const corrected = hello.corrected !== undefined && hello.corrected !== state.corrected?.seconds
  if (!skewed && !stepped && !corrected) return state
  return {
    ...state,
    clock: skewed ? { skewSeconds, at: now } : state.clock,
    step: hello.step ?? state.step,
    corrected: corrected ? { seconds: hello.corrected, at: now } : state.corrected
  }
}

/** The conflict that there is at `now`. */
export const conflictOf = (state: AgentState, now: number): AgentState["conflict"] =>
  state.conflict !== null && now - state.conflict.at < Math.max(CONFLICT_MILLIS, 2 * patienceOf(state))
    ? state.conflict
    : null

/** The exporters that the server did not know lately. */
export const unknownOf = (state: AgentState, now: number): ReadonlyArray<string> =>
  state.unknown.filter(({ at }) => now - at < UNKNOWN_MILLIS).map(({ exporter }) => exporter)

/** Notes exporters that this server does not know; the same state where that was noted within the last minute. */
export const withUnknown = (state: AgentState, exporters: ReadonlyArray<string>, now: number): AgentState => {
  const noted = new Map(state.unknown.map(({ at, exporter }) => [exporter, at]))
  const fresh = exporters.every((exporter) => now - (noted.get(exporter) ?? Number.NEGATIVE_INFINITY) < REFRESH_MILLIS)
  if (fresh) return state
  const kept = state.unknown.filter(({ at, exporter }) => now - at < UNKNOWN_MILLIS && !exporters.includes(exporter))
  const unknown = [...exporters.map((exporter) => ({ exporter, at: now })), ...kept].slice(0, UNKNOWN_MAX)
  return { ...state, unknown }
}

const UNKNOWN_MAX = 10
