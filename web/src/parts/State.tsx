/** Whether a server reports, by name, colour and shape. */
export const STATES = {
  live: { word: "live", meaning: "Reported within two and a half of its intervals" },
  stale: { word: "stale", meaning: "Late, but not yet a gap" },
  silent: { word: "silent", meaning: "A gap: nothing is known about it, or it has never reported" }
} as const

export const State = ({ state }: { readonly state: keyof typeof STATES }) => (
  <svg className={`state ${state}`} viewBox="0 0 12 12" role="img" aria-label={state}>
    <title>{`${state}: ${STATES[state].meaning}`}</title>
    {state === "live" ? (
      <circle cx="6" cy="6" r="4.5" />
    ) : state === "stale" ? (
      <path d="M6 1.2 11 10.4H1Z" />
    ) : (
      <rect x="1.8" y="1.8" width="8.4" height="8.4" rx="1" />
    )}
  </svg>
)
