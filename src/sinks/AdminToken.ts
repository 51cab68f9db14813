/**
 * The administrator's first token: the one that is configured (`NODEPULSE_ADMIN_TOKEN`), else one that is made once and
 * kept in the file `admin-token` of the data folder, which only its owner can read.
 */
import { randomBytes } from "node:crypto"
import { existsSync } from "node:fs"
import * as fs from "node:fs/promises"
import { dirname, join } from "node:path"
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
      if (!existsSync(path)) await writeToken(path)
      const token = (await fs.readFile(path, "utf8")).trim()
      if (token === "") throw new Error("it is empty")
      return Redacted.make(token)
    },
    catch: (cause) => new AdminTokenUnreadable({ path, cause })
  })
}

/** Linked only when it is written: of several that start together one makes it, and none reads half of it. */
const writeToken = async (path: string) => {
  await fs.mkdir(dirname(path), { recursive: true, mode: 0o711 })
  const fresh = `${path}.${randomBytes(4).toString("hex")}`
  await fs.writeFile(fresh, `${newToken("admin")}\n`, { flag: "wx", mode: 0o600 })
  await fs.link(fresh, path).catch((error) => {
    if (error.code !== "EEXIST") throw error
  })
  await fs.rm(fresh)
}
