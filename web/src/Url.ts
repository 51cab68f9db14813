/**
 * The address is the state of the page: which server, range, order, brush and selection. A link is an incident note.
 *
 * Values that are the default are left out, so that addresses stay short.
 */
import { useCallback, useSyncExternalStore } from "react"

const listeners = new Set<() => void>()
const subscribe = (listener: () => void) => {
  listeners.add(listener)
  window.addEventListener("popstate", listener)
  return () => {
    listeners.delete(listener)
    window.removeEventListener("popstate", listener)
  }
}
const current = () => window.location.pathname + window.location.search

/** Goes to an address within the page. `replace` leaves no entry in the history, as for what is typed. */
export const go = (address: string, replace = false): void => {
  if (address === current()) return
  window.history[replace ? "replaceState" : "pushState"](null, "", address)
  for (const listener of listeners) listener()
}

export interface Place {
  readonly path: ReadonlyArray<string>
  readonly query: URLSearchParams
}

/** Where the page is, and how to change a part of its query: undefined takes a part away. */
export const usePlace = (): Place & {
  readonly set: (change: Readonly<Record<string, string | undefined>>, replace?: boolean) => void
} => {
  const address = useSyncExternalStore(subscribe, current)
  const [path = "/", search = ""] = address.split(/\?(.*)/s)
  const set = useCallback((change: Readonly<Record<string, string | undefined>>, replace = false) => {
    const query = new URLSearchParams(window.location.search)
    for (const [name, value] of Object.entries(change)) {
      if (value === undefined) query.delete(name)
      else query.set(name, value)
    }
    go(`${window.location.pathname}${query.size === 0 ? "" : `?${query}`}`, replace)
  }, [])
  return {
    path: path
      .split("/")
      .filter((part) => part !== "")
      .map(safeDecode),
    query: new URLSearchParams(search),
    set
  }
}

const safeDecode = (text: string): string => {
  try {
    return decodeURIComponent(text)
  } catch {
    return text
  }
}

/** The address of a server's page. */
export const serverPath = (id: string, query = ""): string => `/servers/${encodeURIComponent(id)}${query}`
