/**
 * `/api/openapi.json` and `/api/docs`: the API's description, for programs and for people.
 *
 * The page has everything in it (Swagger UI, as `effect` ships it): nothing is loaded from elsewhere, and its policy lets
 * exactly its own scripts run, by their hashes. Open to everyone: it says what this program is, and nothing of what it holds.
 * Both are made when they are first asked for, and kept: the page is 2 MB, 0.5 MB packed.
 */
import { createHash } from "node:crypto"
import { gzipSync } from "node:zlib"
import { Effect, type Layer } from "effect"
import { HttpRouter, HttpServerRequest, HttpServerResponse } from "effect/http"
import { HttpApiSwagger, OpenApi } from "effect/http-api"
import { Api } from "./Api.ts"

export const DOCS_PATH = "/api/docs"
export const OPENAPI_PATH = "/api/openapi.json"

export const docs: Layer.Layer<never, never, HttpRouter.HttpRouter> = HttpRouter.use(
  Effect.fnUntraced(function* (router) {
    const description = yield* Effect.cached(
      Effect.sync(() =>
        HttpServerResponse.jsonUnsafe(OpenApi.fromApi(Api), { headers: { "cache-control": "no-cache" } })
      )
    )
    yield* router.add("GET", OPENAPI_PATH, description)

    const page = yield* Effect.cached(Effect.uninterruptible(makePage))
    yield* router.add("GET", DOCS_PATH, (request) =>
      Effect.map(page, ({ gzip, html, policy }) => {
        const packed = /(^|[\s,])gzip\s*(,|$)/.test(request.headers["accept-encoding"] ?? "")
        return HttpServerResponse.uint8Array(packed ? gzip : html, {
          contentType: "text/html; charset=utf-8",
          headers: {
            "cache-control": "no-cache",
            "content-security-policy": policy,
            vary: "accept-encoding",
            ...(packed ? { "content-encoding": "gzip" } : {})
          }
        })
      })
    )
  })
)

/** The page of `HttpApiSwagger`, which is only to be had through a router. */
const makePage = Effect.gen(function* () {
  const request = HttpServerRequest.fromWeb(new Request(`http://localhost${DOCS_PATH}`))
  const routes = yield* HttpRouter.toHttpEffect(HttpApiSwagger.layer(Api, { path: DOCS_PATH }))
  const response = yield* Effect.orDie(Effect.provideService(routes, HttpServerRequest.HttpServerRequest, request))
  const html = Buffer.from(yield* Effect.promise(() => HttpServerResponse.toWeb(response).text()))
  return { html, gzip: gzipSync(html), policy: policyOf(html.toString("utf8")) }
}).pipe(Effect.scoped)

const policyOf = (html: string): string => {
  const hashes = [...html.matchAll(/<script(?:\s[^>]*)?>([\s\S]*?)<\/script>/g)].map(
    ([, script]) =>
      `'sha256-${createHash("sha256")
        .update(script ?? "")
        .digest("base64")}'`
  )
  return `default-src 'none'; script-src ${hashes.join(" ")}; style-src 'unsafe-inline'; img-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'`
}
