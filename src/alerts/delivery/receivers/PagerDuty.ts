/**
 * PagerDuty's events, version 2: an incident is triggered, acknowledged and resolved there by the same key, so that sending
 * one again changes nothing. Pure.
 */
import { clipped } from "../../../protocol/PrintableText.ts"
import { bodyOf, isOver, type Message, type MessageIncident, severityOf, textOf, titleOf } from "../Message.ts"

const DETAILS_MAX = 8_000
const NAME_MAX = 250

/** The events of a message, in order. */
export const eventsOf = (message: Message, routingKey: string): ReadonlyArray<unknown> => {
  if (!message.isTest) return message.incidents.flatMap((incident) => eventsOfIncident(incident, routingKey))
  const key = `nodepulse-test-${message.id}`
  const payload = { summary: titleOf(message), source: "nodepulse", severity: "info" }
  return [
    { routing_key: routingKey, event_action: "trigger", dedup_key: key, payload },
    { routing_key: routingKey, event_action: "resolve", dedup_key: key }
  ]
}

const eventsOfIncident = (incident: MessageIncident, routingKey: string): ReadonlyArray<unknown> => {
  const event = (event_action: "trigger" | "acknowledge" | "resolve") => ({
    routing_key: routingKey,
    event_action,
    dedup_key: incident.key
  })
  if (incident.kind === "acknowledged") return [event("acknowledge")]
  if (incident.kind === "resolved") return [event("resolve")]
  const told = { incidents: [incident], isTest: false }
  const [first] = incident.alerts
  const links = first?.link === undefined ? {} : { links: [{ href: first.link, text: "Open in NodePulse" }] }
  const trigger = {
    ...event("trigger"),
    client: "NodePulse",
    ...links,
    payload: {
      summary: titleOf(told),
      source: clipped(incident.server, NAME_MAX),
      severity: severityOf([incident]),
      component: clipped(first?.group ?? "", NAME_MAX),
      custom_details: { text: textOf(bodyOf(told), DETAILS_MAX) }
    }
  }
  return isOver(incident) ? [trigger, event("resolve")] : [trigger]
}
