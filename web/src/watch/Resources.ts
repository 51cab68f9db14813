/** What rules may ask of each resource, as the server says it: which metrics, in which units. */
import { createContext, useContext } from "react"
import type { Answer } from "../ask/Api.ts"

export type RuleResource = Answer<"rules.resources">["resources"][number]
export type Metric = RuleResource["metrics"][number]

export const ResourcesContext = createContext<ReadonlyArray<RuleResource>>([])
export const useResources = (): ReadonlyArray<RuleResource> => useContext(ResourcesContext)
