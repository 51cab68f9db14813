/**
 * What is wrong between a server's agent and NodePulse: two machines on one token, a clock, an exporter that reports nothing,
 * serves too much or is not known.
 */
import { Command } from "../parts/Command.tsx"
import { ago, bytes, duration, number } from "../parts/Format.ts"
import { legible } from "../parts/Legible.ts"
import { Link } from "../parts/Link.tsx"
import { Name } from "../parts/Name.tsx"

/** The part of the answers about a server that tells of its agent. */
export interface AgentNotes {
  readonly clock_skew_seconds: number | null
  readonly clock_step_seconds: number | null
  readonly clock_stepped_at: string | null
  readonly clock_corrected_seconds: number | null
  readonly conflict: {
    readonly since: string
    readonly writes: string
    readonly refused: string
    readonly same_machine: boolean
  } | null
  readonly unmatched_exporters: ReadonlyArray<{
    readonly exporter: string
    readonly complaint: string
    readonly remedy: ReadonlyArray<string>
  }>
  readonly refused_exporters: ReadonlyArray<{
    readonly exporter: string
    readonly setting: "body_limit" | "series_limit"
    readonly most: number
  }>
  readonly restrained: {
    readonly causes: ReadonlyArray<"cpu" | "memory">
    readonly interval_factor: number
    readonly groups_max: number | null
    readonly recorder: boolean
  } | null
  readonly unknown_exporters: ReadonlyArray<string>
}

/** A smaller skew moves no point that anybody would notice. */
const SKEW_TOLD_SECONDS = 10
/** A step is told for as long as the hour that most people look at shows it. */
const STEP_TOLD_MILLIS = 60 * 60_000

const skewOf = ({ clock_skew_seconds: skew }: AgentNotes): string | undefined =>
  skew === null || Math.abs(skew) < SKEW_TOLD_SECONDS
    ? undefined
    : `${duration(Math.abs(skew))} ${skew > 0 ? "ahead of" : "behind"}`

/** In few words, for a list; undefined where nothing is wrong. */
export const agentWord = (notes: AgentNotes): string | undefined => {
  if (notes.conflict !== null) return "two machines on one token"
  const skew = skewOf(notes)
  if (skew !== undefined) return `clock ${skew} the server's`
  const [unmatched] = notes.unmatched_exporters
  if (unmatched !== undefined) return `${unmatched.exporter} reports nothing`
  const [refused] = notes.refused_exporters
  if (refused !== undefined) return `${refused.exporter} serves too much`
  if (notes.restrained !== null) return "its agent holds back"
  const [unknown] = notes.unknown_exporters
  return unknown === undefined ? undefined : `sends ${legible(unknown, 40)}, not known here`
}

/** One banner for each thing that is wrong, with what mends it. */
export const AgentTrouble = ({ notes, now }: { readonly notes: AgentNotes; readonly now: number }) => {
  const { clock_step_seconds: step, clock_stepped_at: steppedAt, conflict, unknown_exporters: unknown } = notes
  const skew = skewOf(notes)
  const stepped = step === null || steppedAt === null ? undefined : Date.parse(steppedAt)
  return (
    <>
      {conflict !== null && (
        <p className="banner stale" role="alert">
          <b>Two machines report with this server's token</b>, first seen {ago(Date.parse(conflict.since), now)}:{" "}
          <Name value={conflict.writes} /> writes, <Name value={conflict.refused} /> is refused
          {conflict.same_machine ? ", and is a clone of it" : ""}. Give one of them a token of its own (
          <Link href="/">Servers</Link>, “Add a server”), or stop its agent. What it cannot send waits in its spool.
        </p>
      )}
      {skew !== undefined && (
        <p className="banner stale" role="status">
          <b>This server's clock is {skew} NodePulse's.</b>{" "}
          {notes.clock_corrected_seconds === null
            ? "Its points stand where its clock puts them."
            : "Its agent corrects the times of what was refused for it."}{" "}
          <code>timedatectl set-ntp true</code> sets it right.
        </p>
      )}
      {stepped !== undefined && now - stepped < STEP_TOLD_MILLIS && (
        <p className="banner" role="status">
          The clock of this server was set {step! > 0 ? "forward" : "back"} by {duration(Math.abs(step!))},{" "}
          {ago(stepped, now)}.
        </p>
      )}
      {notes.unmatched_exporters.map((one) => (
        <Unmatched key={one.exporter} {...one} />
      ))}
      {notes.refused_exporters.map(({ exporter, most, setting }) => (
        <p key={`${exporter} ${setting} ${most}`} className="banner stale" role="status">
          <b>
            {exporter} serves more than {setting === "body_limit" ? bytes(most) : `${number(most)} series`}
          </b>
          , and its agent refuses such a scrape: nothing of it is shown. Let it serve less, or raise{" "}
          <code>{setting}</code> of this exporter in the agent's <code>nodepulse.yml</code>.
        </p>
      ))}
      {notes.restrained !== null && <Restrained {...notes.restrained} />}
      {unknown.length > 0 && (
        <p className="banner stale" role="status">
          <b>
            Its agent sends rows of {unknown.map((name) => legible(name, 80)).join(", ")}, which is not enabled here.
          </b>{" "}
          They wait in its spool: enable it in <code>plugins.config.ts</code> and restart, or switch it off in the
          agent's <code>nodepulse.yml</code>.
        </p>
      )}
    </>
  )
}

/** What the agent does without, so that it is never what weighs on its server. */
const Restrained = ({ causes, groups_max, interval_factor, recorder }: NonNullable<AgentNotes["restrained"]>) => {
  const does = [
    ...(interval_factor === 1 ? [] : [`scrapes ${interval_factor} times less often`]),
    ...(groups_max === null ? [] : [`keeps ${number(groups_max)} groups of processes apart, the rest in “other”`]),
    ...(recorder ? [] : ["records nothing second by second"])
  ]
  const used = causes.map((cause) => (cause === "cpu" ? "CPU" : "memory")).join(" and ")
  return (
    <p className="banner stale" role="status">
      <b>This server's agent holds back:</b> it {does.join(", ")}, since it used more {used} than its budget. It comes
      back by itself. To let it use more, raise{" "}
      {causes.map((cause, index) => (
        <span key={cause}>
          {index === 0 ? "" : " and "}
          <code>budget.{cause}</code>
        </span>
      ))}{" "}
      in its <code>nodepulse.yml</code>.
    </p>
  )
}

/** An exporter that answers and says nothing, with the lines that mend it. Until then the agent measures by itself. */
const Unmatched = ({ complaint, exporter, remedy }: AgentNotes["unmatched_exporters"][number]) => (
  <div className="banner stale" role="status">
    <p>
      <b>
        {exporter} answers and {complaint}.
      </b>{" "}
      What is shown in its place is measured by the agent itself.{remedy.length === 0 ? "" : " On this server:"}
    </p>
    {remedy.map(stepOf).map(({ file, text }) => (
      <div key={text} className="step">
        <p>
          {file === undefined ? (
            "Then run:"
          ) : (
            <>
              Into <code>{file}</code>:
            </>
          )}
        </p>
        <Command text={text} />
      </div>
    ))}
  </div>
)

/** A step of a remedy: a line for a file, or a command. */
const stepOf = (step: string): { readonly file?: string; readonly text: string } => {
  const [, file, line] = /^put into (\S+): (.+)$/.exec(step) ?? []
  return file === undefined || line === undefined ? { text: step } : { file, text: line }
}
