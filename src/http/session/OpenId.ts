/**
 * Signing in with an OpenID provider: authorization code with PKCE, state and nonce, by the library `openid-client`, which
 * checks the signature, issuer, audience and times of what the provider says.
 *
 * Guarantee: who somebody is, is the provider's subject, which nobody chooses; what they may do is the highest of the roles
 * that their groups have here. Whoever is in none of those groups is not let in. What a sign-in has to remember is in a cookie
 * of the browser that began it, for `FLOW_LASTS`: one that somebody else has begun cannot be finished there.
 *
 * | variable | default | |
 * |---|---|---|
 * | `NODEPULSE_OIDC_ISSUER` | none | the provider's address; with it, `NODEPULSE_PUBLIC_URL` is needed |
 * | `NODEPULSE_OIDC_CLIENT_ID` | `nodepulse` | what it knows NodePulse as |
 * | `NODEPULSE_OIDC_CLIENT_SECRET` | none | |
 * | `NODEPULSE_OIDC_SCOPE` | `openid profile groups` | |
 * | `NODEPULSE_OIDC_GROUPS_CLAIM` | `groups` | where it names somebody's groups |
 * | `NODEPULSE_OIDC_READ_GROUPS`, `…_OPERATOR_GROUPS`, `…_ADMIN_GROUPS` | none | whose members have which role, separated by commas |
 */
import { Config, Context, Duration, Effect, Layer, Redacted, Result, Schema } from "effect"
import * as OpenIdClient from "openid-client"
import { ROLES, type Role } from "../../access/Servers.ts"
import type { SignedIn } from "../../access/Sessions.ts"
import { BasePath } from "../server/Address.ts"
import { PublicUrl } from "../server/Origin.ts"

export const FLOW_LASTS = Duration.minutes(10)
const ANSWER_WITHIN_SECONDS = 10

interface OpenIdSettings {
  readonly issuer: string
  readonly clientId: string
  readonly clientSecret: Redacted.Redacted<string> | undefined
  readonly scope: string
  readonly groupsClaim: string
  /** Groups whose members have a role. */
  readonly groups: Readonly<Record<Role, ReadonlyArray<string>>>
  /** Where the provider sends people back to. */
  readonly redirectUri: string
}

/** The provider refuses, cannot be reached, or says nothing that lets somebody in. The cause is for the log. */
export class SignInRefused extends Schema.TaggedError<SignInRefused>()("SignInRefused", {
  /** `no-role`: they are known, and in no group that is let in. `stale`: this browser began no sign-in, or too long ago. */
  why: Schema.Literals(["no-role", "stale", "provider"]),
  reason: Schema.String,
  /** What the provider calls whoever is not let in, where it says that. */
  who: Schema.optionalKey(Schema.String),
  cause: Schema.optional(Schema.Defect())
}) {}

interface OpenIdShape {
  /** Where to send the browser, and what it has to remember until it comes back. */
  readonly begin: Effect.Effect<{ readonly url: string; readonly flow: string }, SignInRefused>
  /** Who came back with this query, to the browser that remembers `flow`. */
  readonly finish: (query: string, flow: string) => Effect.Effect<SignedIn, SignInRefused>
}

/** Undefined where no provider is configured. */
export const OpenId = Context.Reference<OpenIdShape | undefined>("nodepulse/http/OpenId", {
  defaultValue: () => undefined
})

const listed = (name: string) =>
  Config.map(Config.withDefault(Config.String(name), ""), (text) =>
    text
      .split(",")
      .map((group) => group.trim())
      .filter((group) => group !== "")
  )

const config = Config.all({
  issuer: Config.withDefault(Config.String("NODEPULSE_OIDC_ISSUER"), ""),
  clientId: Config.withDefault(Config.NonEmptyString("NODEPULSE_OIDC_CLIENT_ID"), "nodepulse"),
  clientSecret: Config.withDefault(Config.Redacted("NODEPULSE_OIDC_CLIENT_SECRET"), Redacted.make("")),
  scope: Config.withDefault(Config.NonEmptyString("NODEPULSE_OIDC_SCOPE"), "openid profile groups"),
  groupsClaim: Config.withDefault(Config.NonEmptyString("NODEPULSE_OIDC_GROUPS_CLAIM"), "groups"),
  groups: Config.all({
    read: listed("NODEPULSE_OIDC_READ_GROUPS"),
    operator: listed("NODEPULSE_OIDC_OPERATOR_GROUPS"),
    admin: listed("NODEPULSE_OIDC_ADMIN_GROUPS")
  })
})

/** The settings cannot work. Not retryable: somebody has to correct them. */
export class OpenIdMisconfigured extends Schema.TaggedError<OpenIdMisconfigured>()("OpenIdMisconfigured", {
  reason: Schema.String
}) {
  readonly retryable = false
  override get message(): string {
    return `sign-in with a provider: ${this.reason}`
  }
}

export const layerConfig: Layer.Layer<never, Config.ConfigError | OpenIdMisconfigured> = Layer.effect(
  OpenId,
  Effect.gen(function* () {
    const { clientSecret, issuer, ...found } = yield* config
    if (issuer.trim() === "") return undefined
    const publicUrl = yield* PublicUrl
    const wrong =
      publicUrl === ""
        ? "NODEPULSE_PUBLIC_URL is needed: the provider sends people back there"
        : !URL.canParse(issuer)
          ? "NODEPULSE_OIDC_ISSUER is no address"
          : Object.values(found.groups).flat().length === 0
            ? "name the groups of at least one role, such as NODEPULSE_OIDC_ADMIN_GROUPS"
            : undefined
    if (wrong !== undefined) return yield* new OpenIdMisconfigured({ reason: wrong })
    const redirectUri = `${publicUrl}${yield* BasePath}/signin/oidc/callback`
    return makeOpenId({
      ...found,
      issuer: issuer.trim(),
      clientSecret: Redacted.value(clientSecret) === "" ? undefined : clientSecret,
      redirectUri
    })
  })
)

const Flow = Schema.fromJsonString(
  Schema.Struct({ state: Schema.String, nonce: Schema.String, verifier: Schema.String })
)
const decodeFlow = Schema.decodeUnknownResult(Flow)

const makeOpenId = (settings: OpenIdSettings): OpenIdShape => {
  let known: OpenIdClient.Configuration | undefined
  const provider = attempt("the provider cannot be reached", async () => {
    known ??= await discover(settings)
    return known
  })
  return {
    begin: Effect.flatMap(provider, (found) =>
      attempt("the sign-in cannot be begun", async () => {
        const flow = {
          state: OpenIdClient.randomState(),
          nonce: OpenIdClient.randomNonce(),
          verifier: OpenIdClient.randomPKCECodeVerifier()
        }
        const url = OpenIdClient.buildAuthorizationUrl(found, {
          redirect_uri: settings.redirectUri,
          scope: settings.scope,
          state: flow.state,
          nonce: flow.nonce,
          code_challenge: await OpenIdClient.calculatePKCECodeChallenge(flow.verifier),
          code_challenge_method: "S256"
        })
        return { url: url.href, flow: Buffer.from(JSON.stringify(flow)).toString("base64url") }
      })
    ),
    finish: Effect.fnUntraced(function* (query, flow) {
      const remembered = decodeFlow(Buffer.from(flow, "base64url").toString("utf8"))
      if (Result.isFailure(remembered)) {
        return yield* new SignInRefused({
          why: "stale",
          reason: "this browser has begun no sign-in, or too long ago: begin again"
        })
      }
      const { nonce, state, verifier } = remembered.success
      const found = yield* provider
      const claims = yield* attempt("the provider did not let you in", async () => {
        const tokens = await OpenIdClient.authorizationCodeGrant(found, new URL(`${settings.redirectUri}${query}`), {
          pkceCodeVerifier: verifier,
          expectedState: state,
          expectedNonce: nonce,
          idTokenExpected: true
        })
        return tokens.claims()
      })
      if (claims === undefined)
        return yield* new SignInRefused({ why: "provider", reason: "the provider named nobody" })
      const called = claims.preferred_username ?? claims.email ?? claims.name
      const name = typeof called === "string" ? called : ""
      const principal = `oidc:${claims.sub}`
      const role = roleOf(settings, claims[settings.groupsClaim])
      if (role === undefined) {
        const who = name === "" ? principal : `${principal} (${name})`
        const reason = "none of your groups may use NodePulse: ask an administrator"
        return yield* new SignInRefused({ why: "no-role", reason, who })
      }
      return { role, principal, name, tokenId: null }
    })
  }
}

const discover = async ({ clientId, clientSecret, issuer }: OpenIdSettings): Promise<OpenIdClient.Configuration> => {
  const url = new URL(issuer)
  const isLocal = url.protocol === "http:" && /^(127\.0\.0\.1|localhost|\[::1\])$/.test(url.hostname)
  const found = await OpenIdClient.discovery(
    url,
    clientId,
    clientSecret === undefined ? undefined : Redacted.value(clientSecret),
    clientSecret === undefined ? OpenIdClient.None() : undefined,
    // A provider on this very machine may do without TLS, and no other.
    { timeout: ANSWER_WITHIN_SECONDS, ...(isLocal ? { execute: [OpenIdClient.allowInsecureRequests] } : {}) }
  )
  return found
}

/** The highest role that a list of groups has; undefined where it has none, or is no list. Pure. */
export const roleOf = ({ groups }: Pick<OpenIdSettings, "groups">, claim: unknown): Role | undefined => {
  const own = Array.isArray(claim) ? claim.filter((group) => typeof group === "string") : []
  return ROLES.findLast((role) => groups[role].some((group) => own.includes(group)))
}

const attempt = <A>(reason: string, run: () => Promise<A>): Effect.Effect<A, SignInRefused> =>
  Effect.tryPromise({ try: run, catch: (cause) => new SignInRefused({ why: "provider", reason, cause }) })
