/** Links to a group of any resource on a server's page. */
import { useCatalog } from "./CatalogContext.ts"
import { addressed, serverPath, usePlace } from "./Url.ts"

/** What says how the table that is left was ordered and filtered: of another resource's table it says nothing. */
const OF_THE_TABLE = ["metric", "sort", "dir", "q", "all"]

/** The address of a resource's groups on a server with the panel of one open, in the time that is looked at. */
export const useGroupPath = (id: string) => {
  const { exporters } = useCatalog()
  const { query } = usePlace()
  const first = exporters.find(({ top }) => top !== null)
  return (resource: string, name: string): string => {
    const place = new URLSearchParams(query)
    for (const key of OF_THE_TABLE) place.delete(key)
    place.set("open", addressed(name))
    return serverPath(id, `${resource === first?.resource ? "" : `/${resource}`}?${place}`)
  }
}
