/** What lies above a page, from the top down: links, each followed by a stroke. One that is not known yet is left out. */
import { Children, Fragment, type ReactNode } from "react"

export const Crumbs = ({ children }: { readonly children: ReactNode }) => (
  <p className="crumbs">
    {Children.toArray(children).map((above, place) => (
      // biome-ignore lint/suspicious/noArrayIndexKey: what lies above has no other name than its place.
      <Fragment key={place}>
        {place > 0 && " "}
        {above} <span aria-hidden="true">/</span>
      </Fragment>
    ))}
  </p>
)
