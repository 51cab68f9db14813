/**
 * Where a server's CPU went in what is looked at, line by line down to what the host says: groups, what ended before anybody
 * saw it, the kernel, and what nobody can name. Each line says how far it may be off.
 */
import type { Answer, Exporter } from "../ask/Api.ts"
import { useGroupPath } from "../ask/GroupPath.ts"
import { slotsOf } from "../charts/Slots.ts"
import { Swatch } from "../charts/Stack.tsx"
import { coloursOf, useDark } from "../frame/Theme.ts"
import { inUnit, number, percent } from "../parts/Format.ts"
import { Link } from "../parts/Link.tsx"
import { Name } from "../parts/Name.tsx"
import { ShortLived } from "./ShortLived.tsx"

type Told = Answer<"breakdown.breakdown">
type Line = Told["lines"][number]

interface Props {
  readonly id: string
  readonly answer: Told
  readonly exporters: ReadonlyArray<Exporter>
}

export const Breakdown = ({ answer, exporters, id, pace }: Props & { readonly pace: number }) => {
  const { host, lines } = answer
  const colourOf = useLineColours(lines)
  if (answer.scrapes === 0) return <p className="nothing">No data in this time range.</p>
  return (
    <>
      <p className="why-said">
        {host === null ? (
          "What the host used is not known: no node snapshots in this time range."
        ) : (
          <>
            <b>{inUnit(host.avg_cpu_percent, "percent")}</b> busy on average
            {host.cores === null ? "" : `, of ${number(host.cores * 100)}\u202f%`}
          </>
        )}
      </p>
      <StackedBar lines={lines} colourOf={colourOf} />
      <table className="why-lines">
        <caption className="visually-hidden">Where the CPU went</caption>
        <thead>
          <tr>
            <th scope="col" className="wide">
              <span className="visually-hidden">Line</span>
            </th>
            <th scope="col" className="num">
              CPU avg
            </th>
            <th scope="col" className="num why-error" title="How far the value may be off, either way">
              ±
            </th>
            <th scope="col" className="num">
              Share
            </th>
          </tr>
        </thead>
        <tbody>
          {lines.map((line) => (
            <tr key={`${line.kind} ${line.name ?? ""}`} className={line.kind} title={TITLES[line.kind]}>
              <th scope="row" className="wide">
                <span className="row-name">
                  <Swatch colour={colourOf(line)} hatched={HATCHED.has(line.kind)} />
                  <LineName id={id} line={line} answer={answer} exporters={exporters} />
                </span>
              </th>
              <td className="num">{inUnit(shown(line.avg_cpu_percent), "percent")}</td>
              <td className="num why-error">{inUnit(errorOf(line, answer), "percent")}</td>
              <td className="num">{line.share === null ? "–" : `${percent(100 * shown(line.share))}\u202f%`}</td>
            </tr>
          ))}
        </tbody>
      </table>
      <ShortLived answer={answer} id={id} exporters={exporters} pace={pace} />
      <Missing answer={answer} />
    </>
  )
}

const TITLES: Readonly<Record<Line["kind"], string>> = {
  named: "What the processes of this group used",
  other: "All groups that are not listed",
  remainder: "Used in a unit by processes that ended before a scrape saw all of it",
  short_lived: "Processes that no scrape saw, named by the kernel's accounting",
  kernel: "Kernel threads, and what runs in no unit",
  unknown: "The host's busy CPU minus all lines above"
}
const HATCHED: ReadonlySet<Line["kind"]> = new Set(["remainder", "short_lived", "kernel", "unknown"])

/** Scrapes that do not fall together can leave a little less than nothing. */
const shown = (value: number): number => Math.max(0, value)

const errorOf = (line: Line, { covered_seconds }: Told): number | null =>
  covered_seconds > 0 ? (100 * line.error_seconds) / covered_seconds : null

const useLineColours = (lines: ReadonlyArray<Line>) => {
  const colours = coloursOf(useDark())
  const slots = slotsOf(lines.flatMap(({ kind, name }) => (kind === "named" && name !== null ? [name] : [])))
  return ({ kind, name }: Line): string => {
    if (kind === "named") return colours.slots[slots.get(name ?? "") ?? 0] ?? colours.accent
    if (kind === "other") return colours.other
    return kind === "unknown" ? colours.muted : kind === "kernel" ? colours.ink : colours.accent
  }
}

const LineName = ({ answer, exporters, id, line }: Props & { readonly line: Line }) => {
  const pathTo = useGroupPath(id)
  const open = (resource: string | null, name: string) => {
    if (resource === null || !exporters.some((one) => one.resource === resource)) return <Name value={name} />
    return (
      <Link href={pathTo(resource, name)}>
        <Name value={name} />
      </Link>
    )
  }
  const { groups, kind, name } = line
  switch (kind) {
    case "named":
      return open(answer.resources.groups, name ?? "")
    case "other":
      return <>{groups === 1 ? "1 other" : `${number(groups)} others`}</>
    case "remainder":
      if (name === null) return <>Ended in {groups === 1 ? "another unit" : "other units"}</>
      return (
        <>
          <span className="why-in">Ended in</span> {open(answer.resources.units, name)}
        </>
      )
    case "short_lived":
      return <>Short-lived{line.runs == null ? "" : `, ${number(line.runs)} runs`}</>
    case "kernel":
      return <>Kernel</>
    default:
      return <>Unknown</>
  }
}

/** All lines in one bar; what is hatched there is hatched here. */
const StackedBar = ({
  colourOf,
  lines
}: {
  readonly lines: ReadonlyArray<Line>
  readonly colourOf: (line: Line) => string
}) => {
  const sum = lines.reduce((total, { cpu_seconds }) => total + shown(cpu_seconds), 0)
  if (sum <= 0) return null
  let from = 0
  return (
    <svg className="why-bar" viewBox="0 0 1000 14" preserveAspectRatio="none" aria-hidden="true">
      <defs>
        <pattern id="why-hatch" width="6" height="6" patternUnits="userSpaceOnUse" patternTransform="rotate(45)">
          <rect width="3" height="6" className="why-hatch" />
        </pattern>
      </defs>
      {lines.map((line) => {
        const width = (1000 * shown(line.cpu_seconds)) / sum
        const x = from
        from += width
        return (
          <g key={`${line.kind} ${line.name ?? ""}`}>
            <rect x={x} width={width} height="14" fill={colourOf(line)} />
            {HATCHED.has(line.kind) && <rect x={x} width={width} height="14" fill="url(#why-hatch)" />}
          </g>
        )
      })}
    </svg>
  )
}

const Missing = ({ answer: { below_zero, coverage, partial } }: Pick<Props, "answer">) => {
  const told = partial.flatMap((what) => MISSING[what] ?? [])
  const cut =
    below_zero.length > 0 ? ["A line is a little below 0, since scrapes of two exporters do not fall together."] : []
  const said = [
    ...(coverage < 0.8 ? [`Only ${percent(coverage * 100)} % of this time was seen.`] : []),
    ...told,
    ...cut
  ]
  return said.length === 0 ? null : <p className="muted small">{said.join(" ")}</p>
}

const MISSING: Readonly<Record<string, string>> = {
  units: "No units are known here, so what ended between two scrapes is part of Unknown.",
  members: "Over this range it is not known which unit a process was in: what ended is one line.",
  host: "What the host used is not known, so there is no Unknown."
}
