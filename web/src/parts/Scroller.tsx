/** A table that is wider than a narrow page scrolls by itself, with the keyboard too. */
import type { ReactNode } from "react"

export const Scroller = ({ children, label }: { readonly label: string; readonly children: ReactNode }) => (
  // biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reachable, or the keyboard cannot scroll it.
  <section className="scroller" tabIndex={0} aria-label={label}>
    {children}
  </section>
)
