/** How much an alert matters, by name, colour and shape. */

const SHAPES: Readonly<Record<string, string>> = {
  critical: "M3.6.8h4.8l2.8 2.8v4.8l-2.8 2.8H3.6L.8 8.4V3.6z",
  warning: "M6 1 11.4 10.8H.6Z",
  info: "M6 1.2a4.8 4.8 0 1 0 0 9.6 4.8 4.8 0 0 0 0-9.6"
}

/** `over` draws it as an outline: it does not fire any more. */
export const Severity = ({ over = false, severity }: { readonly severity: string; readonly over?: boolean }) => {
  const known = severity in SHAPES ? severity : "info"
  return (
    <svg className={`severity ${known}${over ? " ended" : ""}`} viewBox="0 0 12 12" role="img" aria-label={known}>
      <title>{known}</title>
      <path d={SHAPES[known]} />
    </svg>
  )
}
