/**
 * The administrator's first token: the one that is configured (`NODEPULSE_ADMIN_TOKEN`), else one that is made once and
 * kept in the file `admin-token` of the data folder, which only its owner can read.
 */
import * as fs from "node:fs/promises"
import { join } from "node:path"
import { Effect, Redacted, Schema } from "effect"
import { newToken } from "./TokenText.ts"

export class AdminTokenUnreadable extends Schema.TaggedError<AdminTokenUnreadable>()("AdminTokenUnreadable", {
  path: Schema.String,
  cause: Schema.Defect()
}) {
  readonly retryable = false
  override get message(): string {
    return `the administrator's token in ${this.path} cannot be read or written: ${this.cause}. Set NODEPULSE_ADMIN_TOKEN, or make the folder writable`
  }
}

/** Reads or makes it. It becomes valid by `AdminTokens.ensureAdmin`. */
export const loadAdminToken = (options: {
  readonly dataDir: string
  readonly configured?: Redacted.Redacted<string> | undefined
}): Effect.Effect<Redacted.Redacted<string>, AdminTokenUnreadable> => {
  const { configured, dataDir } = options
  if (configured !== undefined && Redacted.value(configured) !== "") return Effect.succeed(configured)
  const path = join(dataDir, "admin-token")
  return Effect.tryPromise({
    try: async () => {
      await fs.mkdir(dataDir, { recursive: true, mode: 0o711 })
      // Only one of several that start together makes it; all read what is there then.
      await fs.writeFile(path, `${newToken("admin")}\n`, { flag: "wx", mode: 0o600 }).catch((error) => {
        if (error.code !== "EEXIST") throw error
      })
      const token = (await fs.readFile(path, "utf8")).trim()
      if (token === "") throw new Error("it is empty")
      return Redacted.make(token)
    },
    catch: (cause) => new AdminTokenUnreadable({ path, cause })
  })
}
