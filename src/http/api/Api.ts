/**
 * The interface of NodePulse, as one definition: the server's routes, the OpenAPI document (`/api/openapi.json`) and
 * the typed client (`HttpApiClient.make(Api)`) follow from it. It says what goes in and out and who may call it
 * (`Access`); how it is done is in the handlers, one file per group.
 *
 * Loaded by clients as well: it imports no handler and no port.
 */
import { Schema } from "effect"
import { HttpApi, HttpApiEndpoint, HttpApiGroup, HttpApiSchema, OpenApi } from "effect/http-api"
import { Catalog } from "../../plugins/Catalog.ts"
import { Poll, PollAnswer } from "../../protocol/Orders.ts"
import { Access, Asks, Authorization, Shared } from "./Access.ts"
import {
  ActingAnswer,
  NewApproval,
  NewOrder,
  NewPreview,
  OrderAsked,
  OrderShown,
  OrdersAnswer,
  PreviewAsked,
  PreviewShown
} from "./ActingAnswer.ts"
import { AlertShown, AlertStoryAnswer, AlertsAnswer, NewAcknowledgement } from "./AlertsAnswer.ts"
import * as Answers from "./Answers.ts"
import { BreakdownAnswer } from "./BreakdownAnswer.ts"
import { ChangesAnswer } from "./ChangesAnswer.ts"
import { ComparisonAnswer, SpreadAnswer } from "./ComparisonAnswer.ts"
import {
  Grouping,
  GroupingPreview,
  GroupingSaved,
  GroupingsAnswer,
  GroupingVersions,
  NewGrouping,
  PreviewQuestion,
  Rollback
} from "./GroupingsAnswer.ts"
import { GroupServersAnswer, GroupsAnswer } from "./GroupsAnswer.ts"
import { MarksAnswer, NewNote, NoteAdded } from "./MarksAnswer.ts"
import { NotificationsAnswer, ReceiverTested, ReceiverToTest } from "./NotificationsAnswer.ts"
import {
  AcrossQueryParameters,
  AlertsParameters,
  AuditParameters,
  BacktestParameters,
  BreakdownQueryParameters,
  CompareQueryParameters,
  DeadLettersParameters,
  DiffQueryParameters,
  FleetQueryParameters,
  FleetTopQueryParameters,
  GroupingParameters,
  GroupingVersionsParameters,
  GroupServersQueryParameters,
  GroupsQueryParameters,
  HistoryQueryParameters,
  LinkParameters,
  MarksQueryParameters,
  NotificationsParameters,
  OrdersParameters,
  RuleParameters,
  SeriesQueryParameters,
  SessionsParameters,
  SignInParameters,
  SpreadQueryParameters,
  TopMetricsParameters,
  TopQueryParameters,
  VerdictQueryParameters,
  withLabels
} from "./Parameters.ts"
import { PipelineAnswer } from "./PipelineAnswer.ts"
import * as Problem from "./Problem.ts"
import {
  RecordingAnswer,
  RecordingAsked,
  RecordingPayload,
  RecordingsAnswer,
  RecordingTaken
} from "./RecordingsAnswer.ts"
import {
  BacktestAnswer,
  LayeredRule,
  NewRule,
  RuleResources,
  RulesAnswer,
  RulesChecked,
  RulesText
} from "./RulesAnswer.ts"
import { NewSilence, SilenceAdded, SilencesAnswer } from "./SilencesAnswer.ts"
import { VerdictAnswer } from "./VerdictAnswer.ts"

const describe = (summary: string, description?: string) => OpenApi.annotations({ summary, description })

/** Agents push here. The handler reads the body itself and checks the token itself: it is the hot path. */
const ingest = HttpApiGroup.make("ingest", { topLevel: true }).add(
  HttpApiEndpoint.post("ingest", "/metrics/prometheus", {
    payload: Answers.IngestPayload,
    success: Answers.IngestAccepted,
    error: [
      Problem.MalformedBody,
      Problem.Unauthorized,
      Problem.Forbidden,
      Problem.TokenInUse,
      Problem.BodyTooLarge,
      Problem.UnsupportedMedia,
      Problem.NothingAcceptable,
      Problem.Backpressure,
      Problem.TooManyRequests,
      Problem.Unavailable
    ]
  }).annotateMerge(
    OpenApi.annotations({
      summary: "Push snapshots",
      description:
        "JSON, plain or gzip, with an agent's token: its server is the rows' server. The answer comes once every accepted snapshot is durable in the stream. Try 409 (another agent writes with this token), 429 and 503 again after `Retry-After` seconds; other 4xx never, and of the rows that are rejected only those whose `code` says so.",
      override: { security: [{ token: [] }] }
    })
  )
)

const servers = HttpApiGroup.make("servers")
  .add(
    HttpApiEndpoint.post("register", "/", {
      payload: Answers.NewServer,
      success: Answers.ServerRegistered,
      error: [Problem.InvalidParameter, Problem.TooManyServers]
    })
      .annotate(Access, "operator")
      .annotateMerge(describe("Add a server", "The answer contains the token for its agent, shown only here.")),
    HttpApiEndpoint.get("list", "/", { success: Answers.Servers }).annotateMerge(describe("All servers")),
    HttpApiEndpoint.get("get", "/:id", {
      params: { id: Schema.String },
      success: Answers.Server,
      error: Problem.NotFound
    }).annotateMerge(describe("One server"))
  )
  .middleware(Authorization)
  .prefix("/api/servers")

const rankings = HttpApiGroup.make("rankings")
  .add(
    HttpApiEndpoint.get("top", "/:resource/top", {
      params: { id: Schema.String, resource: Schema.String },
      query: withLabels(TopQueryParameters),
      success: Answers.Top,
      error: [Problem.InvalidParameter, Problem.NotFound]
    }).annotateMerge(
      describe(
        "Top groups of a server",
        "The groups that used most in the window that ends now (or at `at`), listed under the resource's name. `resource` is one of GET /api/exporters, such as `processes`. A parameter called like another label of the resource (`unit=nginx.service`) asks for the groups of that value, of a day at most."
      )
    ),
    HttpApiEndpoint.get("history", "/:resource/history", {
      params: { id: Schema.String, resource: Schema.String },
      query: withLabels(HistoryQueryParameters),
      success: Answers.History,
      error: [Problem.InvalidParameter, Problem.NotFound]
    }).annotateMerge(
      describe(
        "History of a group",
        "One group over time, in columns. `name` is required where the resource has groups."
      )
    )
  )
  .annotateEndpoints(Shared, true)
  .middleware(Authorization)
  .prefix("/api/servers/:id")

const changes = HttpApiGroup.make("changes")
  .add(
    HttpApiEndpoint.get("diff", "/api/servers/:id/:resource/diff", {
      params: { id: Schema.String, resource: Schema.String },
      query: DiffQueryParameters,
      success: ChangesAnswer,
      error: [Problem.InvalidParameter, Problem.NotFound]
    }).annotateMerge(
      describe(
        "What changed",
        "The window of `top` beside another one: the span just before it unless `against…` says otherwise. The changes, `other` and `unaccounted` add up to `total`."
      )
    )
  )
  .annotateEndpoints(Shared, true)
  .middleware(Authorization)

const breakdown = HttpApiGroup.make("breakdown")
  .add(
    HttpApiEndpoint.get("breakdown", "/api/servers/:id/breakdown", {
      params: { id: Schema.String },
      query: BreakdownQueryParameters,
      success: BreakdownAnswer,
      error: [Problem.InvalidParameter, Problem.NotFound]
    }).annotateMerge(
      describe(
        "Where the CPU went",
        "Groups by name, what units used beyond them, the kernel, and what nobody knows, as lines that add up to the host's busy CPU, each with its error."
      )
    )
  )
  .annotateEndpoints(Shared, true)
  .middleware(Authorization)

const verdict = HttpApiGroup.make("verdict")
  .add(
    HttpApiEndpoint.get("verdict", "/api/servers/:id/verdict", {
      params: { id: Schema.String },
      query: VerdictQueryParameters,
      success: VerdictAnswer,
      error: [Problem.InvalidParameter, Problem.NotFound]
    }).annotateMerge(
      describe(
        "What waits",
        "Which units, or the host, wait for CPU, memory or disks, why, and which setting changes it. A quarter of an hour unless `hours` says otherwise."
      )
    )
  )
  .annotateEndpoints(Shared, true)
  .middleware(Authorization)

const marks = HttpApiGroup.make("marks")
  .add(
    HttpApiEndpoint.get("marks", "/api/servers/:id/marks", {
      params: { id: Schema.String },
      query: MarksQueryParameters,
      success: MarksAnswer,
      error: [Problem.InvalidParameter, Problem.NotFound]
    })
      .annotate(Shared, true)
      .annotateMerge(
        describe(
          "What happened to a server",
          "Restarts, reboots, clocks that were set, exporters that said nothing, and notes in a window. All but notes as far back as rows are kept."
        )
      ),
    HttpApiEndpoint.post("addNote", "/api/notes", {
      payload: NewNote,
      success: NoteAdded,
      error: [Problem.InvalidParameter, Problem.NotFound]
    })
      .annotate(Access, "operator")
      .annotateMerge(describe("Note what happened", "Such as a deploy, on one server or on all of them.")),
    HttpApiEndpoint.delete("removeNote", "/api/notes/:id", {
      params: { id: Schema.String },
      success: HttpApiSchema.NoContent,
      error: Problem.NotFound
    })
      .annotate(Access, "operator")
      .annotateMerge(describe("Remove a note", "By whoever wrote it, or an administrator."))
  )
  .middleware(Authorization)

/** Flight recorders send here. The handler reads the body itself and checks the token itself, as ingest does. */
const recorder = HttpApiGroup.make("recorder").add(
  HttpApiEndpoint.post("send", "/api/recordings", {
    payload: RecordingPayload,
    success: RecordingTaken,
    error: [
      Problem.MalformedBody,
      Problem.Unauthorized,
      Problem.Forbidden,
      Problem.BodyTooLarge,
      Problem.UnsupportedMedia,
      Problem.TooManyRequests,
      Problem.Unavailable
    ]
  }).annotateMerge(
    OpenApi.annotations({
      summary: "Send a recording",
      description:
        "What the flight recorder of an agent saw, with an agent's token: its server is the recording's. One that comes twice is stored once.",
      override: { security: [{ token: [] }] }
    })
  )
)

const recordings = HttpApiGroup.make("recordings")
  .add(
    HttpApiEndpoint.get("list", "/api/servers/:id/recordings", {
      params: { id: Schema.String },
      success: RecordingsAnswer,
      error: Problem.NotFound
    }).annotateMerge(
      describe("Recordings of a server", "What its flight recorder sent, and whether one is waited for.")
    ),
    HttpApiEndpoint.post("ask", "/api/servers/:id/recordings", {
      params: { id: Schema.String },
      success: RecordingAsked,
      error: Problem.NotFound
    })
      .annotate(Access, "operator")
      .annotateMerge(
        describe(
          "Ask for a recording",
          "The agent of the server is told with the answer to its next push, and sends its last 15 minutes."
        )
      ),
    HttpApiEndpoint.get("get", "/api/recordings/:id", {
      params: { id: Schema.String },
      success: RecordingAnswer,
      error: Problem.NotFound
    }).annotateMerge(
      describe("One recording", "The machine, its hottest processes and units, a value a second: the last 15 minutes.")
    )
  )
  .middleware(Authorization)

/** Programs that act ask here. The handler reads the body itself and checks the token itself, as ingest does. */
const hands = HttpApiGroup.make("hands").add(
  HttpApiEndpoint.post("poll", "/api/hands/poll", {
    payload: Poll,
    success: PollAnswer,
    error: [
      Problem.MalformedBody,
      Problem.Unauthorized,
      Problem.Forbidden,
      Problem.BodyTooLarge,
      Problem.UnsupportedMedia,
      Problem.TooManyRequests,
      Problem.Unavailable
    ]
  }).annotateMerge(
    OpenApi.annotations({
      summary: "Ask what is to be done",
      description:
        "By `nodepulse hands`, with an agent's token: it says what its file allows, answers previews, and tells what became of orders; it gets those of its own server, each once. Nothing here makes it act: it does what its file allows and a person whom that names has signed.",
      override: { security: [{ token: [] }] }
    })
  )
)

const acting = HttpApiGroup.make("acting")
  .add(
    HttpApiEndpoint.get("get", "/api/servers/:id/acting", {
      params: { id: Schema.String },
      success: ActingAnswer,
      error: Problem.NotFound
    })
      .annotate(Access, "operator")
      .annotateMerge(describe("What may be done on a server", "As its own file says: verbs, targets, who signs.")),
    HttpApiEndpoint.post("preview", "/api/servers/:id/previews", {
      params: { id: Schema.String },
      payload: NewPreview,
      success: PreviewAsked,
      error: [Problem.NotFound, Problem.LimitReached]
    })
      .annotate(Access, "operator")
      .annotateMerge(
        describe("Ask what would happen", "The host looks, and answers within seconds. Nothing is done of it.")
      ),
    HttpApiEndpoint.get("previewed", "/api/previews/:id", {
      params: { id: Schema.String },
      success: PreviewShown,
      error: Problem.NotFound
    })
      .annotate(Access, "operator")
      .annotateMerge(describe("What would happen", "The host's answer, once it is there. Kept for an hour.")),
    HttpApiEndpoint.post("order", "/api/servers/:id/orders", {
      params: { id: Schema.String },
      payload: NewOrder,
      success: OrderAsked,
      error: [Problem.InvalidParameter, Problem.NotFound, Problem.OrderSettled, Problem.LimitReached]
    })
      .annotate(Access, "operator")
      .annotateMerge(
        describe(
          "Give an order",
          "One verb for one target, as the preview offered it. It is sent once as many persons have signed it as the host wants, and is over after 10 minutes. The same again changes nothing."
        )
      ),
    HttpApiEndpoint.get("ordered", "/api/orders/:id", {
      params: { id: Schema.String },
      success: OrderShown,
      error: Problem.NotFound
    })
      .annotate(Access, "operator")
      .annotateMerge(describe("One order", "What is asked, who signed it, and what became of it.")),
    HttpApiEndpoint.post("approve", "/api/orders/:id/approvals", {
      params: { id: Schema.String },
      payload: NewApproval,
      success: OrderShown,
      error: [Problem.InvalidParameter, Problem.NotFound, Problem.OrderSettled, Problem.LimitReached]
    })
      .annotate(Access, "operator")
      .annotateMerge(
        describe(
          "Sign an order",
          "A signature by a key that never comes here, good for a minute. Its form is looked at; whether it counts is the host's decision."
        )
      ),
    HttpApiEndpoint.get("orders", "/api/orders", {
      query: OrdersParameters,
      success: OrdersAnswer,
      error: [Problem.InvalidParameter, Problem.NotFound]
    })
      .annotate(Access, "operator")
      .annotateMerge(describe("All orders", "Of a server or of all, with what became of each. The latest first."))
  )
  .middleware(Authorization)

const rules = HttpApiGroup.make("rules")
  .add(
    HttpApiEndpoint.get("list", "/", { success: RulesAnswer }).annotateMerge(
      describe("All rules for alerts", "Those that are shipped, those of files, and those that were saved here.")
    ),
    HttpApiEndpoint.get("resources", "/resources", { success: RuleResources }).annotateMerge(
      describe("What rules may ask", "The metrics of each resource, in the units of their thresholds.")
    ),
    HttpApiEndpoint.put("save", "/:name", {
      params: { name: Schema.String },
      payload: NewRule,
      success: LayeredRule,
      error: [
        Problem.InvalidRules,
        Problem.InvalidParameter,
        Problem.NotFound,
        Problem.RuleChanged,
        Problem.RuleOfFile,
        Problem.LimitReached
      ]
    })
      .annotate(Access, "operator")
      .annotateMerge(
        describe(
          "Save a rule",
          "In force from the next evaluation on; instead of one of this name that is shipped. `enabled: false` in the document switches it off. 409 where somebody else saved in between, or where it is one of a file."
        )
      ),
    HttpApiEndpoint.delete("remove", "/:name", {
      params: { name: Schema.String },
      query: RuleParameters,
      success: HttpApiSchema.NoContent,
      error: [Problem.InvalidParameter, Problem.NotFound, Problem.RuleChanged]
    })
      .annotate(Access, "operator")
      .annotateMerge(
        describe(
          "Remove a rule that was saved",
          "Its alerts end. One that is shipped counts again, if it was replaced."
        )
      ),
    HttpApiEndpoint.post("check", "/check", {
      payload: RulesText,
      success: RulesChecked,
      error: Problem.InvalidRules
    })
      .annotate(Asks, true)
      .annotateMerge(
        describe("Check rules for alerts", "Says what each asks, or all that is wrong. Nothing is stored.")
      ),
    HttpApiEndpoint.post("backtest", "/backtest", {
      payload: RulesText,
      query: BacktestParameters,
      success: BacktestAnswer,
      error: [Problem.InvalidRules, Problem.InvalidParameter]
    })
      .annotate(Access, "operator")
      .annotate(Asks, true)
      .annotateMerge(
        describe(
          "Try rules on the past",
          "When they would have fired, and for how long, in the last seven days unless `hours` and `at` say otherwise. Nothing is stored."
        )
      )
  )
  .middleware(Authorization)
  .prefix("/api/rules")

const groupings = HttpApiGroup.make("groupings")
  .add(
    HttpApiEndpoint.get("list", "/", { success: GroupingsAnswer }).annotateMerge(
      describe("All rule sets", "What puts names together; `grouping` of other questions takes their names.")
    ),
    HttpApiEndpoint.post("save", "/", {
      payload: NewGrouping,
      success: GroupingSaved,
      error: [Problem.InvalidParameter, Problem.InvalidRule, Problem.GroupingChanged, Problem.NotFound]
    })
      .annotate(Access, "operator")
      .annotateMerge(
        describe(
          "Save a rule set",
          "Makes the version after `base_version`. 409 where somebody else did so: who, and when."
        )
      ),
    HttpApiEndpoint.post("preview", "/preview", {
      payload: PreviewQuestion,
      success: GroupingPreview,
      error: [Problem.InvalidParameter, Problem.InvalidRule, Problem.NotFound]
    })
      .annotate(Access, "operator")
      .annotate(Asks, true)
      .annotateMerge(
        describe("What rules would do", "To the names of the last 24 hours, of a server or of all. Nothing is saved.")
      ),
    HttpApiEndpoint.get("get", "/:name", {
      params: { name: Schema.String },
      query: GroupingParameters,
      success: Grouping,
      error: [Problem.InvalidParameter, Problem.NotFound]
    }).annotateMerge(describe("One rule set", "Its latest version, or the one that `version` names.")),
    HttpApiEndpoint.get("versions", "/:name/versions", {
      params: { name: Schema.String },
      query: GroupingVersionsParameters,
      success: GroupingVersions,
      error: [Problem.InvalidParameter, Problem.NotFound]
    }).annotateMerge(describe("The versions of a rule set", "Who saved which when; the latest first, 100 at a time.")),
    HttpApiEndpoint.post("rollback", "/:name/rollback", {
      params: { name: Schema.String },
      payload: Rollback,
      success: GroupingSaved,
      error: [Problem.InvalidParameter, Problem.InvalidRule, Problem.GroupingChanged, Problem.NotFound]
    })
      .annotate(Access, "operator")
      .annotateMerge(describe("Go back to a version", "Saves its rules as a new version: nothing is lost.")),
    HttpApiEndpoint.delete("retire", "/:name", {
      params: { name: Schema.String },
      success: HttpApiSchema.NoContent,
      error: [Problem.InvalidRule, Problem.InvalidParameter, Problem.GroupingChanged, Problem.NotFound]
    })
      .annotate(Access, "operator")
      .annotateMerge(
        describe("Offer a rule set no more", "Its versions stay: links to them, such as `grouping=workers@3`, go on.")
      )
  )
  .middleware(Authorization)
  .prefix("/api/groupings")

const alerts = HttpApiGroup.make("alerts")
  .add(
    HttpApiEndpoint.get("list", "/api/alerts", {
      query: AlertsParameters,
      success: AlertsAnswer,
      error: Problem.InvalidParameter
    })
      .annotate(Shared, true)
      .annotateMerge(
        describe(
          "Alerts",
          "What the rules say of the present: those that fire, and those that did, at any moment between `from` and `to`. 100 unless `limit` says otherwise."
        )
      ),
    HttpApiEndpoint.post("acknowledge", "/api/alerts/:id/acknowledge", {
      params: { id: Schema.String },
      payload: NewAcknowledgement,
      success: AlertShown,
      error: [Problem.InvalidParameter, Problem.NotFound, Problem.AlertResolved]
    })
      .annotate(Access, "operator")
      .annotateMerge(
        describe("Acknowledge an alert", "Says that somebody knows of it. Ends with the alert; the latest one counts.")
      ),
    HttpApiEndpoint.get("get", "/api/alerts/:id", {
      params: { id: Schema.String },
      success: AlertStoryAnswer,
      error: Problem.NotFound
    })
      .annotate(Shared, true)
      .annotateMerge(
        describe(
          "What an alert tells",
          "What ran before it fired and what ran then, with the differences, and what happened in between. The same numbers as `diff` for the same windows."
        )
      )
  )
  .middleware(Authorization)

const notifications = HttpApiGroup.make("notifications")
  .add(
    HttpApiEndpoint.get("list", "/", {
      query: NotificationsParameters,
      success: NotificationsAnswer,
      error: Problem.InvalidParameter
    }).annotateMerge(
      describe("Who was told of alerts", "Messages of the last 30 days, also those that wait or were given up.")
    ),
    HttpApiEndpoint.post("test", "/test", {
      payload: ReceiverToTest,
      success: ReceiverTested,
      error: [Problem.InvalidParameter, Problem.NotFound]
    })
      .annotate(Access, "operator")
      .annotateMerge(
        describe("Try a receiver", "Sends a test message, by the process that is asked, and says what came of it.")
      )
  )
  .middleware(Authorization)
  .prefix("/api/notifications")

const silences = HttpApiGroup.make("silences")
  .add(
    HttpApiEndpoint.get("list", "/", { success: SilencesAnswer }).annotateMerge(
      describe("Silences", "Which alerts nobody is told of, and which servers are in maintenance.")
    ),
    HttpApiEndpoint.post("add", "/", {
      payload: NewSilence,
      success: SilenceAdded,
      error: [Problem.InvalidParameter, Problem.LimitReached]
    })
      .annotate(Access, "operator")
      .annotateMerge(
        describe(
          "Silence alerts",
          "Of those that all of `rule`, `server`, `group` and `severity` are about nobody is told before `until`; whoever still fires then is."
        )
      ),
    HttpApiEndpoint.delete("end", "/:id", {
      params: { id: Schema.String },
      success: HttpApiSchema.NoContent,
      error: Problem.NotFound
    })
      .annotate(Access, "operator")
      .annotateMerge(describe("End a silence", "One that has not begun is removed."))
  )
  .middleware(Authorization)
  .prefix("/api/silences")

const overview = HttpApiGroup.make("overview")
  .add(
    HttpApiEndpoint.get("fleet", "/api/fleet", {
      query: FleetQueryParameters,
      success: Answers.Fleet,
      error: Problem.InvalidParameter
    }).annotateMerge(
      describe(
        "All servers at a glance",
        "What the start page shows, in one answer. `search` finds servers by their names and by what runs on them; `offset` and `limit` take a part of the list."
      )
    ),
    HttpApiEndpoint.get("series", "/api/servers/:id/:resource/series", {
      params: { id: Schema.String, resource: Schema.String },
      query: SeriesQueryParameters,
      success: Answers.Series,
      error: [Problem.InvalidParameter, Problem.NotFound]
    }).annotateMerge(
      describe(
        "The top groups over time",
        "To be drawn: the groups that lead the ranking over the window, or the one that `name` names, all others together, and the host. Of a resource without groups: the `fields` that are named."
      )
    ),
    HttpApiEndpoint.get("across", "/api/:resource/across", {
      params: { resource: Schema.String },
      query: AcrossQueryParameters,
      success: Answers.Across,
      error: [Problem.InvalidParameter, Problem.NotFound]
    }).annotateMerge(describe("One group on all servers", "According to the latest two scrapes of each server."))
  )
  .annotateEndpoints(Shared, true)
  .middleware(Authorization)

const fleetRankings = HttpApiGroup.make("fleetRankings")
  .add(
    HttpApiEndpoint.get("top", "/api/:resource/top", {
      params: { resource: Schema.String },
      query: FleetTopQueryParameters,
      success: Answers.FleetTop,
      error: [Problem.InvalidParameter, Problem.NotFound]
    }).annotateMerge(
      describe(
        "Top groups of the fleet",
        "The same ranking over all servers, or those that `server` names: each group with its server, or (`by=name`) groups of the same name put together."
      )
    )
  )
  .annotateEndpoints(Shared, true)
  .middleware(Authorization)

const comparison = HttpApiGroup.make("comparison")
  .add(
    HttpApiEndpoint.get("compare", "/api/:resource/compare", {
      params: { resource: Schema.String },
      query: CompareQueryParameters,
      success: ComparisonAnswer,
      error: [Problem.InvalidParameter, Problem.NotFound]
    }).annotateMerge(
      describe(
        "Servers side by side",
        "Two to eight servers over one window: what each used over time, and a matrix of groups and servers with the odd ones."
      )
    ),
    HttpApiEndpoint.get("spread", "/api/:resource/spread", {
      params: { resource: Schema.String },
      query: SpreadQueryParameters,
      success: SpreadAnswer,
      error: [Problem.InvalidParameter, Problem.NotFound]
    }).annotateMerge(describe("One group over all servers", "What it used on each in the window, and the odd ones."))
  )
  .annotateEndpoints(Shared, true)
  .middleware(Authorization)
const groups = HttpApiGroup.make("groups")
  .add(
    HttpApiEndpoint.get("ranked", "/", {
      params: { resource: Schema.String },
      query: GroupsQueryParameters,
      success: GroupsAnswer,
      error: [Problem.InvalidParameter, Problem.NotFound]
    }).annotateMerge(
      describe(
        "Groups of the fleet",
        "All groups that ran on any server in the window, those that used most first: totals, peaks, the worst server, growth. `search` finds names, also such as were seen at another time; `offset` and `limit` take a part of the list."
      )
    ),
    HttpApiEndpoint.get("servers", "/servers", {
      params: { resource: Schema.String },
      query: GroupServersQueryParameters,
      success: GroupServersAnswer,
      error: [Problem.InvalidParameter, Problem.NotFound]
    }).annotateMerge(
      describe(
        "One group on every server that ran it",
        "With its trend, and whether its memory grows: how fast, since when, and when the server's memory will be used up."
      )
    )
  )
  .annotateEndpoints(Shared, true)
  .middleware(Authorization)
  .prefix("/api/:resource/groups")

const exporters = HttpApiGroup.make("exporters")
  .add(
    HttpApiEndpoint.get("catalog", "/api/exporters", { success: Catalog }).annotateMerge(
      describe("The catalog", "What each exporter measures and how it can be ranked: all that the page knows.")
    )
  )
  .middleware(Authorization)

const topMetrics = HttpApiGroup.make("topMetrics")
  .add(
    HttpApiEndpoint.get("metrics", "/api/metrics/:resource", {
      params: { resource: Schema.String },
      query: TopMetricsParameters,
      success: Answers.MetricsText,
      error: [Problem.InvalidParameter, Problem.NotFound]
    }).annotateMerge(
      describe(
        "The top groups of every server, for Prometheus",
        "Gauges named `nodepulse_<resource>_<field>`: for alert rules about what runs on the servers. Bounded: the leading groups only."
      )
    )
  )
  .middleware(Authorization)

const pipeline = HttpApiGroup.make("pipeline")
  .add(
    HttpApiEndpoint.get("snapshot", "/api/pipeline", { success: PipelineAnswer }).annotateMerge(
      describe(
        "The live supervision tree",
        "Every fiber with its state, restarts and last error; every stage with its counts, its mailbox and its rates; and how alerts are asked for and told."
      )
    ),
    HttpApiEndpoint.get("readiness", "/api/readiness", { success: Answers.Readiness }).annotateMerge(
      describe(
        "Can it do its work, and if not, why",
        "The checks of `/readyz` as an answer that is always 200: for the page, which says so."
      )
    )
  )
  .middleware(Authorization)

const deadLetters = HttpApiGroup.make("deadLetters")
  .add(
    HttpApiEndpoint.get("list", "/api/dead-letters", {
      query: DeadLettersParameters,
      success: Answers.DeadLetters,
      error: Problem.InvalidParameter
    }).annotateMerge(
      describe("Dead letters: what could not be stored, and why", "Newest first, 100 unless `limit` says otherwise.")
    )
  )
  .middleware(Authorization)

/** What tokens of which kind somebody may make and revoke is in the handler. */
const tokens = HttpApiGroup.make("tokens")
  .add(
    HttpApiEndpoint.post("create", "/", {
      payload: Answers.NewToken,
      success: Answers.TokenCreated,
      error: [Problem.InvalidParameter, Problem.NotFound]
    }).annotateMerge(
      describe("Create a token", "An operator makes those of agents and enrolment, an administrator all.")
    ),
    HttpApiEndpoint.get("list", "/", { success: Answers.Tokens }).annotateMerge(
      describe("All tokens", "Without the tokens themselves, which are not stored.")
    ),
    HttpApiEndpoint.delete("revoke", "/:id", {
      params: { id: Schema.String },
      success: HttpApiSchema.NoContent,
      error: Problem.NotFound
    }).annotateMerge(describe("Revoke a token", "It takes at most five seconds until it is refused everywhere.")),
    HttpApiEndpoint.post("rotate", "/:id/rotate", {
      params: { id: Schema.String },
      payload: Answers.Rotation,
      success: Answers.TokenCreated,
      error: Problem.NotFound
    }).annotateMerge(
      describe("Put a new token in the place of one", "Both are good for a while, so that no scrape is lost.")
    )
  )
  .annotateEndpoints(Access, "operator")
  .middleware(Authorization)
  .prefix("/api/tokens")

const enroll = HttpApiGroup.make("enroll")
  .add(
    HttpApiEndpoint.post("enroll", "/api/enroll", {
      payload: Answers.NewServer,
      success: Answers.ServerRegistered,
      error: Problem.TooManyServers
    })
      .annotate(Access, "enrolment")
      .annotateMerge(
        describe(
          "Enrol a machine",
          "Exchanges an enrolment token for the token of a new server's agent, shown only here."
        )
      )
  )
  .middleware(Authorization)

const sessions = HttpApiGroup.make("sessions")
  .add(
    HttpApiEndpoint.get("list", "/", { success: Answers.Sessions }).annotateMerge(
      describe("Who is signed in", "An administrator sees everybody, others their own sessions.")
    ),
    HttpApiEndpoint.delete("revoke", "/:id", {
      params: { id: Schema.String },
      success: HttpApiSchema.NoContent,
      error: Problem.NotFound
    }).annotateMerge(describe("Sign somebody out", "It takes at most five seconds until it holds everywhere.")),
    HttpApiEndpoint.delete("revokeAll", "/", {
      query: SessionsParameters,
      success: Answers.SessionsEnded
    }).annotateMerge(
      describe(
        "Sign somebody out everywhere",
        "All sessions, and the links that nobody has opened: one's own, or for an administrator those of `principal`."
      )
    )
  )
  .middleware(Authorization)
  .prefix("/api/sessions")

const audit = HttpApiGroup.make("audit")
  .add(
    HttpApiEndpoint.get("list", "/api/audit", {
      query: AuditParameters,
      success: Answers.Audit,
      error: Problem.InvalidParameter
    })
      .annotate(Access, "admin")
      .annotateMerge(
        describe(
          "Who changed what",
          "Newest first, 100 unless `limit` says otherwise. Also who signed in, and sign-ins that failed."
        )
      )
  )
  .middleware(Authorization)

const session = HttpApiGroup.make("session")
  .add(
    HttpApiEndpoint.get("whoAmI", "/api/session", { success: Answers.SessionInfo }).annotateMerge(
      describe("Who am I", "401 if not signed in.")
    ),
    HttpApiEndpoint.post("signInWithToken", "/api/session", { success: Answers.SessionInfo }).annotateMerge(
      describe(
        "Sign in with a token",
        "Exchanges a read, operator or admin token in `Authorization` for the page's cookie."
      )
    ),
    HttpApiEndpoint.delete("signOut", "/api/session", { success: HttpApiSchema.NoContent }).annotateMerge(
      describe("Sign out")
    ),
    HttpApiEndpoint.post("newLink", "/api/session/links", {
      query: LinkParameters,
      success: Answers.SignInLink,
      error: Problem.InvalidParameter
    })
      .annotate(Access, "admin")
      .annotateMerge(
        describe(
          "Create a one-time sign-in link",
          "It signs in whoever asks for it, as what they are; with `for` somebody else, as `role`."
        )
      )
  )
  .middleware(Authorization)

const signIn = HttpApiGroup.make("signIn", { topLevel: true }).add(
  HttpApiEndpoint.get("signIn", "/signin", {
    query: SignInParameters,
    success: HttpApiSchema.Empty(303),
    error: [
      Problem.Unauthorized,
      Problem.TooManyGuesses,
      Problem.Unavailable,
      Problem.AnswerTooSlow,
      Problem.QuestionTooLarge
    ]
  }).annotateMerge(describe("Open a one-time sign-in link", "Sets the session cookie and redirects to the page."))
)

const system = HttpApiGroup.make("system", { topLevel: true }).add(
  HttpApiEndpoint.get("healthz", "/healthz", { success: Answers.Health }).annotateMerge(
    describe("Liveness: is the process running", "Open to everyone.")
  ),
  HttpApiEndpoint.get("readyz", "/readyz", { success: Answers.Ready, error: Problem.NotReady }).annotateMerge(
    describe("Readiness: can it do its work", "Open to everyone. 503 says which part is not ready and why.")
  ),
  HttpApiEndpoint.get("metrics", "/metrics", { success: Answers.MetricsText })
    .annotate(Access, "metrics")
    .middleware(Authorization)
    .annotateMerge(describe("Self-metrics for Prometheus", "Needs a token, unless NODEPULSE_METRICS_PUBLIC is true."))
)

export const Api = HttpApi.make("nodepulse")
  .add(
    ingest,
    servers,
    rankings,
    changes,
    breakdown,
    verdict,
    marks,
    recorder,
    recordings,
    hands,
    acting,
    rules,
    alerts,
    silences,
    groupings,
    overview,
    fleetRankings,
    comparison,
    groups,
    exporters,
    topMetrics,
    pipeline,
    deadLetters,
    notifications,
    tokens,
    enroll,
    sessions,
    audit,
    session,
    signIn,
    system
  )
  .annotate(HttpApi.QueryParseOptions, { onExcessProperty: "error" })
  .annotate(HttpApi.PayloadParseOptions, { onExcessProperty: "error" })
  .annotateMerge(
    OpenApi.annotations({
      title: "NodePulse",
      version: "1",
      description:
        "Which processes are eating the CPU and memory of this server, now and over time? Errors are application/problem+json (RFC 9457)."
    })
  )
