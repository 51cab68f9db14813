/**
 * Writes the Prometheus text format 0.0.4: what the built-in collectors and the agent's own metrics are rendered with.
 * Names and label names are the caller's constants; label values may be any text.
 */

export interface Family {
  readonly name: string
  readonly help: string
  readonly type: "counter" | "gauge"
  readonly samples: ReadonlyArray<readonly [labels: Readonly<Record<string, string>>, value: number]>
}

/** The families as one exposition. Families without samples are left out. */
export const renderExposition = (families: ReadonlyArray<Family>): string => {
  let text = ""
  for (const { name, help, type, samples } of families) {
    if (samples.length === 0) continue
    text += renderHead(name, help, type)
    for (const [labels, value] of samples) {
      const inner = renderLabels(labels)
      text += `${name}${inner === "" ? "" : `{${inner}}`} ${renderValue(value)}\n`
    }
  }
  return text
}

/** The lines in front of a family's samples. */
export const renderHead = (name: string, help: string, type: Family["type"]): string =>
  `# HELP ${name} ${help}\n# TYPE ${name} ${type}\n`

/** What stands between the braces of a sample. */
export const renderLabels = (labels: Readonly<Record<string, string>>): string =>
  Object.entries(labels)
    .map(([name, value]) => `${name}="${escapeLabel(value)}"`)
    .join(",")

const escapeLabel = (value: string): string =>
  value.replace(/[\\"\n]/g, (found) => (found === "\n" ? "\\n" : `\\${found}`))

const renderValue = (value: number): string =>
  value === Number.POSITIVE_INFINITY ? "+Inf" : value === Number.NEGATIVE_INFINITY ? "-Inf" : String(value)
