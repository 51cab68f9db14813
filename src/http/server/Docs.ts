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
import { Api } from "../api/Api.ts"
import { BasePath } from "./Address.ts"
import { takes } from "./Packed.ts"

export const DOCS_PATH = "/api/docs"
export const OPENAPI_PATH = "/api/openapi.json"

export const docs: Layer.Layer<never, never, HttpRouter.HttpRouter> = HttpRouter.use(
  Effect.fnUntraced(function* (router) {
    const basePath = yield* BasePath
    const api = basePath === "" ? Api : Api.annotate(OpenApi.Servers, [{ url: basePath }])
    const description = yield* Effect.cached(
      Effect.sync(() =>
        HttpServerResponse.jsonUnsafe(OpenApi.fromApi(api), { headers: { "cache-control": "no-cache" } })
      )
    )
    yield* router.add("GET", OPENAPI_PATH, description)

    const page = yield* Effect.cached(Effect.uninterruptible(makePage(api)))
    yield* router.add("GET", DOCS_PATH, (request) =>
      Effect.map(page, ({ gzip, html, policy }) => {
        const packed = takes("gzip", request.headers["accept-encoding"])
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
const makePage = Effect.fnUntraced(function* (api: typeof Api) {
  const request = HttpServerRequest.fromWeb(new Request(`http://localhost${DOCS_PATH}`))
  const routes = yield* HttpRouter.toHttpEffect(HttpApiSwagger.layer(api, { path: DOCS_PATH }))
  const response = yield* Effect.orDie(Effect.provideService(routes, HttpServerRequest.HttpServerRequest, request))
  const html = Buffer.from(yield* Effect.promise(() => HttpServerResponse.toWeb(response).text()))
  return { html, gzip: gzipSync(html), policy: policyOf(html.toString("utf8")) }
}, Effect.scoped)

/** Its own scripts and styles by their hashes. What scripts set through `style` is no inline style to a browser. */
const policyOf = (html: string): string =>
  `default-src 'none'; script-src ${hashesOf(html, "script")}; style-src ${hashesOf(html, "style")}; img-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'`

const hashesOf = (html: string, element: "script" | "style"): string =>
  [...html.matchAll(element === "script" ? SCRIPTS : STYLES)]
    .map(
      ([, text]) =>
        `'sha256-${createHash("sha256")
          .update(text ?? "")
          .digest("base64")}'`
    )
    .join(" ")

const SCRIPTS = /<script(?:\s[^>]*)?>([\s\S]*?)<\/script>/g
const STYLES = /<style(?:\s[^>]*)?>([\s\S]*?)<\/style>/g
