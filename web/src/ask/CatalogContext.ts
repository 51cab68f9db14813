/** What the server measures: all that the page knows about exporters. */
import { createContext, useContext } from "react"
import type { Catalog } from "./Api.ts"

export const CatalogContext = createContext<Catalog>({ exporters: [] })
export const useCatalog = (): Catalog => useContext(CatalogContext)
