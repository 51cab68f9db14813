/** Which alerts a silence is about, for the preview of one that is being made. Pure. */
import type { Alert } from "./AlertWords.ts"

export interface Matchers {
  /** Patterns, `*` stands for any characters; empty: any. */
  readonly rule: string
  readonly server: string
  readonly group: string
  /** Empty: any. */
  readonly severity: string
}

/** As `matches` of the rules: a test holds the two together. Linear in the name for each part of the pattern. */
const matchesPattern = (pattern: string, name: string): boolean => {
  const parts = pattern.split("*")
  if (parts.length === 1) return pattern === name
  const first = parts[0] ?? ""
  const last = parts.at(-1) ?? ""
  if (name.length < first.length + last.length || !name.startsWith(first) || !name.endsWith(last)) return false
  let from = first.length
  for (const part of parts.slice(1, -1)) {
    const at = name.indexOf(part, from)
    if (at < 0 || at + part.length > name.length - last.length) return false
    from = at + part.length
  }
  return true
}

const isAny = (pattern: string): boolean => pattern.trim() === ""

/** Whether a silence with these would be about an alert. */
export const wouldSilence = (
  { group, rule, server, severity }: Matchers,
  alert: Pick<Alert, "rule" | "server_id" | "server_name" | "group" | "severity">
): boolean =>
  (isAny(rule) || matchesPattern(rule.trim(), alert.rule)) &&
  (isAny(server) ||
    matchesPattern(server.trim(), alert.server_id ?? "") ||
    matchesPattern(server.trim(), alert.server_name ?? "")) &&
  (isAny(group) || matchesPattern(group.trim(), alert.group)) &&
  (severity === "" || severity === alert.severity)
