/**
 * The administrator's token from the configuration (NODEPULSE_ADMIN_TOKEN, or the one generated into the data folder),
 * which works without a database. Admin tokens made later are in `Tokens`.
 *
 * Compared in constant time: both sides are hashed first, so that neither length nor content shows in the time taken.
 *
 * A session that was opened with it holds a proof: a MAC of the token whose key is the session's cookie. Whoever reads the
 * database has no cookie, and cannot try out tokens against it; and with another token the session is nobody's.
 */
import { createHash, createHmac, timingSafeEqual } from "node:crypto"
import { Config, Context, Effect, Layer, Option, Redacted } from "effect"

const sha256 = (text: string) => createHash("sha256").update(text).digest()

export class AdminToken extends Context.Service<
  AdminToken,
  {
    readonly matches: (candidate: Redacted.Redacted<string>) => boolean
    /** What a session that is opened with the token holds. */
    readonly prove: (cookie: string) => Buffer
    /** Whether that was proven with the token as it is now. */
    readonly isProven: (cookie: string, proof: Buffer) => boolean
  }
>()("nodepulse/http/AdminToken") {
  /** Without a token (or with an empty one) nothing matches. */
  static readonly layer = (token: Option.Option<Redacted.Redacted<string>>): Layer.Layer<AdminToken> => {
    const expected = token.pipe(
      Option.map((token) => Redacted.value(token).trim()),
      Option.filter((token) => token !== ""),
      Option.map(sha256),
      Option.getOrUndefined
    )
    const prove = (cookie: string) =>
      createHmac("sha256", cookie)
        .update(expected ?? "")
        .digest()
    return Layer.succeed(AdminToken, {
      matches: (candidate) => expected !== undefined && timingSafeEqual(sha256(Redacted.value(candidate)), expected),
      prove,
      isProven: (cookie, proof) =>
        expected !== undefined && proof.length === 32 && timingSafeEqual(proof, prove(cookie))
    })
  }

  static readonly layerConfig: Layer.Layer<AdminToken, Config.ConfigError> = Layer.unwrap(
    Effect.map(Config.option(Config.Redacted("NODEPULSE_ADMIN_TOKEN")), (token) => AdminToken.layer(token))
  )
}
