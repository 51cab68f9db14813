/**
 * The address is the state of the page: which server, range, order, brush and selection. A link is an incident note.
 *
 * Values that are the default are left out, so that addresses stay short.
 */
import { useCallback, useSyncExternalStore } from "react"
import { BASE, encoded } from "./Base.ts"

const listeners = new Set<() => void>()
const subscribe = (listener: () => void) => {
  listeners.add(listener)
  window.addEventListener("popstate", listener)
  return () => {
    listeners.delete(listener)
    window.removeEventListener("popstate", listener)
  }
}
/** Where the page is, below the path that it is served at. */
const path = () => {
  const { pathname } = window.location
  return pathname.startsWith(BASE) ? pathname.slice(BASE.length) || "/" : pathname
}
const current = () => path() + window.location.search

/**
 * Goes to an address within the page. `replace` leaves no entry in the history, as for what is typed; `mark` is kept with
 * the entry, for who goes back later.
 */
export const go = (address: string, replace = false, mark: unknown = null): void => {
  if (address === current()) return
  window.history[replace ? "replaceState" : "pushState"](replace ? window.history.state : mark, "", BASE + address)
  for (const listener of listeners) listener()
}

export interface Place {
  readonly path: ReadonlyArray<string>
  readonly query: URLSearchParams
}

/** Where the page is, and how to change a part of its query: undefined takes a part away. */
export const usePlace = (): Place & {
  readonly set: (change: Readonly<Record<string, string | undefined>>, replace?: boolean, mark?: unknown) => void
} => {
  const address = useSyncExternalStore(subscribe, current)
  const [here = "/", search = ""] = address.split(/\?(.*)/s)
  const set = useCallback(
    (change: Readonly<Record<string, string | undefined>>, replace = false, mark: unknown = null) => {
      const query = new URLSearchParams(window.location.search)
      for (const [name, value] of Object.entries(change)) {
        if (value === undefined) query.delete(name)
        else query.set(name, value)
      }
      // A comma means nothing in a query, and lists read better with it.
      go(`${path()}${query.size === 0 ? "" : `?${String(query).replaceAll("%2C", ",")}`}`, replace, mark)
    },
    []
  )
  return {
    path: here
      .split("/")
      .filter((part) => part !== "")
      .map(safeDecode),
    query: new URLSearchParams(search),
    set
  }
}

/** The whole address of what is shown, with a part of its query changed: to be given to somebody else. */
export const linkWith = (change: Readonly<Record<string, string | undefined>>): string => {
  const url = new URL(window.location.href)
  for (const [name, value] of Object.entries(change)) {
    if (value === undefined) url.searchParams.delete(name)
    else url.searchParams.set(name, value)
  }
  return url.href
}

const safeDecode = (text: string): string => {
  try {
    return decodeURIComponent(text)
  } catch {
    return text
  }
}

/** The address of a server's page. */
export const serverPath = (id: string, query = ""): string => `/servers/${encoded(id)}${query}`

/** What an address cannot have as a part of its own, and what marks one that stands for such. */
const NO_PART = /^(?:\.{0,2}$|=)/

/** The address of what a resource's groups do on all servers, or one of them on each. */
export const groupsPath = (resource: string, name?: string, query = ""): string => {
  const part = name === undefined ? "" : `/${NO_PART.test(name) ? "=" : ""}${encoded(name)}`
  return `/processes/${encoded(resource)}${part}${query}`
}

/** The name in such an address. */
export const nameOfPart = (part: string): string => (part.startsWith("=") ? part.slice(1) : part)

const NAME_IN_ADDRESS_MAX = 500

/** A name in an address: itself, or a mark of a very long one, which only the rows that are shown can tell. */
export const addressed = (name: string): string => {
  if (name.length <= NAME_IN_ADDRESS_MAX && !name.startsWith("~") && name.isWellFormed()) return name
  let hash = 0
  for (let index = 0; index < name.length; index++) hash = (Math.imul(hash, 31) + name.charCodeAt(index)) | 0
  return `~${name.length}.${hash >>> 0}`
}
