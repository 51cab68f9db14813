/** How a token looks, and what is shown of it once it is made. */
import { randomBytes } from "node:crypto"
import type { TokenKind } from "./Servers.ts"

/** `np_<kind>_` and 32 random bytes in base64url. */
export const newToken = (kind: TokenKind): string => `np_${kind}_${randomBytes(32).toString("base64url")}`

/** Enough to tell tokens apart in a list, and nothing to guess the rest from: `np_agent_AbCd`. */
export const prefixOf = (token: string): string => token.slice(0, token.indexOf("_", 3) + 5)
