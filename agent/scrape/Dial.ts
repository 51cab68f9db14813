/**
 * How the connection of a request is made: directly, over a socket of this machine, or through a proxy; with the
 * certificates of a private authority, and one of its own.
 *
 * Through a proxy, an https address is reached by a tunnel (CONNECT), inside which TLS is spoken with the server itself: the
 * proxy sees its name and nothing else. An http address is asked of the proxy by its full address. What is dialled is
 * never a redirect, and what it closes is all that it opened.
 */
import type * as Http from "node:http"
import type * as Https from "node:https"
import { isIP, type Socket } from "node:net"
import type { PeerCertificate } from "node:tls"
import { Redacted } from "effect"
import type { ProxyAddress } from "../config/ProxySettings.ts"
import { socketAddress } from "../config/SocketAddress.ts"
import { nodeHttp, nodeHttps, nodeTls } from "../NodeHttp.ts"

/** What a connection needs beside its address; all of it PEM. */
export interface Connection {
  /** Certificates to trust instead of the built-in ones: a private authority. */
  readonly ca?: string
  /** What we show of ourselves. */
  readonly cert?: string
  readonly key?: string
  readonly proxy?: ProxyAddress
  /** Whose certificate it has to be, where that is not the address's host; then one of `ca` itself will do. */
  readonly serverName?: string
}

/** Whose certificate it has to be. An address is asked for by no name: SNI has names only. */
const namedBy = (name: string) => ({
  servername: isIP(name) === 0 ? name : "",
  checkServerIdentity: (_: string, cert: PeerCertificate) => nodeTls().checkServerIdentity(name, cert)
})

export interface DialRequest {
  readonly method: "GET" | "POST"
  readonly url: string
  readonly headers: Readonly<Record<string, string | number>>
  readonly connection: Connection
}

export interface DialEvents {
  /** The request can be written. Its errors are the listener's. */
  readonly opened: (outgoing: Http.ClientRequest) => void
  /** There is no connection to the proxy. */
  readonly proxyFailed: (cause: Error) => void
  /** The proxy leads nowhere: what it answered with instead of a tunnel. */
  readonly proxyRefused: (status: number) => void
}

/** Dials. Throws where the request cannot be made at all; returns what gives it up. */
export const dial = (request: DialRequest, events: DialEvents): (() => void) => {
  const { connection, headers, method, url } = request
  const options = { method, headers, agent: false as const }
  const opened = (outgoing: Http.ClientRequest) => {
    events.opened(outgoing)
    return () => abandon(outgoing)
  }
  const socket = socketAddress(url)
  if (socket !== undefined)
    return opened(nodeHttp().request({ ...options, socketPath: socket.path, path: socket.target }))
  const { ca, cert, key, proxy, serverName } = connection
  const secrets = {
    ...(ca === undefined ? {} : { ca }),
    ...(cert === undefined ? {} : { cert, key }),
    ...(serverName === undefined ? {} : { ...namedBy(serverName), allowPartialTrustChain: true })
  }
  const secure = url.startsWith("https:")
  if (proxy === undefined)
    return opened((secure ? nodeHttps() : nodeHttp()).request(url, { ...options, ...(secure ? secrets : {}) }))
  if (!secure) return opened(askProxy(proxy, url, options, secrets))
  return tunnel(proxy, url, secrets, {
    ...events,
    opened: (tunnelled) =>
      events.opened(nodeHttps().request(url, { ...options, ...secrets, socket: tunnelled } as Options))
  })
}

/** The `socket` of node:tls, which node:https hands on. */
type Options = Https.RequestOptions & { readonly socket?: Socket }

/** Asks the proxy for the full address. */
const askProxy = (
  proxy: ProxyAddress,
  url: string,
  options: Pick<Http.RequestOptions, "method" | "agent"> & { readonly headers: DialRequest["headers"] },
  secrets: Pick<Connection, "ca">
): Http.ClientRequest => {
  const target = new URL(url)
  const auth = target.username === "" ? {} : { auth: decodeURIComponent(`${target.username}:${target.password}`) }
  target.username = ""
  target.password = ""
  target.hash = ""
  return (proxy.secure ? nodeHttps() : nodeHttp()).request({
    ...options,
    ...auth,
    ...(proxy.secure ? secrets : {}),
    host: proxy.host,
    port: proxy.port,
    path: target.href,
    headers: { ...options.headers, host: target.host, ...authorizationOf(proxy) }
  })
}

/** Opens a tunnel to the address's host and port. */
const tunnel = (
  proxy: ProxyAddress,
  url: string,
  secrets: Pick<Connection, "ca">,
  events: Omit<DialEvents, "opened"> & { readonly opened: (socket: Socket) => void }
): (() => void) => {
  const { hostname, port } = new URL(url)
  const target = `${hostname}:${port === "" ? 443 : port}`
  const request = (proxy.secure ? nodeHttps() : nodeHttp()).request({
    method: "CONNECT",
    agent: false,
    ...(proxy.secure ? secrets : {}),
    host: proxy.host,
    port: proxy.port,
    path: target,
    headers: { host: target, ...authorizationOf(proxy) }
  })
  let opened: Socket | undefined
  request.on("error", (cause) => {
    if (opened === undefined) events.proxyFailed(cause)
  })
  request.on("connect", ({ statusCode = 0 }, socket) => {
    opened = socket
    // From here on its errors are the TLS socket's, which is told of them.
    socket.on("error", () => {})
    if (statusCode >= 200 && statusCode < 300) return events.opened(socket)
    socket.destroy()
    events.proxyRefused(statusCode)
  })
  request.end()
  return () => {
    abandon(request)
    opened?.destroy()
  }
}

const authorizationOf = ({ authorization }: ProxyAddress) =>
  authorization === undefined ? {} : { "proxy-authorization": Redacted.value(authorization) }

const abandon = (outgoing: Http.ClientRequest): void => {
  outgoing.on("error", () => {})
  outgoing.destroy()
}
