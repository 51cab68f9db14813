/** A trend as small as a word: an SVG path of at most a hundred points, with holes where nothing was seen. */
interface Props {
  readonly values: ReadonlyArray<number | null>
  readonly width?: number
  readonly height?: number
  /** The value of a full height; the highest one where it is higher. */
  readonly top?: number
  readonly label: string
}

export const Spark = ({ height = 24, label, top = 0, values, width = 96 }: Props) => {
  const known = values.filter((value) => value !== null)
  if (known.length === 0) return <span className="spark-none" role="img" aria-label={`${label}: no data`} />
  const max = Math.max(top, ...known, 1e-9)
  const x = (n: number) => (n / Math.max(1, values.length - 1)) * (width - 2) + 1
  const y = (value: number) => height - 2 - (value / max) * (height - 4)
  const runs: Array<Array<readonly [number, number]>> = [[]]
  values.forEach((value, n) => {
    if (value === null) {
      if ((runs.at(-1)?.length ?? 0) > 0) runs.push([])
    } else runs.at(-1)?.push([x(n), y(value)])
  })
  const points = (run: ReadonlyArray<readonly [number, number]>) =>
    run.map(([left, up]) => `${left.toFixed(1)} ${up.toFixed(1)}`).join("L")
  // A single value is as wide as a step.
  const half = (x(1) - x(0)) / 2
  const shown = runs
    .filter((run) => run.length > 0)
    .map((run) => {
      const [first] = run
      if (first === undefined || run.length > 1) return run
      return [[Math.max(0, first[0] - half), first[1]] as const, [Math.min(width, first[0] + half), first[1]] as const]
    })
  return (
    <svg
      className="spark"
      width={width}
      height={height}
      viewBox={`0 0 ${width} ${height}`}
      role="img"
      aria-label={label}
    >
      <path
        className="spark-area"
        d={shown
          .map(
            (run) =>
              `M${run[0]?.[0].toFixed(1)} ${height - 1}L${points(run)}L${run.at(-1)?.[0].toFixed(1)} ${height - 1}Z`
          )
          .join("")}
      />
      <path className="spark-line" d={shown.map((run) => `M${points(run)}`).join("")} />
    </svg>
  )
}
