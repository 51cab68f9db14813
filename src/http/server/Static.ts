/**
 * The page: the files that were built into `web/dist`, or, where nothing was built, one honest page that says so.
 *
 * Guarantee: only files found at start are served, looked up by their exact path, so that no address leads anywhere else.
 * Files lie in the root and in `assets`: every other address whose first segment is no file's name is the page's own and gets
 * `index.html`, whatever the names in it look like (`/servers/db1.example.com`). The page is told the base path, in its
 * addresses and in `data-base`. Hashed files (`/assets/…`) are kept for a year,
 * everything else is checked by its ETag. Brotli and gzip are served where they were built beside a file.
 * Bound: all files together `BYTES_MAX`, read once at start.
 *
 * The files are open to everyone: they hold no data, and what they ask for needs a session.
 */
import { createHash } from "node:crypto"
import { readdirSync, readFileSync, statSync } from "node:fs"
import { join, relative, sep } from "node:path"
import { fileURLToPath } from "node:url"
import { brotliCompressSync, gzipSync } from "node:zlib"
import { Context, Effect, Layer } from "effect"
import { type HttpServerRequest, HttpServerResponse } from "effect/http"
import { BasePath, segmentsOf } from "./Address.ts"
import { takes } from "./Packed.ts"

const BYTES_MAX = 64 * 1024 * 1024

export class Static extends Context.Service<
  Static,
  {
    /** The response to a GET or HEAD of a path that is no route; undefined where there is no such file. */
    readonly find: (
      path: string,
      headers: HttpServerRequest.HttpServerRequest["headers"]
    ) => HttpServerResponse.HttpServerResponse | undefined
  }
>()("nodepulse/http/Static") {
  /** Serves the files below `folder`. */
  static readonly layerFolder = (folder: string): Layer.Layer<Static> =>
    Layer.effect(
      Static,
      Effect.map(BasePath, (basePath) => {
        const files = readFolder(folder, basePath)
        return Static.of({
          find: (path, headers) =>
            files.has("/index.html") ? findFile(files, path, headers) : notBuilt(path, basePath)
        })
      })
    )

  static readonly layer: Layer.Layer<Static> = Static.layerFolder(
    fileURLToPath(new URL("../../../web/dist", import.meta.url))
  )
}

/** What a page may load: itself. Styles that a script sets are no inline styles to a browser. */
const PAGE_POLICY =
  "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; connect-src 'self'; manifest-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"

interface File {
  readonly body: Buffer
  readonly packed: ReadonlyMap<string, Buffer>
  readonly contentType: string
  readonly etag: string
}

type Files = ReadonlyMap<string, File>

const TYPES: Readonly<Record<string, string>> = {
  css: "text/css; charset=utf-8",
  html: "text/html; charset=utf-8",
  ico: "image/x-icon",
  js: "text/javascript; charset=utf-8",
  json: "application/json",
  map: "application/json",
  png: "image/png",
  svg: "image/svg+xml",
  txt: "text/plain; charset=utf-8",
  webmanifest: "application/manifest+json",
  woff2: "font/woff2"
}

const readFolder = (folder: string, basePath: string): Files => {
  const found = new Map<string, Buffer>()
  let bytes = 0
  for (const entry of listFiles(folder)) {
    bytes += statSync(entry).size
    if (bytes > BYTES_MAX) throw new Error(`${folder}: the page's files are more than ${BYTES_MAX} bytes`)
    found.set(`/${relative(folder, entry).split(sep).join("/")}`, readFileSync(entry))
  }
  const page = found.get("/index.html")
  if (page !== undefined && basePath !== "") {
    const moved = Buffer.from(rebased(page.toString("utf8"), basePath))
    found.set("/index.html", moved)
    found.set("/index.html.br", brotliCompressSync(moved))
    found.set("/index.html.gz", gzipSync(moved))
  }
  const files = new Map<string, File>()
  for (const [path, body] of found) {
    const packed = new Map<string, Buffer>()
    for (const [encoding, ending] of [
      ["br", ".br"],
      ["gzip", ".gz"]
    ] as const) {
      const variant = found.get(path + ending)
      if (variant !== undefined) packed.set(encoding, variant)
    }
    const contentType = TYPES[path.slice(path.lastIndexOf(".") + 1)] ?? "application/octet-stream"
    const etag = `"${createHash("sha256").update(body).digest("base64url").slice(0, 27)}"`
    files.set(path, { body, packed, contentType, etag })
  }
  return files
}

const listFiles = (folder: string): ReadonlyArray<string> => {
  try {
    return readdirSync(folder, { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile())
      .map((entry) => join(entry.parentPath, entry.name))
  } catch {
    return []
  }
}

/** The page's own addresses, which begin with a slash, below the base path. */
const rebased = (html: string, basePath: string): string =>
  html.replace(/\b(href|src)="\/(?!\/)/g, `$1="${basePath}/`).replace('data-base=""', `data-base="${basePath}"`)

/** Whether an address is one of the page's, which shows a server or says that there is no such thing. */
const isPlace = (path: string): boolean => {
  const segments = segmentsOf(path)
  if (segments === undefined) return false
  const inner = segments.at(-1) === "" ? segments.slice(0, -1) : segments
  const [first = ""] = inner
  return first !== "assets" && !first.includes(".") && !inner.some((segment) => /^\.{0,2}$/.test(segment))
}

const findFile = (files: Files, path: string, headers: HttpServerRequest.HttpServerRequest["headers"]) => {
  const name = path === "/" ? "/index.html" : path
  const file = files.get(name) ?? (isPlace(name) ? files.get("/index.html") : undefined)
  if (file === undefined) return undefined
  const known = {
    etag: file.etag,
    vary: "accept-encoding",
    "cache-control": name.startsWith("/assets/") ? "public, max-age=31536000, immutable" : "no-cache",
    ...(file.contentType.startsWith("text/html") ? { "content-security-policy": PAGE_POLICY } : {})
  }
  if (headers["if-none-match"] === file.etag) return HttpServerResponse.empty({ status: 304, headers: known })
  for (const [encoding, body] of file.packed) {
    if (takes(encoding, headers["accept-encoding"])) {
      return HttpServerResponse.uint8Array(body, {
        headers: { ...known, "content-encoding": encoding },
        contentType: file.contentType
      })
    }
  }
  return HttpServerResponse.uint8Array(file.body, { headers: known, contentType: file.contentType })
}

const notBuilt = (path: string, basePath: string) =>
  path === "/"
    ? HttpServerResponse.text(rebased(NOT_BUILT, basePath), {
        contentType: "text/html; charset=utf-8",
        headers: { "content-security-policy": PAGE_POLICY, "cache-control": "no-cache" }
      })
    : undefined

const NOT_BUILT = `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>NodePulse</title>
<h1>NodePulse is running, but its page was not built</h1>
<p>There is no <code>web/dist</code> here. Build the page with <code>npm run build</code> and start again.</p>
<p>The API works all the same, with a token in <code>Authorization: Bearer …</code>:</p>
<ul>
<li><a href="/api/docs">/api/docs</a>, the description, and <a href="/api/openapi.json">/api/openapi.json</a></li>
<li><a href="/api/servers">/api/servers</a></li>
<li>/api/servers/{id}/{resource}/top?metric&amp;limit&amp;hours</li>
<li><a href="/api/exporters">/api/exporters</a></li>
<li><a href="/api/pipeline">/api/pipeline</a></li>
<li><a href="/healthz">/healthz</a>, <a href="/readyz">/readyz</a>, <a href="/metrics">/metrics</a></li>
</ul>
</html>
`
