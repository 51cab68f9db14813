/** How a token looks, and what is stored of it. */
import { createHash, randomBytes } from "node:crypto"
import type { Principal } from "./Servers.ts"

/** `np_<kind>_` and 32 random bytes in base64url. */
export const newToken = (kind: Principal["kind"]): string => `np_${kind}_${randomBytes(32).toString("base64url")}`

/** What is stored of a token: SHA-256, which 256 random bits need not be slowed down for. */
export const hashToken = (token: string): Buffer => createHash("sha256").update(token).digest()
