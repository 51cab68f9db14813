/** Keys of the page: single letters, as long as nobody is typing and no dialog is open. */
import { useLayoutEffect } from "react"

/**
 * Single keys, where nobody is typing. The handler says whether it took the key. What is seen can be worked at once: keys are
 * heard before it is painted.
 */
export const useKeys = (handler: (key: string, event: KeyboardEvent) => boolean): void => {
  useLayoutEffect(() => {
    const listen = (event: KeyboardEvent) => {
      if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey) return
      const { target } = event
      const typing =
        target instanceof HTMLElement && (target.isContentEditable || /^(input|textarea|select)$/i.test(target.tagName))
      if (typing && event.key !== "Escape") return
      if (document.querySelector("dialog[open]") !== null) return
      if (handler(event.key, event)) event.preventDefault()
    }
    document.addEventListener("keydown", listen)
    return () => document.removeEventListener("keydown", listen)
  }, [handler])
}
