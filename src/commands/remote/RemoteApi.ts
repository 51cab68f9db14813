/**
 * A server's API for commands that ask it over the network: the typed client with the saved sign-in, and every failure as one line
 * that says what to do.
 *
 * Bound: {@link ANSWER_WITHIN} an answer.
 */
import { Duration, Effect, Redacted } from "effect"
import { FetchHttpClient, HttpClient, HttpClientError, HttpClientRequest } from "effect/http"
import { HttpApiClient } from "effect/http-api"
import { Api } from "../../http/api/Api.ts"
import { innermostReason } from "../../InnermostCause.ts"
import { CommandFailed } from "../Input.ts"
import { type SignIn, signIn } from "./SignIn.ts"

/** A read takes at most 30 s on the server, unless that is told otherwise. */
const ANSWER_WITHIN = Duration.seconds(60)
/** Names that are told where one is not known. */
const NAMES_TOLD = 20

const clientOf = ({ token, url }: SignIn) =>
  HttpApiClient.make(Api, {
    transformClient: HttpClient.mapRequest((request) =>
      HttpClientRequest.bearerToken(HttpClientRequest.prependUrl(request, url), Redacted.value(token))
    )
  }).pipe(Effect.provide(FetchHttpClient.layer))

export type Client = Effect.Success<ReturnType<typeof clientOf>>

/** What a command asks: `ask` turns each failure into a line for people. */
export interface Remote {
  readonly client: Client
  readonly ask: <A, E>(asking: (client: Client) => Effect.Effect<A, E>) => Effect.Effect<A, CommandFailed>
}

export const connect = Effect.fnUntraced(function* (who: SignIn) {
  const client = yield* clientOf(who)
  return {
    client,
    ask: (asking) =>
      asking(client).pipe(
        Effect.timeoutOrElse({
          duration: ANSWER_WITHIN,
          orElse: () =>
            Effect.fail(
              new CommandFailed({ reason: `${who.url} does not answer within ${Duration.format(ANSWER_WITHIN)}` })
            )
        }),
        Effect.mapError((error) => explained(who.url, error))
      )
  } satisfies Remote as Remote
})

/** The server that the sign-in names. */
export const remote = Effect.flatMap(signIn, connect)

const explained = (url: string, error: unknown): CommandFailed => {
  if (error instanceof CommandFailed) return error
  const fail = (reason: string) => new CommandFailed({ reason })
  if (HttpClientError.isHttpClientError(error)) {
    return error.response === undefined
      ? fail(`${url} cannot be reached: ${innermostReason(error)}`)
      : fail(`${url} answers ${error.response.status}, as no NodePulse does: is the address right?`)
  }
  const { _tag, detail, problems } = error as {
    readonly _tag?: string
    readonly detail?: string
    readonly problems?: ReadonlyArray<string>
  }
  if (_tag === "Unauthorized") return fail(`${url} does not know the token (any more): nodepulse login ${url}`)
  if (problems !== undefined) return fail(problems.join("\n"))
  if (detail !== undefined) return fail(detail)
  if (_tag === "SchemaError") return fail(`${url} answers what this version does not understand: is it of another one?`)
  return fail(`${url}: ${error instanceof Error ? error.message : String(error)}`)
}

/** The server that a person names, by its id or its name. */
export const findServer = Effect.fnUntraced(function* ({ ask }: Remote, named: string) {
  const { servers } = yield* ask((client) => client.servers.list())
  const byId = servers.find(({ server_id }) => server_id === named)
  if (byId !== undefined) return byId
  const byName = servers.filter(({ name }) => name === named)
  if (byName.length === 1) return byName[0]!
  if (byName.length > 1) {
    const ids = byName.map(({ server_id }) => server_id).join(", ")
    return yield* new CommandFailed({
      reason: `${byName.length} servers are called ${named}: name one by its id, ${ids}`
    })
  }
  const known = servers.slice(0, NAMES_TOLD).map(({ server_id }) => server_id)
  const more = servers.length > known.length ? ` and ${servers.length - known.length} more` : ""
  return yield* new CommandFailed({
    reason: `there is no server ${named}; there ${servers.length === 1 ? "is" : "are"} ${known.join(", ") || "none yet"}${more}`
  })
})

/** The exporter that a command is about, from the catalog: by its resource, else the first one that has a ranking. */
export const findRanked = Effect.fnUntraced(function* ({ ask }: Remote, resource: string | undefined) {
  const { exporters } = yield* ask((client) => client.exporters.catalog())
  const ranked = exporters.flatMap((one) => (one.top === null ? [] : [{ resource: one.resource, top: one.top }]))
  const found = resource === undefined ? ranked[0] : ranked.find((one) => one.resource === resource)
  if (found !== undefined) return found
  const known = ranked.map((one) => one.resource).join(", ")
  return yield* new CommandFailed({
    reason: `there is no ranking of ${resource ?? "anything"}; available: ${known || "none"}`
  })
})
