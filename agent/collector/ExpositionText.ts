/**
 * What the built-in collectors and the agent's own metrics are made of, families of samples, and those as the Prometheus text
 * format 0.0.4. Names and label names are the caller's constants; label values may be any text.
 */
import type { Sample } from "../../src/plugins/Exposition.ts"

export interface Family {
  readonly name: string
  readonly help: string
  readonly type: "counter" | "gauge"
  /** As a parser reads them, all of the family's name. */
  readonly samples: ReadonlyArray<Sample>
}

/** A family of samples that are told by their labels and value alone. */
export const familyOf = ({
  samples,
  ...family
}: Omit<Family, "samples"> & {
  readonly samples: ReadonlyArray<readonly [labels: Sample["labels"], value: number]>
}): Family => ({ ...family, samples: samples.map(([labels, value]) => ({ name: family.name, labels, value })) })

/** The families as one exposition. Families without samples are left out. */
export const renderExposition = (families: ReadonlyArray<Family>): string => {
  let text = ""
  for (const { name, help, type, samples } of families) {
    if (samples.length === 0) continue
    text += `# HELP ${name} ${help}\n# TYPE ${name} ${type}\n`
    for (const { labels, value } of samples) {
      const inner = renderLabels(labels)
      text += `${name}${inner === "" ? "" : `{${inner}}`} ${renderValue(value)}\n`
    }
  }
  return text
}

/** The samples of the families that are asked for. */
export const samplesOf = (families: ReadonlyArray<Family>, asked?: ReadonlyArray<string>): ReadonlyArray<Sample> => {
  const found = asked === undefined ? families : families.filter(({ name }) => asked.includes(name))
  return found.flatMap(({ samples }) => samples)
}

/** What stands between the braces of a sample. */
const renderLabels = (labels: Readonly<Record<string, string>>): string =>
  Object.entries(labels)
    .map(([name, value]) => `${name}="${escapeLabel(value)}"`)
    .join(",")

const escapeLabel = (value: string): string =>
  value.replace(/[\\"\n]/g, (found) => (found === "\n" ? "\\n" : `\\${found}`))

const renderValue = (value: number): string =>
  value === Number.POSITIVE_INFINITY ? "+Inf" : value === Number.NEGATIVE_INFINITY ? "-Inf" : String(value)
