/**
 * The address of a request, in the one form that everything behind it reads.
 *
 * Guarantee: a path is taken whole. The router takes `;` and `#` for the beginning of the query and leaves the rest out, so
 * that `/api/tokens/1;2` would name token 1; here they are characters of the path, escaped. Each segment is decoded once,
 * by the router. The path that a reverse proxy serves NodePulse below (`NODEPULSE_BASE_PATH`) is taken off, and need not be
 * there: some proxies take it off themselves, and a health check asks the server directly.
 *
 * Pure, but for `BasePath`.
 */
import { Context, Schema } from "effect"

/** The path below which NodePulse is reached: empty, or `/pulse` with a slash in front and none at its end. */
export const BasePath = Context.Reference<string>("nodepulse/http/BasePath", { defaultValue: () => "" })

/** First segments that are NodePulse's own: a base path that began with one could not be told from it. */
const RESERVED = new Set(["access", "api", "assets", "healthz", "metrics", "pipeline", "readyz", "servers", "signin"])
const LENGTH_MAX = 200

/** What NODEPULSE_BASE_PATH may be, with or without the slash at its end. */
export const BasePathText = Schema.String.check(
  Schema.makeFilter((text: string) => basePathOf(text) !== undefined, {
    expected: `a path such as /pulse: letters, digits, ".", "_", "~" and "-" between slashes, at most ${LENGTH_MAX} characters, not beginning with ${[...RESERVED].map((name) => `/${name}`).join(", ")}`
  })
)

/** The base path that a text names; undefined where it cannot be one. */
export const basePathOf = (text: string): string | undefined => {
  const path = text.trim().replace(/\/$/, "")
  if (path === "") return ""
  const segments = path.split("/").slice(1)
  const allowed = segments.every((segment) => /^[A-Za-z0-9._~-]+$/.test(segment) && !/^\.{1,2}$/.test(segment))
  if (!path.startsWith("/") || path.length > LENGTH_MAX || !allowed || RESERVED.has(segments[0] ?? "")) return undefined
  return path
}

/** A request target without scheme, host and base path, and with a path that means itself. */
export const addressOf = (target: string, basePath: string): string => {
  if (isPlain(target) && basePath === "") return target
  const relative = target.replace(/^https?:\/\/[^/?#]*/i, "")
  const end = relative.indexOf("?")
  const path = (end < 0 ? relative : relative.slice(0, end)).replace(MISREAD, encodeURIComponent)
  const query = end < 0 ? "" : relative.slice(end)
  return `${below(path === "" ? "/" : path, basePath)}${query}`
}

/** The path of an address. */
export const pathOf = (address: string): string => {
  const end = address.indexOf("?")
  return end < 0 ? address : address.slice(0, end)
}

/** The segments of a path, each decoded once; undefined where one is not percent-encoded UTF-8. */
export const segmentsOf = (path: string): ReadonlyArray<string> | undefined => {
  try {
    return path.split("/").slice(1).map(decodeURIComponent)
  } catch {
    return undefined
  }
}

/** What the router takes for the end of a path. */
const MISREAD = /[;#]/g
const isPlain = (target: string): boolean => target.startsWith("/") && !/[;#]/.test(target)

const below = (path: string, basePath: string): string => {
  if (basePath === "" || !path.startsWith(basePath)) return path
  const rest = path.slice(basePath.length)
  return rest === "" ? "/" : rest.startsWith("/") ? rest : path
}
