/**
 * What the API says of a server's agent, and when the server was really last heard of: one function each, for
 * `/api/servers` and `/api/fleet`.
 */
import { type AgentState, conflictOf, unknownOf } from "../../access/AgentHolder.ts"
import type { Registry } from "../../plugins/Registry.ts"
import { makeRecentMap } from "../../sinks/postgres/RecentMap.ts"
import type { AgentFields } from "../api/Answers.ts"

/** Of the agent that writes for a server; undefined: none that says who it is. */
export const agentFields = (
  state: AgentState | undefined,
  nowMillis: number,
  registry?: Pick<Registry["Service"], "get">
): AgentFields => {
  const conflict = state === undefined ? null : conflictOf(state, nowMillis)
  return {
    clock_skew_seconds: state?.clock?.skewSeconds ?? null,
    clock_step_seconds: state?.step?.seconds ?? null,
    clock_stepped_at: state?.step == null ? null : timeOf(state.step.at * 1_000),
    clock_corrected_seconds: state?.corrected?.seconds ?? null,
    conflict:
      conflict === null
        ? null
        : {
            since: timeOf(conflict.since),
            last_seen: timeOf(conflict.at),
            writes: state?.holder?.name ?? "",
            refused: conflict.name,
            same_machine: conflict.sameMachine
          },
    unmatched_exporters: (state?.unmatched ?? []).map((exporter) => ({
      exporter,
      ...(registry?.get(exporter)?.scrape.empty ?? { complaint: "reports nothing", remedy: [] })
    })),
    refused_exporters: (state?.refused ?? []).map(({ exporter, limit, most }) => ({
      exporter,
      setting: `${limit}_limit` as const,
      most
    })),
    restrained:
      state?.restrained === undefined
        ? null
        : {
            causes: state.restrained.causes,
            interval_factor: state.restrained.interval,
            groups_max: state.restrained.groups,
            recorder: state.restrained.recorder
          },
    unknown_exporters: state === undefined ? [] : unknownOf(state, nowMillis)
  }
}

/** What an agent told is no later than the year 5138 (`AgentHello.ts`), but may be before 1970. */
const timeOf = (millis: number): string => new Date(Math.max(millis, 0)).toISOString()

const REMEMBERED_COST_MAX = 20_000 * 2 * (64 + 64)

/**
 * When a server was last heard of, by our clock: the timestamp of its latest row, less what its agent's clock is ahead.
 * Where that is still ahead of now (the agent does not tell its clock), it is when this process first met that row: a row
 * of the future must not keep a server live that has been dead since. All times in epoch microseconds.
 */
export const makeLastSeen = () => {
  const met = makeRecentMap<{ readonly timestamp: number; readonly at: number }>(REMEMBERED_COST_MAX)
  return (serverId: string, timestamp: number | null, agent: AgentState | undefined, now: number): number | null => {
    if (timestamp === null) return null
    const seen = timestamp - aheadSeconds(agent) * 1_000_000
    const before = met.get(serverId)
    if (before?.timestamp === timestamp) return Math.min(seen, before.at)
    if (seen <= now) return seen
    met.set(serverId, { timestamp, at: now })
    return now
  }
}

/** How far the times of an agent's rows are ahead: not at all where it corrects them, or where it may be the network. */
const aheadSeconds = (agent: AgentState | undefined): number => {
  const ahead = agent?.clock?.skewSeconds ?? 0
  if (ahead < SKEW_MATTERS_SECONDS) return 0
  return Math.abs((agent?.corrected?.seconds ?? 0) + ahead) < SKEW_AGREES_SECONDS ? 0 : ahead
}

const SKEW_MATTERS_SECONDS = 2
const SKEW_AGREES_SECONDS = 60
