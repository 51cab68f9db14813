/**
 * What would happen: processes, units and each verb that the host's file mentions for them, as this host sees it now. Nothing is done.
 *
 * Guarantee: of a target that no rule is about, nothing is told but that. An offer that refuses nothing would be done if it were signed
 * at this moment; whether it still is then is looked at again.
 *
 * Bounds: `ORDER_LIMITS`; what is beyond is counted.
 */
import { Clock, Effect } from "effect"
import type { Offer, Preview, PreviewProcess, PreviewRequest, PreviewUnit } from "../../src/protocol/Orders.ts"
import { ORDER_LIMITS, PROCESS_VERBS, VERBS, type Verb } from "../../src/protocol/OrderText.ts"
import { clipped, isPrintable } from "../../src/protocol/PrintableText.ts"
import { type HandsFile, isProcessVerb } from "./HandsFile.ts"
import type { HandsHost, HandsUse } from "./HandsHost.ts"
import type { HostProcess } from "./HostProcesses.ts"
import { dependantsOf, type HostUnit, numbersOf, UNSET, unitOf } from "./HostUnits.ts"
import { notNow, offeredSpans, type Refused, refused, rulesFor } from "./OrderRules.ts"
import { notTouched, unitNotTouched } from "./OrderTarget.ts"

const NUMBERS = ["CPUWeight", "CPUQuotaPerSecUSec", "MemoryHigh", "MemoryCurrent"] as const

export const previewOf = Effect.fnUntraced(function* (
  host: HandsHost,
  file: HandsFile,
  { id, target }: PreviewRequest
) {
  const at = Math.floor((yield* Clock.currentTimeMillis) / 1_000)
  const all = host.processes.all()
  const asked = "unit" in target ? yield* unitOf(target.unit) : undefined
  const chosen = all.filter((one) => {
    if ("pid" in target) return one.pid === target.pid
    return "group" in target ? host.groupOf(one) === target.group : asked !== undefined && one.unit === asked.unit
  })
  const units = new Set(chosen.map(({ unit }) => unit))
  const [only] = [...units]
  const unit = asked ?? (units.size === 1 && typeof only === "string" ? yield* unitOf(only) : undefined)
  const use = yield* host.use
  const offers = [
    ...(unit === undefined ? [] : yield* offersOfUnit(host, file, unit, use, all)),
    ...chosen.slice(0, ORDER_LIMITS.processesShown).flatMap((one) => offersOfProcess(host, file, one, use))
  ].slice(0, ORDER_LIMITS.offers)
  const common = { version: 1, id, server: file.serverId, boot_id: host.processes.bootId(), at, target } as const
  const nothing = { unit: null, processes: [], processes_more: 0, shares: [], offers: [], approvers: [] }
  if (offers.length === 0) {
    const forbidden = chosen.map((one) => notTouched(host.processes, one)).find((why) => why !== undefined)
    const refusal: Refused =
      chosen.length === 0 && asked === undefined ? NOTHING : (forbidden ?? refused("not-allowed"))
    return { ...common, ...nothing, refusal } satisfies Preview
  }
  const shown = chosen.slice(0, ORDER_LIMITS.processesShown)
  const preview: Preview = {
    ...common,
    refusal: null,
    unit: unit === undefined ? null : yield* shownUnit(unit, all),
    processes: shown.map((one) => shownProcess(host, one, all)),
    processes_more: chosen.length - shown.length,
    shares: sharesOf(unit, chosen, all),
    offers,
    approvers: file.approvers.map(({ key, name, role }) => ({ key, name, role }))
  }
  return preview
})

const NOTHING = refused("target-changed", "there is no such unit or process on this host")

const offersOfUnit = Effect.fnUntraced(function* (
  host: HandsHost,
  file: HandsFile,
  unit: HostUnit,
  use: HandsUse,
  all: ReadonlyArray<HostProcess>
) {
  const offers: Array<Offer> = []
  for (const verb of VERBS.filter((one) => !isProcessVerb(one))) {
    const rules = rulesFor(file, verb, { unit: unit.unit })
    if (rules.length === 0 || !/^[0-9a-f]{32}$/.test(unit.invocation)) continue
    const idle =
      unit.active === "active" || unit.active === "reloading"
        ? undefined
        : refused("target-changed", `it is ${unit.active}`)
    const why = (yield* unitNotTouched(host.processes, verb, unit, all)) ?? idle
    offers.push(offerOf(verb, { unit: unit.unit, invocation: unit.invocation }, rules, use, why))
  }
  return offers
})

const offersOfProcess = (host: HandsHost, file: HandsFile, one: HostProcess, use: HandsUse): ReadonlyArray<Offer> =>
  PROCESS_VERBS.flatMap((verb) => {
    const rules = rulesFor(file, verb, { unit: one.unit, process: one.name })
    if (rules.length === 0) return []
    const target = { pid: one.pid, start_ticks: one.startTicks, name: one.name }
    const ended = one.state === "Z" ? refused("target-changed", "it has ended") : undefined
    const early = verb === "kill" && !host.hasFailedToEnd(target, use.up) ? refused("term-first") : undefined
    return [offerOf(verb, target, rules, use, notTouched(host.processes, one) ?? ended ?? early)]
  })

/** By the first rule that holds now, else by the first. */
const offerOf = (
  verb: Verb,
  target: Offer["target"],
  rules: ReturnType<typeof rulesFor>,
  use: HandsUse,
  why: Refused | undefined
): Offer => {
  const rule = rules.find((one) => notNow(one, use) === undefined) ?? rules[0]!
  return {
    verb,
    target,
    refusal: why ?? notNow(rule, use) ?? null,
    roles: rule.roles,
    second_person: rule.secondPerson,
    left_this_hour: Math.max(0, rule.perHour - use.usesOf(rule.id)),
    would: WOULD[verb],
    settings: offeredSpans(verb, rule)
  }
}

const WOULD: Readonly<Record<Verb, string>> = {
  nice: "set the nice value of all its threads, and its I/O class where that is asked for; nobody takes it back",
  weight: "set its share of the CPU (CPUWeight=) at run time, for as many minutes as are asked for",
  quota: "limit its CPU (CPUQuota=) at run time, for as many minutes as are asked for",
  memory_high: "slow it down above so much memory (MemoryHigh=) at run time, for as many minutes as are asked for",
  terminate: "send it SIGTERM, and wait 5 seconds for its end",
  restart: "stop the unit and start it again, and with it what requires it",
  kill: "end it by SIGKILL; what it had not written is lost"
}

const shownUnit = Effect.fnUntraced(function* (unit: HostUnit, all: ReadonlyArray<HostProcess>) {
  const { found } = yield* dependantsOf(unit)
  const numbers = yield* numbersOf(unit.unit, NUMBERS)
  const [weight, quota, high, memory] = numbers.map((raw) => (raw === undefined || raw === UNSET ? null : Number(raw)))
  const safe = (value: number | null | undefined) => (Number.isSafeInteger(value) ? (value as number) : null)
  const shown: PreviewUnit = {
    unit: unit.unit,
    invocation: unit.invocation === "" ? "0".repeat(32) : unit.invocation,
    description: unit.description,
    active: unit.active,
    restart: unit.restart,
    main_pid: unit.mainPid,
    processes: all.filter((one) => one.unit === unit.unit).length,
    dependants: found.slice(0, ORDER_LIMITS.dependantsShown).map((one) => one.unit),
    dependants_more: Math.max(0, found.length - ORDER_LIMITS.dependantsShown),
    weight: safe(weight),
    quota_percent: typeof quota === "number" ? Math.round(quota / 10_000) : null,
    memory_high_bytes: safe(high),
    memory_bytes: safe(memory)
  }
  return shown
})

const shownProcess = (host: HandsHost, one: HostProcess, all: ReadonlyArray<HostProcess>): PreviewProcess => ({
  pid: one.pid,
  start_ticks: one.startTicks,
  name: one.name,
  group: groupShown(host.groupOf(one)),
  parent: one.parent,
  user: clipped(host.userOf(one.uid), 64),
  state: /^[A-Za-z]$/.test(one.state) ? one.state : "?",
  command: clipped(one.exe ?? "", 300),
  unit: one.unit === null ? null : clipped(one.unit, 255),
  threads: one.threads,
  nice: host.processes.niceOf(one.pid),
  children: all.filter(({ parent }) => parent === one.pid).length,
  memory_bytes: one.residentPages * host.processes.units.pageBytes,
  cpu_seconds: (one.userTicks + one.systemTicks) / host.processes.units.ticksPerSecond,
  container: one.container
})

/** The name as rows have it: one that a text on one line cannot hold stands in no row that could be found by it. */
const groupShown = (name: string | undefined): string | null =>
  name === undefined || name === "" || name.length > 256 || !isPrintable(name) ? null : name

/** Processes of the same unit that were not asked about, by name. */
const sharesOf = (
  unit: HostUnit | undefined,
  chosen: ReadonlyArray<HostProcess>,
  all: ReadonlyArray<HostProcess>
): ReadonlyArray<string> => {
  if (unit === undefined) return []
  const others = all.filter((one) => one.unit === unit.unit && !chosen.some(({ pid }) => pid === one.pid))
  return others.slice(0, ORDER_LIMITS.list).map(({ name, pid }) => `${name} (${pid})`)
}
