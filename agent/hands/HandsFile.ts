/**
 * What the owner of a host allows: `/etc/nodepulse/hands.yml`. Without this file nothing is done, and there is no other switch.
 *
 * ```yaml
 * server_id: "web-1"                    # as the page calls this server: orders for others are refused
 * systemctl: "direct"                   # or "sudo": how units are acted on (nodepulse hands --rules polkit|sudo)
 * approvers:                            # who may sign; nobody else's signature counts
 *   - name: "ada"
 *     role: "admin"                     # or operator
 *     key: "KJXNvEym…"                    # the raw Ed25519 public key, base64: the page shows it
 * allow:                                # what is not here is refused
 *   - verbs: ["quota", "restart"]       # nice, weight, quota, memory_high, terminate, restart, kill
 *     units: ["worker@*.service"]       # names of units, or patterns with *
 *     names: ["ffmpeg"]                 # of processes, for nice, terminate and kill; with units: those in such a unit
 *     roles: ["admin", "operator"]      # of who signs; both unless given
 *     second_person: true               # two people have to sign
 *     per_hour: 3                       # 6 unless given
 *     hours: "08:00-18:00"              # by this host's clock and time zone; any unless given
 *     quota: "20-200"                   # percent of one core; also nice, weight, memory_high (bytes), minutes: least and most
 * ```
 *
 * Guarantee: a file that others than root or the user that reads it could have written is not used, nor one that they could have put in
 * its place, since a folder on the way to it is theirs; nor one with an unknown key, with a key twice, with a pattern that matches whatever it is shown, or with a rule that can never hold. All that is wrong is said at once.
 *
 * Bounds: 64 KiB, `ORDER_LIMITS` for its lists.
 */
import { createHash } from "node:crypto"
import * as Fs from "node:fs"
import { dirname, resolve } from "node:path"
import { Result, Schema } from "effect"
import { keyIdOf, publicKeyOf } from "../../src/protocol/Approvals.ts"
import { type Approver, UnitName, Verb as VerbSchema } from "../../src/protocol/Orders.ts"
import { ORDER_LIMITS, PROCESS_VERBS, type Verb } from "../../src/protocol/OrderText.ts"
import { readSecretFile, type SecretFileRules } from "../../src/SecretFile.ts"
import { type Path, type Place, problemsIn, readYaml } from "../../src/YamlDocument.ts"
import { CountBetween, parseBytes, parsed, Switch } from "../../src/YamlValue.ts"
import { isName } from "./NamePattern.ts"

export const DEFAULT_HANDS_PATH = "/etc/nodepulse/hands.yml"

/** The file cannot be used, so nothing is done. Not retryable: it has to be mended. */
export class HandsFileInvalid extends Schema.TaggedError<HandsFileInvalid>()("HandsFileInvalid", {
  path: Schema.String,
  problems: Schema.Array(Schema.String)
}) {
  readonly retryable = false
  override get message(): string {
    return problemsIn(this.path, this.problems)
  }
}

export interface Span {
  readonly min: number
  readonly max: number
}

/** What a setting may be; absent: whatever the protocol allows. */
export const SPANS = {
  nice: { least: 0, most: 19 },
  weight: { least: 1, most: ORDER_LIMITS.weight },
  quota: { least: 1, most: ORDER_LIMITS.quotaPercent },
  memory_high: { least: ORDER_LIMITS.memoryBytesLeast, most: Number.MAX_SAFE_INTEGER },
  minutes: { least: 1, most: ORDER_LIMITS.minutes }
} as const

export interface Hours {
  /** As it stands in the file. */
  readonly text: string
  /** Minutes of the day: from the first, until before the last; over midnight where the last is not later. */
  readonly from: number
  readonly until: number
}

export interface HandsRule {
  /** A hash of what it says: by it, what was done is counted, also when the file changes elsewhere. */
  readonly id: string
  readonly verbs: ReadonlyArray<Verb>
  readonly units: ReadonlyArray<string>
  readonly names: ReadonlyArray<string>
  readonly roles: ReadonlyArray<Approver["role"]>
  readonly secondPerson: boolean
  readonly perHour: number
  readonly hours: Hours | undefined
  readonly spans: Readonly<Record<keyof typeof SPANS, Span>>
}

export interface HandsApprover extends Approver {
  readonly publicKey: Uint8Array
}

export interface HandsFile {
  readonly path: string
  /** SHA-256 of the file, base64url. */
  readonly digest: string
  readonly serverId: string
  readonly systemctl: "direct" | "sudo"
  readonly approvers: ReadonlyArray<HandsApprover>
  readonly rules: ReadonlyArray<HandsRule>
}

const listOf = <A, I>(schema: Schema.Codec<A, I>, most: number, what: string) =>
  Schema.Array(schema).check(
    Schema.makeFilter((list: ReadonlyArray<A>) => list.length >= 1 && list.length <= most, {
      expected: `a list of 1 to ${most} ${what}`
    })
  )

const text = (most: number, expected: string, isIt: (value: string) => boolean) =>
  parsed(Schema.String, expected, (value) =>
    typeof value === "string" && value.length <= most && isIt(value) ? value : undefined
  )

const isUnitName = Schema.is(UnitName)
const UnitPattern = text(
  255,
  'the name of a service or scope, such as "nginx.service", or a pattern that does not match everything, such as "worker@*.service"',
  (value) => isName(value, "unit") && isUnitName(value.replaceAll("*", "x"))
)
const NamePattern = text(
  96,
  'the name of a process, such as "ffmpeg", or a pattern that does not match everything, such as "php-fpm*"',
  (value) => isName(value, "process")
)
const PersonName = text(64, "a name of 1 to 64 letters, digits, dots, dashes, @ or blanks", (value) =>
  /^[\p{L}\d][\p{L}\d ._@-]*$/u.test(value)
)
const PublicKey = text(
  44,
  "a raw Ed25519 public key: 32 bytes in base64, as the page shows it",
  (value) => publicKeyOf(value) instanceof Uint8Array
)
const ServerId = text(256, "the id of this server, as the page calls it", (value) => value.trim() !== "")

const HoursText = parsed(
  Schema.Struct({ text: Schema.String, from: Schema.Number, until: Schema.Number }),
  'two times of a day, such as "08:00-18:00"',
  (value) => {
    const found = typeof value === "string" ? /^([01]\d|2[0-3]):([0-5]\d)-([01]\d|2[0-3]):([0-5]\d)$/.exec(value) : null
    if (found === null) return undefined
    const [from, until] = [Number(found[1]) * 60 + Number(found[2]), Number(found[3]) * 60 + Number(found[4])]
    return from === until ? undefined : { text: found[0], from, until }
  }
)

/** `least-most`, or one value for both. */
const spanOf = (key: keyof typeof SPANS) => {
  const { least, most } = SPANS[key]
  const number = (part: string) =>
    key === "memory_high" ? parseBytes(part) : /^\d+$/.test(part) ? Number(part) : undefined
  return parsed(
    Schema.Struct({ min: Schema.Number, max: Schema.Number }),
    `a least and a most between ${least} and ${most}, such as "${least}-${least * 2 + 5}"`,
    (value) => {
      const parts = String(value)
        .split("-")
        .map((part) => number(part.trim()))
      const [min, max = min] = parts
      return min === undefined || max === undefined || parts.length > 2 || min < least || max > most || min > max
        ? undefined
        : { min, max }
    }
  )
}

const ApproverSection = Schema.Struct({
  name: PersonName,
  role: Schema.Literals(["operator", "admin"]),
  key: PublicKey
})
const RuleSection = Schema.Struct({
  verbs: listOf(VerbSchema, 7, "verbs"),
  units: Schema.optionalKey(listOf(UnitPattern, ORDER_LIMITS.list, "names of units")),
  names: Schema.optionalKey(listOf(NamePattern, ORDER_LIMITS.list, "names of processes")),
  roles: Schema.optionalKey(listOf(Schema.Literals(["operator", "admin"]), 2, "roles")),
  second_person: Schema.optionalKey(Switch),
  per_hour: Schema.optionalKey(CountBetween(1, 1_000)),
  hours: Schema.optionalKey(HoursText),
  nice: Schema.optionalKey(spanOf("nice")),
  weight: Schema.optionalKey(spanOf("weight")),
  quota: Schema.optionalKey(spanOf("quota")),
  memory_high: Schema.optionalKey(spanOf("memory_high")),
  minutes: Schema.optionalKey(spanOf("minutes"))
})
const FileSchema = Schema.Struct({
  server_id: ServerId,
  systemctl: Schema.optionalKey(Schema.Literals(["direct", "sudo"])),
  approvers: listOf(ApproverSection, ORDER_LIMITS.approvers, "approvers"),
  allow: listOf(RuleSection, ORDER_LIMITS.rules, "rules")
})
type Document = typeof FileSchema.Type
type RuleDocument = Document["allow"][number]

const KEYS: ReadonlyArray<readonly [path: RegExp, keys: ReadonlyArray<string>]> = [
  [/^$/, Object.keys(FileSchema.fields)],
  [/^approvers\[\d+\]$/, Object.keys(ApproverSection.fields)],
  [/^allow\[\d+\]$/, Object.keys(RuleSection.fields)]
]
const TEXT_BYTES_MAX = 64 * 1024
const PER_HOUR = 6
const decode = Schema.decodeUnknownResult(FileSchema, { errors: "all", onExcessProperty: "error" })

/** Reads the file and looks at who could have written it. `rules`: for tests, that run as others. */
export const readHandsFile = (
  path: string,
  rules: SecretFileRules = {}
): Result.Result<HandsFile, HandsFileInvalid> => {
  const refuse = (...problems: ReadonlyArray<string>) => Result.fail(new HandsFileInvalid({ path, problems }))
  const open = folderOfOthers(path)
  if (open !== undefined) return refuse(open)
  const read = readSecretFile(path, rules)
  if (Result.isFailure(read)) return refuse(read.failure.reason)
  const document = readYaml(read.success, {
    decode,
    keys: KEYS,
    contradictions,
    bounds: { bytes: TEXT_BYTES_MAX, keys: 1_000, parts: 20_000 }
  })
  if (Result.isFailure(document)) return refuse(...document.failure)
  const { allow, approvers, server_id, systemctl } = document.success
  return Result.succeed({
    path,
    digest: createHash("sha256").update(read.success).digest("base64url"),
    serverId: server_id,
    systemctl: systemctl ?? "direct",
    approvers: approvers.map(({ key, name, role }) => {
      const publicKey = publicKeyOf(key)!
      return { name, role, key: keyIdOf(publicKey), publicKey }
    }),
    rules: allow.map(ruleOf)
  })
}

const LINKS_MAX = 20

/** What lets others put another file in its place, on the way to it and to all that it is a link to; undefined where nothing does. */
const folderOfOthers = (path: string): string | undefined => {
  const open = [resolve(path)]
  for (let at = 0; at < open.length && at < LINKS_MAX * 20; at++) {
    const one = open[at]!
    const stats = Fs.lstatSync(one, { throwIfNoEntry: false })
    const isLink = stats?.isSymbolicLink() === true
    // What is not there, and the file itself, is for whoever reads it to judge.
    if (isLink) open.push(resolve(dirname(one), Fs.readlinkSync(one)))
    if (stats !== undefined && (isLink || stats.isDirectory())) {
      const isTrusted = stats.uid === 0 || stats.uid === process.geteuid?.()
      if (!isTrusted) return `${one} belongs to user ${stats.uid}, who could put another file in its place`
      // In a sticky folder, nobody moves what is somebody else's.
      if (!isLink && (stats.mode & 0o022) !== 0 && (stats.mode & 0o1000) === 0)
        return `others can put another file in its place, since they can write to ${one}: chmod go-w ${one}`
    }
    if (one !== dirname(one)) open.push(dirname(one))
  }
  return undefined
}

const ruleOf = (rule: RuleDocument): HandsRule => ({
  id: createHash("sha256").update(JSON.stringify(rule)).digest("base64url").slice(0, 22),
  verbs: rule.verbs,
  units: rule.units ?? [],
  names: rule.names ?? [],
  roles: rule.roles ?? ["operator", "admin"],
  secondPerson: rule.second_person ?? false,
  perHour: rule.per_hour ?? PER_HOUR,
  hours: rule.hours,
  spans: {
    nice: rule.nice ?? whole("nice"),
    weight: rule.weight ?? whole("weight"),
    quota: rule.quota ?? whole("quota"),
    memory_high: rule.memory_high ?? whole("memory_high"),
    minutes: rule.minutes ?? whole("minutes")
  }
})

const whole = (key: keyof typeof SPANS): Span => ({ min: SPANS[key].least, max: SPANS[key].most })

/** Rules that can never hold, and people that cannot be told apart. */
const contradictions = ({ allow, approvers }: Document, place: Place): ReadonlyArray<string> => {
  const problems: Array<string> = []
  const say = (path: Path, problem: string) => problems.push(`${place(path)} ${problem}`)
  const keys = new Map<string, string>()
  const roles = new Map<string, string>()
  for (const [index, { key, name, role }] of approvers.entries()) {
    const id = keyIdOf(publicKeyOf(key)!)
    if (keys.has(id)) say(["approvers", index, "key"], `is also the key of ${keys.get(id)}: each key is one person's`)
    keys.set(id, name)
    if ((roles.get(name) ?? role) !== role) say(["approvers", index, "role"], `is not the role that ${name} has above`)
    roles.set(name, role)
  }
  for (const [index, rule] of allow.entries()) {
    const [units, names] = [rule.units ?? [], rule.names ?? []]
    const ofUnits = rule.verbs.filter((verb) => !isProcessVerb(verb))
    if (units.length + names.length === 0) say(["allow", index], "names neither units nor names")
    else if (ofUnits.length > 0 && units.length === 0) say(["allow", index], `names no units for ${ofUnits.join(", ")}`)
    if (names.length > 0 && ofUnits.length === rule.verbs.length) {
      say(["allow", index, "names"], `are of processes, but ${ofUnits.join(", ")} is asked of units`)
    }
    const allowed = rule.roles ?? ["operator", "admin"]
    const people = new Set(approvers.filter(({ role }) => allowed.includes(role)).map(({ name }) => name))
    const needed = rule.second_person === true ? 2 : 1
    if (people.size < needed) {
      say(
        ["allow", index],
        `needs ${needed === 2 ? "two people" : "somebody"} with role ${allowed.join(" or ")}, but there ${people.size === 0 ? "is none" : "is only one"}`
      )
    }
  }
  return problems
}

export const isProcessVerb = (verb: Verb): verb is (typeof PROCESS_VERBS)[number] =>
  PROCESS_VERBS.some((one) => one === verb)
