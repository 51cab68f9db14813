/** Which servers are compared, as the address names them: `s=web-1,web-2`. Ids stay what they are when a server is renamed. */
import { usePlace } from "./Url.ts"

export const COMPARED_MIN = 2
export const COMPARED_MAX = 8

/** The ids in an address, each once. */
const comparedIn = (query: URLSearchParams): ReadonlyArray<string> => [
  ...new Set((query.get("s") ?? "").split(",").filter((id) => id !== ""))
]

/** The servers that the address names, and how to take one in or out. */
export const useCompared = () => {
  const { query, set } = usePlace()
  const ids = comparedIn(query)
  const write = (ids: ReadonlyArray<string>) => set({ s: ids.length === 0 ? undefined : ids.join(",") }, true)
  return {
    ids,
    isFull: ids.length >= COMPARED_MAX,
    /** Takes it in or out; where there is no room for one more, nothing changes. */
    toggle: (id: string) => {
      if (ids.includes(id)) write(ids.filter((one) => one !== id))
      else if (ids.length < COMPARED_MAX) write([...ids, id])
    },
    clear: () => write([])
  }
}

/** The address of the comparison of some servers; the rest of the query is what is looked at. */
export const comparePath = (ids: ReadonlyArray<string>, query = new URLSearchParams()): string => {
  const rest = new URLSearchParams(query)
  rest.delete("s")
  const more = rest.size === 0 ? "" : `&${rest}`
  return `/compare?s=${ids.map(encodeURIComponent).join(",")}${more}`
}

/** The parts of a query that say when and by what, without those that say what is open or searched. */
export const lookingAt = (query: URLSearchParams): URLSearchParams =>
  new URLSearchParams(
    [...query].filter(([name]) => ["range", "window", "metric", "unit", "resource", "grouping"].includes(name))
  )

/** The address of one group over all servers. */
export const spreadPath = (resource: string, group: string, metric: string, query = new URLSearchParams()): string => {
  const all = new URLSearchParams(query)
  for (const [name, value] of Object.entries({ resource, group, metric })) all.set(name, value)
  return `/compare/process?${all}`
}
