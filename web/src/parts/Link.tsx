/** A link within the page: an ordinary one to the browser, without a new load. */
import type { AnchorHTMLAttributes, MouseEvent } from "react"
import { BASE } from "../ask/Base.ts"
import { go } from "../ask/Url.ts"

export const Link = ({ href, ...rest }: AnchorHTMLAttributes<HTMLAnchorElement> & { readonly href: string }) => {
  const onClick = (event: MouseEvent<HTMLAnchorElement>) => {
    rest.onClick?.(event)
    if (
      event.defaultPrevented ||
      event.button !== 0 ||
      event.metaKey ||
      event.ctrlKey ||
      event.shiftKey ||
      event.altKey
    )
      return
    event.preventDefault()
    go(href)
  }
  return <a {...rest} href={BASE + href} onClick={onClick} />
}
