/**
 * Who is told of alerts, and how: what `notify.yml` may hold, read into receivers and routes. Pure; how a file is read and bounded is
 * `src/YamlDocument.ts`.
 *
 * ```yaml
 * receivers:
 *   - name: "ops"
 *     slack: {url_file: "slack-url"}       # beside this file, or absolute
 * routes:
 *   - name: "databases at night"
 *     receivers: ["pager"]
 *     server: "db-*"
 *     hours: "18:00-08:00"
 *     zone: "Europe/Berlin"
 * default: {receivers: ["ops"]}
 * ```
 *
 * Guarantee: no secret stands in the file. It names files that hold them, which are read when they are used, so that a new one
 * needs no restart. All that a file can say is in `docs/notify.md`.
 */
import { resolve } from "node:path"
import { Result, Schema } from "effect"
import { isNetwork } from "../../access/Networks.ts"
import { closest, type Place, readYaml, valueText } from "../../YamlDocument.ts"
import { CountBetween, DurationBetween, FilePath, HttpUrl, parsed, Switch } from "../../YamlValue.ts"
import { SEVERITIES, type Severity } from "../Rule.ts"
import { Pattern, Text } from "../RuleFile.ts"
import { DAYS, type Hours, parseDays, parseHours } from "./TimeOfDay.ts"

const SECOND = 1000
const MINUTE = 60 * SECOND
const HOUR = 60 * MINUTE
export const RECEIVERS_MAX = 50
export const ROUTES_MAX = 100
const NAME_MAX = 100
/** Of one route. */
export const TOLD_MAX = 10
export const ADDRESSES_MAX = 50
const GROUP_WAIT_DEFAULT = 30 * SECOND
const RATE_DEFAULT = 10
export const NOTIFY_BYTES_MAX = 256 * 1024

/** An address, or the file that holds it, where knowing it is enough to use it. */
export type Address = { readonly url: string } | { readonly file: string }

/** How a receiver is reached. Names that end in `File` are paths of files that hold a secret. */
export type Way =
  | { readonly kind: "webhook"; readonly address: Address; readonly secretFile: string | undefined }
  | { readonly kind: "slack" | "mattermost" | "discord" | "teams"; readonly address: Address }
  | { readonly kind: "ntfy"; readonly address: Address; readonly topic: string; readonly tokenFile: string | undefined }
  | { readonly kind: "pagerduty"; readonly address: Address; readonly keyFile: string }
  | { readonly kind: "email"; readonly mail: MailWay }
  | { readonly kind: "command"; readonly argv: ReadonlyArray<string>; readonly timeout: number }

export interface MailWay {
  readonly server: string
  readonly port: number
  /** `starttls`: encrypted before anything is said, or not at all; `tls`: from the start. */
  readonly encryption: "starttls" | "tls" | "none"
  readonly caFile: string | undefined
  readonly user: string | undefined
  readonly passwordFile: string | undefined
  readonly from: string
  readonly to: ReadonlyArray<string>
}

export interface Receiver {
  readonly name: string
  readonly way: Way
  /** Networks that it may reach though they are of this machine or link-local; "any" with `allow_private`. */
  readonly allowed: ReadonlyArray<string> | "any"
}

export interface Route {
  readonly name: string
  readonly receivers: ReadonlyArray<string>
  /** Empty: any. */
  readonly severities: ReadonlyArray<Severity>
  /** Patterns of names, as in rules. */
  readonly rule: string
  readonly server: string
  readonly group: string
  /** Undefined: always. */
  readonly hours: Hours | undefined
  /** Whether routes after this one are asked, too. */
  readonly continues: boolean
  /** How long alerts of a server are waited for, to be told together. Milliseconds. */
  readonly groupWait: number
  /** How often what still fires is told again, milliseconds; undefined: once. */
  readonly repeatEvery: number | undefined
  /** Messages in ten minutes, to each receiver. */
  readonly rate: number
}

export interface Heartbeat {
  readonly address: Address
  readonly method: "GET" | "POST"
  /** Milliseconds. */
  readonly every: number
  readonly allowed: ReadonlyArray<string> | "any"
}

export interface NotifyConfig {
  readonly receivers: ReadonlyArray<Receiver>
  /** In order; the default is the last. */
  readonly routes: ReadonlyArray<Route>
  readonly heartbeat: Heartbeat | undefined
}

const MailAddress = parsed(Schema.String, 'an address such as "ops@example.org"', (value) =>
  typeof value === "string" && value.length <= 254 && /^[^\s@<>,;:"\p{Cc}]+@[^\s@<>,;:"\p{Cc}]+$/u.test(value)
    ? value
    : undefined
)

const HostName = parsed(Schema.String, "the name or address of a server", (value) =>
  typeof value === "string" && /^[a-z0-9._:-]{1,253}$/i.test(value) ? value : undefined
)

const Network = parsed(Schema.String, 'an address or network, such as "127.0.0.1" or "10.0.0.0/8"', (value) =>
  typeof value === "string" && isNetwork(value) ? value : undefined
)

const Zone = parsed(Schema.String, 'a time zone, such as "Europe/Berlin"', (value) => {
  try {
    return typeof value === "string"
      ? new Intl.DateTimeFormat("en", { timeZone: value }).resolvedOptions().timeZone
      : undefined
  } catch {
    return undefined
  }
})

const HoursText = parsed(Schema.String, 'hours such as "08:00-18:00" or "18:00-08:00"', (value) =>
  typeof value === "string" && parseHours(value) !== undefined ? value : undefined
)

const DayNames = Schema.Array(Schema.String).check(
  Schema.makeFilter((days: ReadonlyArray<string>) =>
    parseDays(days) === undefined ? `a list of days, such as ["mon-fri"] (known: ${DAYS.join(", ")})` : undefined
  )
)

const hook = {
  url: Schema.optionalKey(HttpUrl),
  url_file: Schema.optionalKey(FilePath),
  allow_private: Schema.optionalKey(Switch)
}
const Chat = Schema.Struct({ url_file: FilePath, allow_private: Schema.optionalKey(Switch) })

const WAYS = {
  webhook: Schema.Struct({ ...hook, secret_file: Schema.optionalKey(FilePath) }),
  slack: Chat,
  mattermost: Chat,
  discord: Chat,
  teams: Chat,
  ntfy: Schema.Struct({
    url: Schema.optionalKey(HttpUrl),
    topic: Text(64),
    token_file: Schema.optionalKey(FilePath),
    allow_private: Schema.optionalKey(Switch)
  }),
  pagerduty: Schema.Struct({
    url: Schema.optionalKey(HttpUrl),
    key_file: FilePath,
    allow_private: Schema.optionalKey(Switch)
  }),
  email: Schema.Struct({
    server: HostName,
    port: Schema.optionalKey(CountBetween(1, 65_535)),
    encryption: Schema.optionalKey(Schema.Literals(["starttls", "tls", "none"])),
    ca_file: Schema.optionalKey(FilePath),
    user: Schema.optionalKey(Text(254)),
    password_file: Schema.optionalKey(FilePath),
    from: MailAddress,
    to: Schema.Array(MailAddress).check(Schema.isMinLength(1), Schema.isMaxLength(ADDRESSES_MAX))
  }),
  command: Schema.Struct({
    argv: Schema.Array(
      Schema.String.check(Schema.makeFilter((text: string) => (text.includes("\0") ? "a text without NUL" : undefined)))
    ).check(Schema.isMinLength(1), Schema.isMaxLength(50)),
    timeout: Schema.optionalKey(DurationBetween(SECOND, 30 * SECOND))
  })
} as const
type Kind = keyof typeof WAYS
const KINDS = Object.keys(WAYS) as ReadonlyArray<Kind>

const FileReceiver = Schema.Struct({
  name: Text(NAME_MAX),
  webhook: Schema.optionalKey(WAYS.webhook),
  slack: Schema.optionalKey(WAYS.slack),
  mattermost: Schema.optionalKey(WAYS.mattermost),
  discord: Schema.optionalKey(WAYS.discord),
  teams: Schema.optionalKey(WAYS.teams),
  ntfy: Schema.optionalKey(WAYS.ntfy),
  pagerduty: Schema.optionalKey(WAYS.pagerduty),
  email: Schema.optionalKey(WAYS.email),
  command: Schema.optionalKey(WAYS.command)
})
type FileReceiver = typeof FileReceiver.Type

const told = {
  receivers: Schema.Array(Schema.String).check(Schema.isMinLength(1), Schema.isMaxLength(TOLD_MAX)),
  group_wait: Schema.optionalKey(DurationBetween(0, 10 * MINUTE)),
  repeat_every: Schema.optionalKey(DurationBetween(5 * MINUTE, 7 * 24 * HOUR)),
  rate: Schema.optionalKey(CountBetween(1, 1_000))
}
const Default = Schema.Struct(told)
const FileRoute = Schema.Struct({
  name: Text(NAME_MAX),
  ...told,
  severity: Schema.optionalKey(Schema.Array(Schema.Literals(SEVERITIES)).check(Schema.isMinLength(1))),
  rule: Schema.optionalKey(Pattern),
  server: Schema.optionalKey(Pattern),
  group: Schema.optionalKey(Pattern),
  hours: Schema.optionalKey(HoursText),
  days: Schema.optionalKey(DayNames),
  zone: Schema.optionalKey(Zone),
  continue: Schema.optionalKey(Switch)
})
type FileRoute = typeof FileRoute.Type

const FileHeartbeat = Schema.Struct({
  ...hook,
  every: Schema.optionalKey(DurationBetween(15 * SECOND, HOUR)),
  method: Schema.optionalKey(Schema.Literals(["GET", "POST"]))
})

const File = Schema.Struct({
  receivers: Schema.Array(FileReceiver),
  routes: Schema.optionalKey(Schema.Array(FileRoute)),
  default: Schema.optionalKey(Default),
  heartbeat: Schema.optionalKey(FileHeartbeat),
  allow: Schema.optionalKey(Schema.Array(Network).check(Schema.isMaxLength(100)))
})
type File = typeof File.Type

/** Whose values may be shown where they are wrong: any other may be an address that is enough to use it, or a password. */
const SHOWN: ReadonlySet<string> = new Set([
  ...[
    "name",
    "port",
    "encryption",
    "timeout",
    "group_wait",
    "repeat_every",
    "rate",
    "hours",
    "zone",
    "every",
    "method"
  ],
  ...["rule", "server", "group", "continue", "allow_private"]
])

const decode = Schema.decodeUnknownResult(File, { errors: "all", onExcessProperty: "error" })

/** Reads the text of a file; paths in it are beside it, in `folder`. A failure is the list of problems, one sentence each. */
export const readNotify = (text: string, folder: string): Result.Result<NotifyConfig, ReadonlyArray<string>> => {
  const file = readYaml(text, {
    decode,
    keys: [
      [/^$/, Object.keys(File.fields)],
      [/^receivers\[\d+\]$/, Object.keys(FileReceiver.fields)],
      ...KINDS.map((kind) => [new RegExp(`^receivers\\[\\d+\\]\\.${kind}$`), Object.keys(WAYS[kind].fields)] as const),
      [/^routes\[\d+\]$/, Object.keys(FileRoute.fields)],
      [/^default$/, Object.keys(Default.fields)],
      [/^heartbeat$/, Object.keys(FileHeartbeat.fields)]
    ],
    contradictions,
    hidden: (key, value) => (SHOWN.has(key) || typeof value !== "string" ? undefined : "a text"),
    bounds: { bytes: NOTIFY_BYTES_MAX, keys: 3_000, parts: 50_000 }
  })
  return Result.map(file, (found) => configOf(found, folder))
}

const contradictions = (file: File, place: Place): ReadonlyArray<string> => {
  const { heartbeat, receivers, routes = [] } = file
  const problems: Array<string> = []
  if (receivers.length > RECEIVERS_MAX)
    problems.push(`receivers: ${receivers.length} of them, at most ${RECEIVERS_MAX}`)
  if (routes.length > ROUTES_MAX) problems.push(`routes: ${routes.length} of them, at most ${ROUTES_MAX}`)
  problems.push(...twice("receivers", receivers, place), ...twice("routes", routes, place))
  for (const [index, receiver] of receivers.entries()) {
    problems.push(...ofReceiver(receiver, (key) => place(["receivers", index, ...key])))
  }
  const names = receivers.map(({ name }) => name)
  const lists = routes.map((route, index) => ({ at: ["routes", index, "receivers"], list: route.receivers }))
  if (file.default !== undefined) lists.push({ at: ["default", "receivers"], list: file.default.receivers })
  for (const { at, list } of lists) {
    for (const [n, name] of list.entries()) {
      if (names.includes(name)) continue
      const meant = closest(name, names)
      const hint = meant === undefined ? "" : `, did you mean "${meant}"?`
      problems.push(
        `${place([...at, n])} is ${valueText(name)}, which is no receiver${hint} (known: ${names.join(", ")})`
      )
    }
  }
  for (const [index, { days, hours, name, zone }] of routes.entries()) {
    if (name === "default") problems.push(`${place(["routes", index, "name"])} is "default", which is what is left`)
    if ((days ?? hours) !== undefined && zone === undefined)
      problems.push(`${place(["routes", index, "name"])}: hours and days need a zone, such as "Europe/Berlin" or "UTC"`)
  }
  if (heartbeat !== undefined && (heartbeat.url === undefined) === (heartbeat.url_file === undefined))
    problems.push("heartbeat: it has one of url and url_file")
  return problems
}

const twice = (list: string, all: ReadonlyArray<{ readonly name: string }>, place: Place): ReadonlyArray<string> =>
  all.flatMap(({ name }, index) =>
    all.findIndex((other) => other.name === name) < index
      ? [`${place([list, index, "name"])}: ${valueText(name)} is the name of two ${list}`]
      : []
  )

const ofReceiver = (receiver: FileReceiver, at: (key: ReadonlyArray<string>) => string): ReadonlyArray<string> => {
  const given = KINDS.filter((kind) => receiver[kind] !== undefined)
  if (given.length !== 1) {
    const found = given.length === 0 ? "none is" : `${given.join(" and ")} are`
    return [`${at(["name"])}: a receiver has one of ${KINDS.join(", ")}; ${found} given`]
  }
  const { email, webhook } = receiver
  if (webhook !== undefined && (webhook.url === undefined) === (webhook.url_file === undefined))
    return [`${at(["webhook"])}: it has one of url and url_file`]
  if (email !== undefined && (email.user === undefined) !== (email.password_file === undefined))
    return [`${at(["email"])}: user and password_file go together`]
  if (email?.user !== undefined && email.encryption === "none")
    return [`${at(["email"])}: a password is not sent without encryption: starttls or tls`]
  return []
}

const configOf = ({ allow = [], heartbeat, receivers, routes = [], ...file }: File, folder: string): NotifyConfig => {
  const path = (of: string) => resolve(folder, of)
  const allowed = (anyway: boolean | undefined) => (anyway === true ? ("any" as const) : allow)
  const last = file.default === undefined ? [] : [routeOf({ name: "default", ...file.default })]
  return {
    receivers: receivers.map((receiver): Receiver => {
      const given = KINDS.find((kind) => receiver[kind] !== undefined)!
      const { allow_private: anyway } = receiver[given] as { readonly allow_private?: boolean }
      return { name: receiver.name, way: wayOf(receiver, path), allowed: allowed(anyway) }
    }),
    routes: [...routes.map(routeOf), ...last],
    heartbeat:
      heartbeat === undefined
        ? undefined
        : {
            address: addressOf(heartbeat, path),
            method: heartbeat.method ?? "GET",
            every: heartbeat.every ?? MINUTE,
            allowed: allowed(heartbeat.allow_private)
          }
  }
}

type PathOf = (of: string) => string

const optional = (file: string | undefined, path: PathOf) => (file === undefined ? undefined : path(file))

const addressOf = ({ url, url_file }: { readonly url?: string; readonly url_file?: string }, path: PathOf): Address =>
  url === undefined ? { file: path(url_file!) } : { url }

const wayOf = (receiver: FileReceiver, path: PathOf): Way => {
  const { command, email, ntfy, pagerduty, webhook } = receiver
  if (webhook !== undefined)
    return { kind: "webhook", address: addressOf(webhook, path), secretFile: optional(webhook.secret_file, path) }
  if (ntfy !== undefined)
    return {
      kind: "ntfy",
      address: { url: ntfy.url ?? "https://ntfy.sh" },
      topic: ntfy.topic,
      tokenFile: optional(ntfy.token_file, path)
    }
  if (pagerduty !== undefined)
    return {
      kind: "pagerduty",
      address: { url: pagerduty.url ?? "https://events.pagerduty.com/v2/enqueue" },
      keyFile: path(pagerduty.key_file)
    }
  if (email !== undefined) return { kind: "email", mail: mailOf(email, path) }
  if (command !== undefined) return { kind: "command", argv: command.argv, timeout: command.timeout ?? 10 * SECOND }
  const kind = (["slack", "mattermost", "discord", "teams"] as const).find((kind) => receiver[kind] !== undefined)!
  return { kind, address: { file: path(receiver[kind]!.url_file) } }
}

const PORTS = { starttls: 587, tls: 465, none: 25 } as const

const mailOf = (email: NonNullable<FileReceiver["email"]>, path: PathOf): MailWay => {
  const encryption = email.encryption ?? "starttls"
  return {
    server: email.server,
    port: email.port ?? PORTS[encryption],
    encryption,
    caFile: optional(email.ca_file, path),
    user: email.user,
    passwordFile: optional(email.password_file, path),
    from: email.from,
    to: email.to
  }
}

const routeOf = (route: FileRoute): Route => ({
  name: route.name,
  receivers: [...new Set(route.receivers)],
  severities: route.severity ?? [],
  rule: route.rule ?? "*",
  server: route.server ?? "*",
  group: route.group ?? "*",
  hours:
    route.zone === undefined
      ? undefined
      : { ...parseHours(route.hours ?? "00:00-24:00")!, days: parseDays(route.days ?? DAYS)!, zone: route.zone },
  continues: route.continue ?? false,
  groupWait: route.group_wait ?? GROUP_WAIT_DEFAULT,
  repeatEvery: route.repeat_every,
  rate: route.rate ?? RATE_DEFAULT
})
