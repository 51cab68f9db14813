/**
 * Which proxy leads to an address, from the environment as curl and Go read it: `HTTPS_PROXY` for https, `HTTP_PROXY` for
 * http, `NO_PROXY` for what is reached directly; in lower case, too, which comes first. `server.proxy` in nodepulse.yml
 * takes the place of all three. Pure.
 *
 * `NO_PROXY` is a list, by commas or blanks: `*`; a name, for itself and all below it (`example.org`, `.example.org`); an
 * address or a network (`10.0.0.0/8`, `fd00::/8`); each with a port where it is meant for that alone. This machine's own
 * addresses are always reached directly.
 *
 * Guarantee: user and password of a proxy are redacted from here on, and in no problem.
 */
import { BlockList, isIP } from "node:net"
import { Redacted, Result } from "effect"

export interface ProxyAddress {
  readonly secure: boolean
  readonly host: string
  readonly port: number
  /** The header `proxy-authorization`; undefined where the proxy wants none. */
  readonly authorization: Redacted.Redacted<string> | undefined
}

export type ProxyEnvironment = Readonly<Record<string, string | undefined>>

/** The proxy for the address; undefined: directly. A failure is a sentence that names the setting. */
export const proxyFor = (
  address: string,
  environment: ProxyEnvironment,
  configured?: string
): Result.Result<ProxyAddress | undefined, string> => {
  const url = new URL(address)
  const port = Number(url.port) || (url.protocol === "https:" ? 443 : 80)
  const host = bare(url.hostname)
  if (configured !== undefined) return configured === "none" ? DIRECT : parseProxy("server.proxy", configured)
  const name = url.protocol === "https:" ? "HTTPS_PROXY" : "HTTP_PROXY"
  const setting = valueOf(environment, name)
  if (setting === "" || isOwn(host) || isExcepted(host, port, valueOf(environment, "NO_PROXY"))) return DIRECT
  return parseProxy(name, setting)
}

/** Host and port, for people. */
export const shownProxy = ({ host, port }: ProxyAddress): string => `${isIP(host) === 6 ? `[${host}]` : host}:${port}`

const DIRECT: Result.Result<undefined, never> = Result.succeed(undefined)

const valueOf = (environment: ProxyEnvironment, name: string): string =>
  (environment[name.toLowerCase()] ?? environment[name] ?? "").trim()

/** An address such as `http://user:password@proxy.example.org:3128`; without a scheme it is http. */
const parseProxy = (setting: string, text: string): Result.Result<ProxyAddress, string> => {
  const full = /^[a-z][a-z0-9+.-]*:\/\//i.test(text) ? text : `http://${text}`
  const refuse = (why: string) =>
    Result.fail(`${setting} ${why}: it must be an address such as "http://proxy.example.org:3128"`)
  if (!URL.canParse(full)) return refuse("is no address")
  const url = new URL(full)
  if (url.protocol !== "http:" && url.protocol !== "https:") {
    return refuse(`names a proxy of the kind "${url.protocol.slice(0, -1).slice(0, 20)}", which is not supported`)
  }
  if (url.hostname === "" || !/^\/?$/.test(url.pathname)) return refuse("is no address of a proxy")
  const secure = url.protocol === "https:"
  const credentials = decoded(`${url.username}:${url.password}`)
  if (credentials === undefined) return refuse("has a user or password with a % that is no escape")
  return Result.succeed({
    secure,
    host: bare(url.hostname),
    port: Number(url.port) || (secure ? 443 : 80),
    authorization:
      credentials === ":" ? undefined : Redacted.make(`Basic ${Buffer.from(credentials).toString("base64")}`)
  })
}

const decoded = (text: string): string | undefined => {
  try {
    return decodeURIComponent(text)
  } catch {
    return undefined
  }
}

/** An IPv6 address without its brackets, a name without the dot at its end. */
const bare = (hostname: string): string =>
  hostname
    .replace(/^\[(.*)\]$/, "$1")
    .replace(/\.$/, "")
    .toLowerCase()

const isOwn = (host: string): boolean => /^(localhost|.+\.localhost|127(\.\d+){3}|::1)$/.test(host)

const isExcepted = (host: string, port: number, list: string): boolean =>
  list
    .split(/[\s,]+/)
    .filter((entry) => entry !== "")
    .some((entry) => excepts(entry.toLowerCase(), host, port))

const excepts = (entry: string, host: string, port: number): boolean => {
  if (entry === "*") return true
  const [, bracketed, plain = "", only] = /^(?:\[([^\]]*)\]|(.*?))(?::(\d+))?$/.exec(entry) ?? []
  // An IPv6 address without brackets has colons of its own.
  const whole = isIP(entry) === 6 || (entry.includes("/") && entry.split(":").length > 2)
  const name = whole ? entry : (bracketed ?? plain)
  if (!whole && only !== undefined && Number(only) !== port) return false
  const [address = "", prefix] = name.split("/")
  const family = isIP(address)
  if (family !== 0) return isIP(host) === family && inNetwork(host, address, prefix, family === 4 ? "ipv4" : "ipv6")
  const suffix = name.replace(/^\*?\./, "").replace(/\.$/, "")
  return suffix !== "" && (host === suffix || host.endsWith(`.${suffix}`))
}

const inNetwork = (host: string, address: string, prefix: string | undefined, family: "ipv4" | "ipv6"): boolean => {
  const longest = family === "ipv4" ? 32 : 128
  const bits = prefix === undefined ? longest : Number(prefix)
  if (!Number.isInteger(bits) || bits < 0 || bits > longest) return false
  const network = new BlockList()
  network.addSubnet(address, bits, family)
  return network.check(host, family)
}
