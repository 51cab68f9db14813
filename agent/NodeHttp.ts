/**
 * `node:http`, `node:https` and `node:tls`, loaded when they are first used, and no more of them than that.
 *
 * An `import` of `node:http` evaluates all that it exports, `fetch`'s WebSocket among it: 11 MiB that the agent never uses.
 * TLS is another 8 MiB, and most agents have no address that begins with "https://" on the machine itself.
 */
import type * as Http from "node:http"
import type * as Https from "node:https"
import type * as Tls from "node:tls"

export const nodeHttp = (): typeof Http => process.getBuiltinModule("node:http")

export const nodeHttps = (): typeof Https => process.getBuiltinModule("node:https")

export const nodeTls = (): typeof Tls => process.getBuiltinModule("node:tls")
