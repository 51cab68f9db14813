/** What a host's file allows and forbids, in words for its owner. Pure. */
import { REVERTED_VERBS, type Verb } from "../../src/protocol/OrderText.ts"
import { type HandsFile, type HandsRule, isProcessVerb, SPANS } from "./HandsFile.ts"

/** The file, as `nodepulse hands --check` tells it. */
export const fileInWords = (file: HandsFile): string =>
  [
    `${file.path} can be used. It is for the server "${file.serverId}".`,
    "",
    "Who may sign:",
    approversInWords(file),
    "",
    "What may be done, if it is signed within the last 60 seconds:",
    ...file.rules.flatMap((rule) => ruleInWords(file, rule)),
    "",
    "What is never done, whatever this file says: anything to PID 1, threads of the kernel, sshd, the bus, polkit, systemd and its",
    "services, the agent, this program and what its control group is in; SIGKILL before SIGTERM was seen to fail; an order that is",
    "unsigned, older than its signature allows, for another boot, process or run of a unit than was shown, or was here before.",
    "Everything else is refused too: nothing is allowed that is not above."
  ].join("\n")

export const approversInWords = ({ approvers }: HandsFile): string =>
  approvers.map(({ key, name, role }) => `  ${name} (${role}), key id ${key}`).join("\n")

const ruleInWords = (file: HandsFile, rule: HandsRule): ReadonlyArray<string> => {
  const people = [...new Set(file.approvers.filter(({ role }) => rule.roles.includes(role)).map(({ name }) => name))]
  const signed = rule.secondPerson ? `by two of ${people.join(", ")}` : `by ${people.join(" or ")}`
  const hours =
    rule.hours === undefined ? "at any hour" : `from ${rule.hours.text.replace("-", " until ")} by this host's clock`
  return [
    `  - ${rule.verbs.map((verb) => `${verb} (${VERB_WORDS[verb]})`).join(", ")}`,
    `    of ${targetsInWords(rule)}`,
    `    signed ${signed}; ${hours}; at most ${rule.perHour} an hour${spansInWords(rule)}`
  ]
}

const targetsInWords = ({ names, units, verbs }: HandsRule): string => {
  const ofUnits = units.join(", ")
  if (names.length === 0) {
    return verbs.every(isProcessVerb)
      ? `any process of ${ofUnits}`
      : `${ofUnits}${verbs.some(isProcessVerb) ? ", or any process of it" : ""}`
  }
  return `processes called ${names.join(", ")}${units.length === 0 ? "" : ` in ${ofUnits}, or these units themselves`}`
}

const spansInWords = ({ spans, verbs }: HandsRule): string => {
  const keys = new Set(verbs.flatMap((verb) => (isSpan(verb) ? [verb] : [])) as ReadonlyArray<keyof typeof SPANS>)
  const isTimed = verbs.some((verb) => REVERTED_VERBS.some((one) => one === verb))
  const all = [...keys, ...(isTimed ? (["minutes"] as const) : [])]
  return all.map((key) => `; ${key} ${spans[key].min} to ${spans[key].max}`).join("")
}

const isSpan = (verb: Verb): verb is Verb & keyof typeof SPANS => verb in SPANS

const VERB_WORDS: Readonly<Record<Verb, string>> = {
  nice: "lower its priority",
  weight: "change its share of the CPU for a while",
  quota: "limit its CPU for a while",
  memory_high: "limit its memory for a while",
  terminate: "ask it to end",
  restart: "restart it",
  kill: "end it by force, after it was asked to end"
}
