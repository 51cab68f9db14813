/**
 * Which rule set puts names together: `grouping` in the address, so that a link shows what its sender saw. The latest choice is
 * remembered in this browser, for addresses that name none.
 */
import { usePlace } from "./Url.ts"

const KEY = "nodepulse-grouping"

/** The set, or one version of it, that the address names. */
export const useGrouping = (): string | undefined => usePlace().query.get("grouping") ?? undefined

export const rememberedGrouping = (): string | undefined => {
  try {
    return localStorage.getItem(KEY) ?? undefined
  } catch {
    return undefined
  }
}

export const rememberGrouping = (grouping: string | undefined): void => {
  try {
    if (grouping === undefined) localStorage.removeItem(KEY)
    else localStorage.setItem(KEY, grouping)
  } catch {
    // A browser that keeps nothing still has it in the address.
  }
}
