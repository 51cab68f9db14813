/** What on a server waits, as `GET /api/servers/{id}/verdict` says it: the known table (`docs/verdict.md`). */
import { Schema } from "effect"
import { WindowAnswer } from "./Answers.ts"

const Nullable = Schema.NullOr(Schema.String)

const Verdict = Schema.Struct({
  kind: Schema.Literals(["throttled", "neighbours", "cores", "steal", "memory", "io"]).annotate({
    description:
      "throttled: by its own quota; neighbours: others use the CPU; cores: its own work does; steal: the hypervisor's other guests do; memory, io: waits for them."
  }),
  subject: Schema.Struct({ kind: Schema.Literals(["unit", "host"]), name: Nullable }),
  sentence: Schema.String,
  evidence: Schema.Record(Schema.String, Schema.Finite).annotate({ description: "The numbers that it rests on." }),
  neighbours: Schema.Array(
    Schema.Struct({
      name: Schema.String,
      avg_cpu_percent: Schema.optionalKey(Schema.Finite),
      mb_per_second: Schema.optionalKey(Schema.Finite)
    })
  ).annotate({ description: "The others that used most meanwhile, at most 3." }),
  setting: Schema.NullOr(
    Schema.Struct({
      what: Schema.String,
      where: Schema.String,
      current: Nullable,
      systemd: Nullable,
      docker: Nullable,
      kubernetes: Nullable
    })
  ).annotate({
    description: "What changes it, with the commands where the unit can be named in one."
  })
})

export const VerdictAnswer = Schema.Struct({
  server_id: Schema.String,
  time_range_hours: Schema.Finite,
  window: WindowAnswer,
  coverage: Schema.Finite,
  judged: Schema.Boolean.annotate({ description: "False where less than four fifths of the window were seen." }),
  partial: Schema.Array(Schema.Literals(["host", "units", "pressure"])).annotate({
    description: "What was not seen, or not for four fifths of the window."
  }),
  resources: Schema.Struct({ units: Nullable }).annotate({ description: "Of GET /api/exporters." }),
  sentence: Schema.String.annotate({ description: "The whole of it." }),
  verdicts: Schema.Array(Verdict).annotate({
    description: "Those that matter most first, at most 20; none: nothing waits."
  })
})
export type VerdictAnswer = typeof VerdictAnswer.Type
