/**
 * Where a browser says that a request comes from, and whom it thinks it is talking to.
 *
 * Guarantee: what changes something is done only for this server's own page, or for a program, which names no origin. Where the
 * address is configured that people reach the server by, a page under another name gets no answer: a name that somebody else
 * owns and that leads here (DNS rebinding) opens nothing. An address of numbers is nobody's name, and whoever sends a token is
 * no such page.
 *
 * Pure, but for `PublicUrl`.
 */
import { isIP } from "node:net"
import { Context, Schema } from "effect"

/** The address that people reach the server by, without a path: `https://pulse.example.com`; empty where it is not told. */
export const PublicUrl = Context.Reference<string>("nodepulse/http/PublicUrl", { defaultValue: () => "" })

/** What NODEPULSE_PUBLIC_URL may be. */
export const PublicUrlText = Schema.String.check(
  Schema.makeFilter((text: string) => publicUrlOf(text) !== undefined, {
    expected: "an address such as https://pulse.example.com, without a path (NODEPULSE_BASE_PATH is that)"
  })
)

/** The origin that a text names; undefined where it is none. */
export const publicUrlOf = (text: string): string | undefined => {
  const plain = text.trim()
  if (plain === "") return ""
  if (!URL.canParse(plain)) return undefined
  const url = new URL(plain)
  const isOrigin = /^https?:$/.test(url.protocol) && url.pathname === "/" && url.search === "" && url.hash === ""
  return isOrigin && url.username === "" && url.password === "" ? url.origin : undefined
}

/** Where people reach the page: the address with the path below it; undefined where nobody told. */
export const reachedAt = (told: { readonly publicUrl?: string; readonly basePath?: string }): string | undefined =>
  told.publicUrl ? `${told.publicUrl}${told.basePath ?? ""}` : undefined

type Headers = Readonly<Record<string, string | undefined>>

/** Whether a browser says that the request comes from another page than this server's own. */
export const isForeign = (headers: Headers, publicUrl: string): boolean => {
  const { host, origin } = headers
  const site = headers["sec-fetch-site"]
  if (site !== undefined && site !== "same-origin" && site !== "none") return true
  if (origin === undefined) return false
  return origin !== `http://${host}` && origin !== `https://${host}` && (publicUrl === "" || origin !== publicUrl)
}

/** Whether the request names a host that this server is not known by. */
export const isMisdirected = (headers: Headers, publicUrl: string): boolean => {
  const host = headers.host
  if (publicUrl === "" || host === undefined || headers.authorization !== undefined) return false
  const name = nameOf(host)
  return name !== nameOf(new URL(publicUrl).host) && name !== "localhost" && isIP(name) === 0
}

/** A host's name, without its port and without the brackets of an IPv6 address. */
const nameOf = (host: string): string => {
  const end = host.startsWith("[") ? host.indexOf("]") : host.indexOf(":")
  const name = end < 0 ? host : host.slice(host.startsWith("[") ? 1 : 0, end)
  return name.toLowerCase()
}
