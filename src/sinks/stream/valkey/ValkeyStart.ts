/**
 * One look at Valkey before a start relies on it: whether it answers, lets us in, is recent enough and lets us do what we do.
 *
 * What may heal is waited for, and the log says so (`Waiting.ts`). What somebody has to mend ends the wait with the remedy: a
 * certificate, a password, rights, a version, a server that is something else.
 */
import { connect } from "node:net"
import { connect as connectTls } from "node:tls"
import { Duration, Effect, type Redacted, Schedule, Schema } from "effect"
import { makeNotice } from "../../../Waiting.ts"
import { StreamUnavailable } from "../SnapshotStream.ts"
import { keyOf } from "./StreamNumber.ts"
import { exposed, readAddress, type ValkeyAddress, type ValkeyUrlInvalid } from "./ValkeyAddress.ts"
import { type Endpoint, SLOTS } from "./ValkeyClusterMap.ts"
import { type FoundServer, halfMoved, lackingReplicas, lookAtCluster, type SeenCluster } from "./ValkeyClusterStart.ts"
import { attempt, type Connection, open } from "./ValkeyConnection.ts"
import { infoOf } from "./ValkeyInfo.ts"

/** Valkey cannot be used as it is. Not retryable: the message says what to do. */
export class ValkeyUnfit extends Schema.TaggedError<ValkeyUnfit>()("ValkeyUnfit", {
  reason: Schema.String,
  remedy: Schema.String
}) {
  readonly retryable = false
  override get message(): string {
    return `Valkey cannot be used: ${this.reason}; ${this.remedy}`
  }
}

/** What NodePulse's user of Valkey may do, as `ACL SETUSER` takes it. `docs/deployment.md` shows it. */
export const VALKEY_RIGHTS =
  "~nodepulse:* +xadd +xlen +xrange +xtrim +xdel +xack +xclaim +xpending +xreadgroup +xgroup +xinfo +exists +get +incrby +del +time +memory|usage +eval +evalsha +info +client +config|get +ping +select"

/** What it may do beside, where Valkey is a cluster. */
const CLUSTER_RIGHTS = "+cluster|slots +cluster|info +asking +wait"

/** The rights in a cluster. `docs/deployment.md` shows them. */
export const VALKEY_CLUSTER_RIGHTS = `${VALKEY_RIGHTS} ${CLUSTER_RIGHTS}`

/**
 * Waits until Valkey can be used, and says in the log what it waits for. Fails with what has to be mended; after `within` (60
 * seconds by default) with what was wrong last. In a cluster every server has to be fit that answers, and every slot be served;
 * primaries with fewer than `replicas` (1 by default) are told.
 */
export const awaitValkey = (options: {
  readonly url: Redacted.Redacted<string> | string
  readonly within?: Duration.Input
  readonly replicas?: number
}): Effect.Effect<void, StreamUnavailable | ValkeyUrlInvalid | ValkeyUnfit> =>
  Effect.gen(function* () {
    const address = yield* readAddress(exposed(options.url))
    const within = Duration.fromInputUnsafe(options.within ?? "60 seconds")
    const notice = makeNotice(`Valkey at ${address.shown}`)
    const { seeds } = address
    const examined =
      seeds === undefined
        ? yield* examineServer(address, Duration.toMillis(within))
        : examineCluster(address, seeds, options.replicas ?? 1)
    const reason = Effect.fnUntraced(function* (error: StreamUnavailable) {
      const found = mendable(error.message, address.shown)
      if (found !== undefined || NOT_THERE.test(error.message)) return yield* found ?? error
      return yield* (yield* otherEncryption(address)) ?? error
    })
    yield* examined.pipe(
      Effect.catchTag("StreamUnavailable", reason),
      Effect.tapError((error) => (error._tag === "StreamUnavailable" ? notice(error.message) : Effect.void)),
      Effect.retry({
        while: ({ _tag }) => _tag === "StreamUnavailable",
        schedule: Schedule.spaced("250 millis").pipe(Schedule.upTo({ duration: within }))
      })
    )
  }).pipe(Effect.scoped)

/** What a cluster consists of, for people; undefined where Valkey is one server. */
export const describeCluster = (options: {
  readonly url: Redacted.Redacted<string> | string
  readonly replicas: number
  readonly streams: number
}): Effect.Effect<
  { readonly saw: string; readonly doubt: string | undefined; readonly remedy: string } | undefined,
  StreamUnavailable | ValkeyUrlInvalid | ValkeyUnfit
> =>
  Effect.gen(function* () {
    const address = yield* readAddress(exposed(options.url))
    if (address.seeds === undefined) return undefined
    const seen = yield* lookAtCluster(address, address.seeds, lookAtServer(NEEDED_OF_CLUSTER))
    yield* allFit(seen)
    const primaries = seen.servers.filter(({ follows }) => follows === undefined).length
    const saw = `a cluster of ${primaries} primaries with ${seen.servers.length - primaries} replicas`
    const uncovered = seen.uncovered > 0 ? `${seen.uncovered} of ${SLOTS} slots have no server` : undefined
    const away = seen.servers.find(({ found }) => found === undefined)
    const doubt =
      uncovered ??
      lackingReplicas(seen, options.replicas) ??
      (away === undefined ? undefined : `${away.name}: ${away.reason}`)
    if (doubt !== undefined) {
      return { saw, doubt, remedy: "start what is away; CLUSTER NODES on one of them shows who that is" }
    }
    const half = yield* halfMoved(address, options.streams)
    if (half.length === 0) return { saw, doubt: undefined, remedy: "" }
    const [{ name }] = seen.servers as [SeenCluster["servers"][number]]
    return {
      saw,
      doubt: `the slot of stream ${half.join(", ")} is half moved, so nothing is taken for it`,
      remedy: `where no resharding is under way, end the one that was interrupted: valkey-cli --cluster fix ${name}`
    }
  })

/** Fails with what somebody has to mend on one of the servers that answer. */
const allFit = ({ servers }: SeenCluster): Effect.Effect<void, ValkeyUnfit> =>
  Effect.forEach(
    servers,
    ({ found, name, reason }) => {
      if (found !== undefined) return beFit(found, CLUSTER_GRANT, `${name}: `)
      const wrong = mendable(reason, name)
      return wrong === undefined ? Effect.void : Effect.fail(wrong)
    },
    { discard: true }
  )

/** One connection for all tries, as it will be used. */
const examineServer = (address: ValkeyAddress, withinMillis: number) =>
  Effect.gen(function* () {
    const connection = yield* open(address, { name: "nodepulse-wait", silence: 5_000, maxBytesInFlight: 1 << 20 })
    let patience = 500
    const look = attempt("connect", async () => {
      await connection.ready(Math.min(patience, withinMillis)).finally(() => {
        patience = 5_000
      })
      return await lookAtServer(NEEDED)(connection)
    })
    return Effect.flatMap(look, (found) => {
      if (!isInCluster(found)) return beFit(found, GRANT)
      return Effect.fail(unfit(`${address.shown} is a server of a cluster`, "write redis-cluster:// in VALKEY_URL"))
    })
  })

const examineCluster = (
  address: ValkeyAddress,
  seeds: ReadonlyArray<Endpoint>,
  replicas: number
): Effect.Effect<void, StreamUnavailable | ValkeyUnfit> =>
  Effect.gen(function* () {
    const seen = yield* lookAtCluster(address, seeds, lookAtServer(NEEDED_OF_CLUSTER))
    yield* allFit(seen)
    const away = (reason: string) => new StreamUnavailable({ operation: "connect", cause: new Error(reason) })
    if (seen.uncovered > 0) return yield* away(`${seen.uncovered} of ${SLOTS} slots have no server`)
    const primary = seen.servers.find(({ follows, found }) => follows === undefined && found === undefined)
    if (primary !== undefined) return yield* away(`${primary.name}: ${primary.reason}`)
    const lacking = lackingReplicas(seen, replicas)
    if (lacking !== undefined) yield* Effect.logWarning(`Valkey at ${address.shown}: ${lacking}`)
  })

const beFit = ({ info, lacking }: FoundServer, grant: string, where = ""): Effect.Effect<void, ValkeyUnfit> => {
  const old = tooOld(info)
  if (old !== undefined) return Effect.fail(unfit(`${where}${old}`, "Valkey 7.2 or Redis 7.0, or later, is needed"))
  if (lacking.length === 0) return Effect.void
  return Effect.fail(unfit(`${where}its user may not run ${lacking.join(", ")}`, grant))
}

const isInCluster = ({ info }: FoundServer) =>
  ["redis_mode", "server_mode"].some((name) => infoOf(info)(name) === "cluster")

const lookAtServer =
  (needed: ReadonlyArray<ReadonlyArray<string>>) =>
  async (connection: Connection): Promise<FoundServer> => {
    const info = String(await connection.call("INFO", "server"))
    // The key is none of the script's: any server tells, whoever has it, also while its slot moves.
    const lacking = (await connection.call("EVAL", rights(needed), 0, keyOf(0))) as ReadonlyArray<string>
    return { info, lacking }
  }

/** The system's words for a server that cannot be reached at all. */
const NOT_THERE = /ECONNREFUSED|ENOENT|ENOTFOUND|EAI_AGAIN|EHOSTUNREACH|ENETUNREACH/

const PROBED_WITHIN_MILLIS = 2_000

/**
 * Whether the server speaks the other way than the address says: a client that speaks TLS to a port that does not waits for
 * an answer for ever, and one that does not is hung up on.
 */
const otherEncryption = ({ options, shown }: ValkeyAddress): Effect.Effect<ValkeyUnfit | undefined> =>
  Effect.callback((resume) => {
    const { host, port, tls } = options
    if (host === undefined || port === undefined) return resume(Effect.undefined)
    const socket =
      tls === undefined
        ? connectTls({ host, port, rejectUnauthorized: false })
        : connect({ host, port }, () => socket.write("PING\r\n"))
    const answer = (found: ValkeyUnfit | undefined) => {
      socket.destroy()
      resume(Effect.succeed(found))
    }
    socket.setTimeout(PROBED_WITHIN_MILLIS, () => answer(undefined))
    socket.on("error", () => answer(undefined))
    socket.on("close", () => answer(undefined))
    socket.on("secureConnect", () =>
      answer(unfit(`${shown} speaks TLS`, "write rediss:// instead of redis:// in VALKEY_URL"))
    )
    socket.on("data", (bytes: Buffer) => {
      if (tls !== undefined && /^[+-]/.test(bytes.toString("latin1"))) {
        answer(
          unfit(`${shown} speaks no TLS`, "write redis:// instead of rediss:// in VALKEY_URL, or name its TLS port")
        )
      }
    })
    return Effect.sync(() => void socket.destroy())
  })

const unfit = (reason: string, remedy: string) => new ValkeyUnfit({ reason, remedy })

const GRANT = `as its administrator: ACL SETUSER <user> ${VALKEY_RIGHTS}`
const CLUSTER_GRANT = `on every server, as its administrator: ACL SETUSER <user> ${VALKEY_CLUSTER_RIGHTS}`

const tooOld = (info: string): string | undefined => {
  const field = infoOf(info)
  const redis = field("redis_version")
  return field("valkey_version") === undefined && redis !== undefined && Number.parseInt(redis, 10) < 7
    ? `it is Redis ${redis}`
    : undefined
}

/** What we cannot do without. `MEMORY USAGE` and `CONFIG GET` only make what we say and bound more exact. */
const NEEDED = [
  ["XADD", "KEY", "*", "a", "b"],
  ["XLEN", "KEY"],
  ["XRANGE", "KEY", "-", "+"],
  ["XTRIM", "KEY", "MINID", "0"],
  ["XDEL", "KEY", "0-1"],
  ["XACK", "KEY", "g", "0-1"],
  ["XCLAIM", "KEY", "g", "c", "0", "0-1"],
  ["XPENDING", "KEY", "g"],
  ["XREADGROUP", "GROUP", "g", "c", "STREAMS", "KEY", ">"],
  ["XGROUP", "CREATE", "KEY", "g", "0"],
  ["XGROUP", "DELCONSUMER", "KEY", "g", "c"],
  ["XINFO", "CONSUMERS", "KEY"],
  ["XINFO", "GROUPS", "KEY"],
  ["EXISTS", "KEY"],
  ["GET", "ROWS"],
  ["INCRBY", "ROWS", "1"],
  ["DEL", "ROWS"],
  ["TIME"],
  ["EVAL", "return 1", "1", "KEY"],
  ["EVALSHA", "0", "1", "KEY"],
  ["CLIENT", "ID"],
  ["CLIENT", "UNBLOCK", "1"]
] as const

const NEEDED_OF_CLUSTER = [
  ...NEEDED,
  ["CLUSTER", "SLOTS"],
  ["CLUSTER", "INFO"],
  ["ASKING"],
  ["WAIT", "1", "1"]
] as const

/** Asks the server itself, and runs none of them. */
const rights = (needed: ReadonlyArray<ReadonlyArray<string>>) =>
  `local lacking = {}\n${needed
    .map(
      (command) =>
        `if not redis.acl_check_cmd(${command.map((part) => PLACES[part] ?? `'${part}'`).join(", ")}) then lacking[#lacking + 1] = '${nameOf(command)}' end`
    )
    .join("\n")}\nreturn lacking`

const PLACES: Readonly<Record<string, string>> = { KEY: "ARGV[1]", ROWS: "ARGV[1] .. ':rows'" }

/** `xgroup|create`, as access lists have it. */
function nameOf([name, second]: ReadonlyArray<string>): string {
  return /^(XGROUP|XINFO|CLIENT|CLUSTER)$/.test(name!) ? `${name}|${second}`.toLowerCase() : name!.toLowerCase()
}

/** What waiting does not heal; undefined for the rest. */
const mendable = (message: string, shown: string): ValkeyUnfit | undefined => {
  const found = MENDABLE.find(({ words }) => words.test(message))
  return found === undefined ? undefined : unfit(`${shown}: ${found.saw ?? message}`, found.remedy)
}

const MENDABLE: ReadonlyArray<{ readonly words: RegExp; readonly saw?: string; readonly remedy: string }> = [
  {
    words: /WRONGPASS|NOAUTH|AUTH failed/,
    remedy: "correct user and password in VALKEY_URL: redis://user:password@host"
  },
  { words: /NOPERM/, remedy: GRANT },
  {
    words: /cluster support disabled/,
    saw: "it is no server of a cluster",
    remedy: "write redis:// instead of redis-cluster:// in VALKEY_URL"
  },
  {
    words: /SELF_SIGNED|self-signed certificate|UNABLE_TO_(GET_ISSUER|VERIFY_LEAF)|CERT_(UNTRUSTED|SIGNATURE_FAILURE)/,
    remedy: "name the certificate of its authority in VALKEY_URL: rediss://…?ca_file=/path/to/ca.crt"
  },
  { words: /CERT_(HAS_EXPIRED|NOT_YET_VALID)/, remedy: "renew its certificate, and set both machines' clocks" },
  { words: /ERR_TLS_CERT_ALTNAME_INVALID/, remedy: "connect by a name that its certificate has" },
  {
    words: /WRONG_VERSION_NUMBER/,
    remedy: "it speaks no TLS on this port: redis:// instead of rediss://, or its TLS port"
  },
  {
    words: /ALERT|CERTIFICATE_REQUIRED/,
    remedy: "name a certificate that it trusts in VALKEY_URL: ?cert_file=…&key_file=…"
  },
  {
    words: /Protocol error/,
    saw: "what answers is neither Valkey nor Redis",
    remedy: "correct host and port in VALKEY_URL"
  },
  {
    words: /DB index is out of range|SELECT is not allowed/,
    remedy: "correct the number of the database in VALKEY_URL"
  },
  { words: /EACCES|EPERM/, remedy: "let the user that NodePulse runs as reach its socket" }
]
