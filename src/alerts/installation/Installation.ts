/**
 * What NodePulse watches of itself, as a resource of rules: `nodepulse`. Pure; what is made of their
 * values is `InstallationWatch.ts`, and where those come from `InstallationReader.ts`.
 *
 * It is declared as an exporter, so that rules are read, checked and said as those about any other; it is never scraped, and has no
 * table. Of `clock_skew` there is a value a server, of the others one for the whole installation.
 */
import { Result } from "effect"
import { gauge } from "../../plugins/Column.ts"
import { defineExporter, type Exporter } from "../../plugins/Exporter.ts"
import type { Rule } from "../Rule.ts"

export const installation: Exporter = defineExporter({
  name: "nodepulse",
  title: "NodePulse itself",
  scrape: { endpoint: "http://127.0.0.1:8080/metrics", interval: "15 seconds", timeout: "5 seconds" },
  table: {
    name: "nodepulse",
    retention: "30 days",
    columns: {
      dead_letters: gauge({ type: "integer", doc: "Snapshots that became dead letters within `over`." }),
      clock_skew: gauge({ unit: "seconds", doc: "How far an agent's clock is off, ahead or behind." }),
      disk_used: gauge({ unit: "percent", doc: "Use of the file system that holds the embedded PostgreSQL." })
    }
  },
  parse: () => Result.succeed({ rows: [], skipped: [], countersSince: null })
})()

export const isOfInstallation = ({ exporter }: Pick<Rule, "exporter">): boolean => exporter === installation.name

type Keys = "dead_letters" | "clock_skew" | "disk_used"

/** What a rule about the installation asks for. Others are refused where rules are read. */
export const askedFor = ({ condition }: Rule): Keys =>
  condition.kind === "value" ? (condition.metric as Keys) : "dead_letters"

/** Whether the past can be asked: of dead letters there are rows, the others are known of the present only. */
export const hasPast = (rule: Rule): boolean => askedFor(rule) === "dead_letters"

/** What a rule asks, as a sentence. */
export const installationSentence = (rule: Rule, held: string, over: string): string => {
  const { condition, server } = rule
  if (condition.kind !== "value") return ""
  const { side, threshold } = condition
  const off = side === "above" ? "more" : "less"
  switch (askedFor(rule)) {
    case "dead_letters":
      return `NodePulse: ${off} than ${threshold} new dead letters in ${over}${held}`
    case "clock_skew":
      return `${server === "*" ? "on any server" : `on ${server}`}: the agent's clock is ${off} than ${threshold} seconds off${held}`
    case "disk_used":
      return `NodePulse: its disk is used to ${off} than ${threshold} %${held}`
  }
}
