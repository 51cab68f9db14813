/**
 * What is told of alerts, when, and by which route. Pure: the state that was, the alerts that are, and a moment go in; what is to be
 * stored comes out.
 *
 * An *incident* is what one route tells of one server at a time. Its first message waits for `group_wait`, so that alerts
 * that come together are one message; alerts that join later are told after the same wait. It is over when all its alerts have
 * been for as long: one that comes back before joins it again, and nobody is told twice.
 *
 * Guarantees: an alert that fired is told once by each route that takes it, also when it was over before anybody could be told, but for
 * one that was silenced or muted until it was over. That something is over is told only to who was told that it fires.
 *
 * A server that says nothing is the cause of what else fires there: while a rule with `silent` about the host fires for it, its other alerts
 * are muted; where another exporter says nothing, those about it. What people did to it is told all the same.
 *
 * That an order waits for a second person is told at once, or nearly, whatever the route waits for, and never again; it is news only as long
 * as it waits.
 *
 * Bound: of what comes and goes within an incident only the last alert is kept in it.
 */
import { isOfActs, SIGNATURE_RESOURCE, SIGNATURE_WAIT_MILLIS } from "../Acts.ts"
import { matches } from "../Rule.ts"
import type { Route } from "./NotifyFile.ts"
import { isWithin } from "./TimeOfDay.ts"
import type { ToldAlert } from "./ToldAlert.ts"

/** No moment that is waited for is further away (`group_wait` is at most as long): one that is was set by a clock that was ahead. */
const WAIT_MAX_MILLIS = 600_000
/** What comes back after it was told to be over already is told after as long: it comes and goes. */
const AGAIN_WAIT_MILLIS = 300_000

export type NotificationKind = "firing" | "resolved" | "repeated" | "acknowledged"

export interface Member {
  readonly alert: ToldAlert
  /** `followed`: it was told, and one of the same rule and group after it; `passed-over`: nobody is told of it. */
  readonly state: "untold" | "told" | "followed" | "passed-over"
}

/** Epoch milliseconds. */
export interface Incident {
  /** Undefined until it is stored. */
  readonly id: string | undefined
  readonly route: string
  readonly server: string
  readonly receivers: ReadonlyArray<string>
  readonly openedAt: number
  /** When untold alerts are told. */
  readonly dueAt: number | null
  /** When it is over, unless an alert joins it before. */
  readonly closingAt: number | null
  /** When a message was last made of it. */
  readonly toldAt: number | null
  readonly owesResolve: boolean
  /** Whether it was told that somebody acknowledged it. */
  readonly tookNote: boolean
  readonly closedAt: number | null
  readonly members: ReadonlyArray<Member>
}

/** A message that is to be made, of these alerts. */
export interface Due {
  readonly kind: NotificationKind
  readonly alerts: ReadonlyArray<ToldAlert>
}

export interface Planned {
  readonly incident: Incident
  readonly due: ReadonlyArray<Due>
}

export interface Plan {
  /** Incidents that are new or changed. */
  readonly changed: ReadonlyArray<Planned>
  /** Alerts that nobody is told of. */
  readonly passedOver: ReadonlyArray<ToldAlert>
}

export interface Facts {
  readonly now: number
  readonly routes: ReadonlyArray<Route>
  /** Open ones, with their alerts. */
  readonly incidents: ReadonlyArray<Incident>
  /** Alerts that no incident has. */
  readonly alerts: ReadonlyArray<ToldAlert>
  /** Of servers, the resources of which a rule says that nothing is heard; `*` stands for all. */
  readonly silent: ReadonlyMap<string, ReadonlySet<string>>
  /** Names of rules that ask whether a server is silent. */
  readonly silentRules: ReadonlySet<string>
  readonly isSilenced: (alert: ToldAlert) => boolean
}

/** What follows from the facts. */
export const plan = (facts: Facts): Plan => {
  const { alerts, incidents, isSilenced, now, routes, silent, silentRules } = facts
  const isMuted = ({ isOfItself, resource, rule, server }: ToldAlert): boolean => {
    const isApart = isOfItself || isOfActs(resource) || silentRules.has(rule)
    const unheard = isApart ? undefined : silent.get(server)
    return unheard !== undefined && (unheard.has("*") || unheard.has(resource))
  }
  const isHushed = (alert: ToldAlert): boolean => isSilenced(alert) || isMuted(alert)
  const open = new Map(
    incidents.map((incident) => [keyOf(incident.route, incident.server), byThisClock(incident, now)])
  )
  const passedOver: Array<ToldAlert> = []
  for (const alert of alerts) {
    const takers = isHushed(alert) || isSigned(alert) ? [] : routesFor(alert, routes, now)
    if (takers.length === 0 && alert.resolvedAt !== null) passedOver.push(alert)
    for (const route of takers) {
      const key = keyOf(route.name, alert.server)
      open.set(key, joined(open.get(key) ?? opened(route, alert.server, now), alert, route, now))
    }
  }
  const before = new Set(incidents)
  const changed: Array<Planned> = []
  for (const incident of open.values()) {
    const route = routes.find(({ name }) => name === incident.route)
    const planned = progressed(thinned(incident), route, isHushed, now)
    if (planned.due.length > 0 || !before.has(planned.incident)) changed.push(planned)
  }
  return { changed, passedOver }
}

/** An incident whose moments are not further away than they can be. The same one where none is. */
const byThisClock = (incident: Incident, now: number): Incident => {
  const { closingAt, dueAt, toldAt } = incident
  const latest = now + WAIT_MAX_MILLIS
  if ((dueAt ?? 0) <= latest && (closingAt ?? 0) <= latest && (toldAt ?? 0) <= latest) return incident
  const within = (at: number | null, most: number) => (at === null ? null : Math.min(at, most))
  return { ...incident, dueAt: within(dueAt, now), closingAt: within(closingAt, now), toldAt: within(toldAt, now) }
}

const keyOf = (route: string, server: string): string => JSON.stringify([route, server])

/** The routes that take an alert at a moment: the first that matches, and those after it as long as they continue. */
const routesFor = (alert: ToldAlert, routes: ReadonlyArray<Route>, now: number): ReadonlyArray<Route> => {
  const found: Array<Route> = []
  for (const route of routes) {
    if (!takes(route, alert, now)) continue
    found.push(route)
    if (!route.continues) break
  }
  return found
}

const takes = ({ group, hours, rule, server, severities }: Route, alert: ToldAlert, now: number): boolean =>
  (severities.length === 0 || severities.includes(alert.severity)) &&
  matches(rule, alert.rule) &&
  (matches(server, alert.server) || matches(server, alert.serverName)) &&
  matches(group, alert.group) &&
  (hours === undefined || isWithin(hours, now))

const opened = (route: Route, server: string, now: number): Incident => ({
  id: undefined,
  route: route.name,
  server,
  receivers: route.receivers,
  openedAt: now,
  dueAt: null,
  closingAt: null,
  toldAt: null,
  owesResolve: false,
  tookNote: false,
  closedAt: null,
  members: []
})

const joined = (incident: Incident, alert: ToldAlert, route: Route, now: number): Incident => {
  const isAgain = incident.members.some(
    ({ alert: other, state }) => state === "told" && sameOf(other) === sameOf(alert)
  )
  // As far as anybody was told, it fires.
  const isKnown = isAgain && incident.owesResolve
  const wait = isAgain
    ? Math.max(route.groupWait, AGAIN_WAIT_MILLIS)
    : Math.min(route.groupWait, waitsForSignature(alert) ? SIGNATURE_WAIT_MILLIS : Number.POSITIVE_INFINITY)
  return {
    ...incident,
    members: [...incident.members, { alert, state: isKnown ? "told" : "untold" }],
    dueAt: isKnown ? incident.dueAt : Math.min(incident.dueAt ?? Number.POSITIVE_INFINITY, now + wait),
    closingAt: null
  }
}

const waitsForSignature = ({ resource }: ToldAlert): boolean => resource === SIGNATURE_RESOURCE

/** Whether an order that waited for a signature does not any more: then nobody needs to be told that it did. */
const isSigned = (alert: ToldAlert): boolean => waitsForSignature(alert) && alert.resolvedAt !== null

const isOver = ({ alert }: Member): boolean => alert.resolvedAt !== null

/** An open incident at a later moment, and what is to be told of it. The same one where nothing changed. */
const progressed = (
  before: Incident,
  route: Route | undefined,
  isHushed: (alert: ToldAlert) => boolean,
  now: number
): Planned => {
  const due: Array<Due> = []
  let incident = dropped(before, isHushed)
  if (incident.dueAt !== null && incident.dueAt <= now) incident = fired(incident, isHushed, now, due)
  const told = incident.members.filter(({ state }) => state === "told")
  const burning = told.filter((member) => !isOver(member))
  if (incident.members.some(({ state }) => state === "untold") || burning.length > 0) {
    if (incident.closingAt !== null) incident = { ...incident, closingAt: null }
    return { incident: reminded(incident, burning, route, isHushed, now, due), due }
  }
  const wait = incident.owesResolve ? (route?.groupWait ?? 0) : told.length > 0 ? AGAIN_WAIT_MILLIS : 0
  const closingAt = incident.closingAt ?? now + wait
  if (closingAt > now)
    return { incident: incident.closingAt === closingAt ? incident : { ...incident, closingAt }, due }
  if (incident.owesResolve) due.push({ kind: "resolved", alerts: inOne(told) })
  return { incident: { ...incident, closingAt, closedAt: now, owesResolve: false }, due }
}

/** What came and went is one alert: the last of them. */
const inOne = (members: ReadonlyArray<Member>): ReadonlyArray<ToldAlert> => [
  ...new Map(members.map(({ alert }) => [sameOf(alert), alert])).values()
]

/** Of what came and went and was told, only the last counts any more. The same one where nothing changed. */
const thinned = (incident: Incident): Incident => {
  const last = new Map(
    incident.members.filter(({ state }) => state === "told").map(({ alert }) => [sameOf(alert), alert.id])
  )
  const isFollowed = (member: Member) =>
    member.state === "told" && isOver(member) && last.get(sameOf(member.alert)) !== member.alert.id
  if (!incident.members.some(isFollowed)) return incident
  const members = incident.members.map((member) =>
    isFollowed(member) ? { ...member, state: "followed" as const } : member
  )
  return { ...incident, members }
}

/** Each order that waits is one of its own. */
const sameOf = (alert: ToldAlert): string =>
  JSON.stringify(waitsForSignature(alert) ? [alert.id] : [alert.rule, alert.group])

/** Without those that were hushed until they were over, or that were signed before anybody was told. */
const dropped = (incident: Incident, isHushed: (alert: ToldAlert) => boolean): Incident => {
  const isGone = (member: Member) =>
    member.state === "untold" && isOver(member) && (isHushed(member.alert) || isSigned(member.alert))
  if (!incident.members.some(isGone)) return incident
  return {
    ...incident,
    members: incident.members.map((member) => (isGone(member) ? { ...member, state: "passed-over" } : member))
  }
}

/** Tells what nobody was told of, but for what is hushed: that waits. */
const fired = (incident: Incident, isHushed: (alert: ToldAlert) => boolean, now: number, due: Array<Due>): Incident => {
  const isNews = ({ alert, state }: Member) => state === "untold" && !isHushed(alert)
  const news = incident.members.filter(isNews)
  if (news.length === 0) {
    const waits = incident.members.some(({ state }) => state === "untold")
    return waits ? incident : { ...incident, dueAt: null }
  }
  due.push({ kind: "firing", alerts: inOne(news) })
  const members = incident.members.map((member) => (isNews(member) ? { ...member, state: "told" as const } : member))
  return {
    ...incident,
    members,
    dueAt: members.some(({ state }) => state === "untold") ? incident.dueAt : null,
    toldAt: now,
    tookNote: false,
    owesResolve: incident.owesResolve || news.some((member) => !isOver(member))
  }
}

/** Tells again what still fires, and that somebody took note of all of it. */
const reminded = (
  incident: Incident,
  members: ReadonlyArray<Member>,
  route: Route | undefined,
  isHushed: (alert: ToldAlert) => boolean,
  now: number,
  due: Array<Due>
): Incident => {
  const burning = members.filter(({ alert }) => !waitsForSignature(alert))
  if (burning.length === 0 || due.length > 0) return incident
  const open = burning.map(({ alert }) => alert).filter((alert) => !alert.isAcknowledged)
  if (open.length === 0) {
    if (incident.tookNote) return incident
    due.push({ kind: "acknowledged", alerts: burning.map(({ alert }) => alert) })
    return { ...incident, tookNote: true }
  }
  const loud = open.filter((alert) => !isHushed(alert))
  const every = route?.repeatEvery
  if (loud.length === 0 || every === undefined || now < (incident.toldAt ?? now) + every) return incident
  due.push({ kind: "repeated", alerts: loud })
  return { ...incident, toldAt: now, tookNote: false }
}
