/**
 * Requests to hooks: addresses that somebody configured, over HTTP.
 *
 * Guarantees: what a hook's name leads to is looked at when the connection is made, and that very address is connected to, so
 * that a name cannot lead elsewhere between the look and the connection. Addresses of this machine (loopback, its own, the
 * unspecified one), link-local ones, and those at which clouds tell machines their secrets are refused unless the file allows
 * them. Private networks are not: that is where most hooks of a house are. No redirect is followed, no proxy is used, and what a
 * hook answers is not read: only its status and `Retry-After`.
 *
 * Bound: {@link ANSWER_WITHIN_MILLIS} from the look-up to the answer.
 */
import { lookup as lookupAll } from "node:dns"
import { type ClientRequest, request as httpRequest, type IncomingMessage } from "node:http"
import { request as httpsRequest } from "node:https"
import { isIP, type LookupFunction } from "node:net"
import { networkInterfaces } from "node:os"
import { unescape } from "node:querystring"
import { Effect } from "effect"
import { makeNetworks, plainAddress } from "../../access/Networks.ts"
import { innermostReason } from "../../InnermostCause.ts"
import { type NotDelivered, notDelivered } from "./NotDelivered.ts"

const ANSWER_WITHIN_MILLIS = 15_000
const RETRY_AFTER_MAX_SECONDS = 3_600

/** Of this machine, link-local, where clouds keep metadata (169.254.169.254 is link-local), and what is no one machine. */
const REFUSED = makeNetworks([
  ...["0.0.0.0/8", "127.0.0.0/8", "169.254.0.0/16", "224.0.0.0/4", "240.0.0.0/4"],
  ...["100.100.100.200", "168.63.129.16", "192.0.0.192", "fd00:ec2::254"],
  ...["::", "::1", "fe80::/10", "fec0::/10", "ff00::/8"],
  // Other ways to write an address of IPv4: translated, 6to4, Teredo. Those that are mapped are looked at as what they are.
  ...["64:ff9b::/96", "64:ff9b:1::/48", "2002::/16", "2001::/32"]
])

export interface HookRequest {
  readonly url: URL
  readonly method: "GET" | "POST"
  readonly headers: Readonly<Record<string, string>>
  readonly body: string
  readonly allowed: ReadonlyArray<string> | "any"
}

/** Whether hooks may be at an address. */
export const mayReach = (address: string, allowed: ReadonlyArray<string> | "any"): boolean => {
  if (allowed === "any") return true
  const plain = plainAddress(address).split("%", 1)[0]!
  if (makeNetworks(allowed)(plain)) return true
  return !REFUSED(plain) && !isOwn(plain)
}

const isOwn = (address: string): boolean =>
  Object.values(networkInterfaces()).some((all) => all?.some((one) => one.address === address))

/** Sends it; a status other than 2xx is a failure. */
export const askHook = (request: HookRequest): Effect.Effect<void, NotDelivered> =>
  Effect.callback<void, NotDelivered>((resume) => {
    const abort = new AbortController()
    const end = (how: Effect.Effect<void, NotDelivered>) => {
      clearTimeout(timer)
      resume(how)
    }
    const fail = (reason: string, after?: number) => end(Effect.fail(notDelivered(reason, after)))
    const timer = setTimeout(() => {
      fail(`it does not answer within ${ANSWER_WITHIN_MILLIS / 1_000} s`)
      abort.abort()
    }, ANSWER_WITHIN_MILLIS)
    try {
      const sent = open(request, abort.signal, (answer) => {
        const { headers, statusCode = 0 } = answer
        answer.destroy()
        if (statusCode >= 200 && statusCode < 300) end(Effect.void)
        else if (statusCode >= 300 && statusCode < 400) fail(`it answers ${statusCode}: redirects are not followed`)
        else fail(`it answers ${statusCode}`, retryAfterOf(headers["retry-after"]))
      })
      // After the answer, an error is that of a connection that nobody needs any more.
      sent.on("error", (error) => fail(reasonOf(error)))
      sent.end(request.body)
    } catch (error) {
      fail(reasonOf(error))
    }
    return Effect.sync(() => {
      clearTimeout(timer)
      abort.abort()
    })
  })

const open = (
  { allowed, body, headers, method, url }: HookRequest,
  signal: AbortSignal,
  answered: (answer: IncomingMessage) => void
): ClientRequest => {
  const host = url.hostname.replace(/^\[|\]$/g, "")
  if (isIP(host) !== 0 && !mayReach(host, allowed)) throw new Error(refusal(host))
  const { password, username } = url
  return (url.protocol === "https:" ? httpsRequest : httpRequest)(
    {
      protocol: url.protocol,
      hostname: host,
      port: url.port,
      path: `${url.pathname}${url.search}`,
      method,
      signal,
      agent: false,
      lookup: guarded(allowed),
      headers: {
        "user-agent": "NodePulse",
        ...(method === "POST" ? { "content-length": String(Buffer.byteLength(body)) } : {}),
        ...(username === "" ? {} : { authorization: basic(unescape(username), unescape(password)) }),
        ...headers
      }
    },
    answered
  )
}

/** Looks a name up, and hands out only what may be reached. */
const guarded =
  (allowed: HookRequest["allowed"]): LookupFunction =>
  (hostname, options, callback) => {
    lookupAll(hostname, { ...options, all: true }, (error, found) => {
      if (error !== null) return callback(error, "", 0)
      const fit = found.filter(({ address }) => mayReach(address, allowed))
      const [first] = fit
      if (first === undefined) return callback(new Error(refusal(found[0]?.address ?? "no address")), "", 0)
      if (options.all === true) callback(null, fit)
      else callback(null, first.address, first.family)
    })
  }

const refusal = (address: string): string =>
  `it is at ${address}, which is of this machine, link-local or reserved: "allow" in notify.yml can name it`

const basic = (user: string, password: string): string =>
  `Basic ${Buffer.from(`${user}:${password}`).toString("base64")}`

/** Seconds, or a moment, which is left to the own schedule. */
const retryAfterOf = (header: string | undefined): number | undefined =>
  header !== undefined && /^\d{1,9}$/.test(header)
    ? Math.min(Number(header), RETRY_AFTER_MAX_SECONDS) * 1_000
    : undefined

/** What the system says may hold the name that was looked up, which may be secret: its code says enough. */
const reasonOf = (error: unknown): string => {
  const { code, message } = error as NodeJS.ErrnoException
  if (message?.startsWith("it is at ")) return message
  if (code === "ENOTFOUND" || code === "EAI_AGAIN") return `its name is not known (${code})`
  return code === undefined ? innermostReason(error) : `it cannot be reached (${code})`
}
