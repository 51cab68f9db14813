/**
 * Names of units and processes as a host's file writes them: exact, or with `*` for any characters.
 *
 * Guarantee: a pattern that may be used ({@link isName}) says something: it has three letters or digits in a row beside the unit's kind,
 * and it matches none of a few names that have nothing in common. Matching takes time in proportion to name times pattern.
 */

/** Whether the text may stand in the file. */
export const isName = (text: string, of: "unit" | "process"): boolean => {
  if (text === "" || text.trim() !== text || (of === "process" && /[\p{Cc}/]/u.test(text))) return false
  if (!text.includes("*")) return true
  const own = of === "unit" ? text.replace(/\.(service|scope)$/, "") : text
  return /[\p{L}\d]{3}/u.test(own) && !UNLIKE[of].some((name) => matches(text, name))
}

/** Names that no pattern means together. */
const UNLIKE = {
  unit: ["zqx.service", "07-jvk@wuf.service", "zqx.scope", "session-3.scope"],
  process: ["zqx", "07-jvk:wuf"]
} as const

/** Whether the name is the text, or one that the pattern stands for. */
export const matches = (pattern: string, name: string): boolean => {
  const parts = pattern.split("*")
  const [first = "", ...rest] = parts
  if (rest.length === 0) return name === pattern
  const last = rest.pop()!
  if (!name.startsWith(first) || name.length < first.length + last.length || !name.endsWith(last)) return false
  let at = first.length
  const end = name.length - last.length
  for (const part of rest) {
    const found = name.indexOf(part, at)
    if (found === -1 || found + part.length > end) return false
    at = found + part.length
  }
  return true
}

/** As a regular expression, for rules of other programs. */
export const expressionOf = (pattern: string): string =>
  `^${pattern
    .split("*")
    .map((part) => part.replace(/[^A-Za-z0-9_@:-]/g, "\\$&"))
    .join("[A-Za-z0-9:_.@\\\\-]*")}$`
