/**
 * The interface of NodePulse, as one definition: the server's routes, the OpenAPI document (`/api/openapi.json`) and
 * the typed client (`HttpApiClient.make(Api)`) follow from it. It says what goes in and out and who may call it
 * (`Access`); how it is done is in the handlers, one file per group.
 *
 * Loaded by clients as well: it imports no handler and no port.
 */
import { Schema } from "effect"
import { HttpApi, HttpApiEndpoint, HttpApiGroup, HttpApiSchema, OpenApi } from "effect/http-api"
import { Catalog } from "../plugins/Catalog.ts"
import { Access, Authorization } from "./Access.ts"
import * as Answers from "./Answers.ts"
import {
  AcrossQueryParameters,
  DeadLettersParameters,
  FleetTopQueryParameters,
  HistoryQueryParameters,
  SeriesQueryParameters,
  SignInParameters,
  TopMetricsParameters,
  TopQueryParameters
} from "./Parameters.ts"
import * as Problem from "./Problem.ts"

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
      Problem.BodyTooLarge,
      Problem.UnsupportedMedia,
      Problem.NothingAcceptable,
      Problem.Backpressure,
      Problem.Unavailable
    ]
  }).annotateMerge(
    OpenApi.annotations({
      summary: "Push snapshots",
      description:
        "JSON, plain or gzip, with an agent's token: its server is the rows' server. The answer comes once every accepted snapshot is durable in the stream. Try 429 and 503 again after `Retry-After` seconds; other 4xx never.",
      override: { security: [{ token: [] }] }
    })
  )
)

const servers = HttpApiGroup.make("servers")
  .add(
    HttpApiEndpoint.post("register", "/", {
      payload: Answers.NewServer,
      success: Answers.ServerRegistered,
      error: Problem.InvalidParameter
    })
      .annotate(Access, "admin")
      .annotateMerge(describe("Add a server", "The answer has the token for its agent, once.")),
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
      query: TopQueryParameters,
      success: Answers.Top,
      error: [Problem.InvalidParameter, Problem.NotFound]
    }).annotateMerge(
      describe(
        "Who is on top",
        "The groups that used most over the window that ends now (or at `at`), the list under the resource's name. `resource` is one of GET /api/exporters, such as `processes`."
      )
    ),
    HttpApiEndpoint.get("history", "/:resource/history", {
      params: { id: Schema.String, resource: Schema.String },
      query: HistoryQueryParameters,
      success: Answers.History,
      error: [Problem.InvalidParameter, Problem.NotFound]
    }).annotateMerge(
      describe("How it went", "One group over time, in columns. `name` is needed where the resource has groups.")
    )
  )
  .middleware(Authorization)
  .prefix("/api/servers/:id")

const overview = HttpApiGroup.make("overview")
  .add(
    HttpApiEndpoint.get("fleet", "/api/fleet", { success: Answers.Fleet }).annotateMerge(
      describe("All servers at a glance", "What the first page shows, in one answer.")
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
    }).annotateMerge(describe("One group on all servers", "By the latest two scrapes of each."))
  )
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
        "Who is on top of the fleet",
        "The same ranking over all servers, or those that `server` names: each group with its server, or (`by=name`) groups of the same name put together."
      )
    )
  )
  .middleware(Authorization)

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
    HttpApiEndpoint.get("snapshot", "/api/pipeline", { success: Schema.Unknown }).annotateMerge(
      describe(
        "The live supervision tree",
        "Every fiber with its state, restarts and last error; every stage with its counts, its mailbox and its rates."
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
    }).annotateMerge(describe("What could not be stored, and why", "Newest first, 100 unless `limit` says otherwise."))
  )
  .middleware(Authorization)

const tokens = HttpApiGroup.make("tokens")
  .add(
    HttpApiEndpoint.post("create", "/", {
      payload: Answers.NewToken,
      success: Answers.TokenCreated,
      error: [Problem.InvalidParameter, Problem.NotFound]
    }).annotateMerge(describe("Make a token")),
    HttpApiEndpoint.get("list", "/", { success: Answers.Tokens }).annotateMerge(
      describe("All tokens", "Without the tokens themselves, which are not stored.")
    ),
    HttpApiEndpoint.delete("revoke", "/:id", {
      params: { id: Schema.String },
      success: HttpApiSchema.NoContent,
      error: Problem.NotFound
    }).annotateMerge(describe("Revoke a token", "It takes a few seconds to be refused everywhere."))
  )
  .annotateEndpoints(Access, "admin")
  .middleware(Authorization)
  .prefix("/api/tokens")

const session = HttpApiGroup.make("session")
  .add(
    HttpApiEndpoint.get("whoAmI", "/api/session", { success: Answers.SessionInfo }).annotateMerge(
      describe("Who am I", "401 where nobody is signed in.")
    ),
    HttpApiEndpoint.post("signInWithToken", "/api/session", { success: Answers.SessionInfo }).annotateMerge(
      describe("Sign in with a token", "Exchanges a read or admin token in `Authorization` for the page's cookie.")
    ),
    HttpApiEndpoint.delete("signOut", "/api/session", { success: HttpApiSchema.NoContent }).annotateMerge(
      describe("Sign out")
    ),
    HttpApiEndpoint.post("newLink", "/api/session/links", { success: Answers.SignInLink })
      .annotate(Access, "admin")
      .annotateMerge(describe("Make a one-time sign-in link"))
  )
  .middleware(Authorization)

const signIn = HttpApiGroup.make("signIn", { topLevel: true }).add(
  HttpApiEndpoint.get("signIn", "/signin", {
    query: SignInParameters,
    success: HttpApiSchema.Empty(303),
    error: Problem.Unauthorized
  }).annotateMerge(describe("Open a one-time sign-in link", "Sets the session's cookie and leads to the page."))
)

const system = HttpApiGroup.make("system", { topLevel: true }).add(
  HttpApiEndpoint.get("healthz", "/healthz", { success: Answers.Health }).annotateMerge(
    describe("Is the process up", "Open to everyone.")
  ),
  HttpApiEndpoint.get("readyz", "/readyz", { success: Answers.Ready, error: Problem.NotReady }).annotateMerge(
    describe("Can it do its work", "Open to everyone. 503 says which part is missing and why.")
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
    overview,
    fleetRankings,
    exporters,
    topMetrics,
    pipeline,
    deadLetters,
    tokens,
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
