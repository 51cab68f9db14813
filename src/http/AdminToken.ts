/**
 * The administrator's token from the configuration (NODEPULSE_ADMIN_TOKEN, or the one generated into the data folder),
 * which works without a database. Admin tokens made later are in `Tokens`.
 *
 * Compared in constant time: both sides are hashed first, so that neither length nor content shows in the time taken.
 */
import { createHash, timingSafeEqual } from "node:crypto"
import { Config, Context, Effect, Layer, Option, Redacted } from "effect"

const sha256 = (text: string) => createHash("sha256").update(text).digest()

export class AdminToken extends Context.Service<
  AdminToken,
  { readonly matches: (candidate: Redacted.Redacted<string>) => boolean }
>()("nodepulse/http/AdminToken") {
  /** Without a token (or with an empty one) nothing matches. */
  static readonly layer = (token: Option.Option<Redacted.Redacted<string>>): Layer.Layer<AdminToken> => {
    const expected = token.pipe(
      Option.map((token) => Redacted.value(token).trim()),
      Option.filter((token) => token !== ""),
      Option.map(sha256),
      Option.getOrUndefined
    )
    return Layer.succeed(AdminToken, {
      matches: (candidate) => expected !== undefined && timingSafeEqual(sha256(Redacted.value(candidate)), expected)
    })
  }

  static readonly layerConfig: Layer.Layer<AdminToken, Config.ConfigError> = Layer.unwrap(
    Effect.map(Config.option(Config.Redacted("NODEPULSE_ADMIN_TOKEN")), (token) => AdminToken.layer(token))
  )
}
