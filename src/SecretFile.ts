/**
 * Reading a file that holds a secret: a token, a password, a private key.
 *
 * Guarantee: what somebody else planted is never used. The file is looked at through the descriptor that it is read from, so
 * that nobody can exchange it in between. It must be a regular file, belong to root or to the user that reads it, and nobody
 * else may be able to write it. A file that NodePulse keeps for itself (`own`) must also be closed to readers, and must not
 * be a link: a link could lead to a file of root's whose content everybody knows.
 *
 * Whoever names a file of his own may link to it, and may let others read it (a container's secrets are both).
 *
 * Bound: `BYTES_MAX`. It never says what is in the file.
 */
import { closeSync, constants, fstatSync, openSync, readSync, type Stats } from "node:fs"
import { Result, Schema } from "effect"

/** A file with a secret cannot be used as it is. Not retryable: somebody has to look. */
export class SecretFileRefused extends Schema.TaggedError<SecretFileRefused>()("SecretFileRefused", {
  path: Schema.String,
  /** The system's code where it cannot be read; undefined where it can, and must not be trusted. */
  code: Schema.UndefinedOr(Schema.String),
  /** The rest of a sentence that begins with the file. */
  reason: Schema.String
}) {
  readonly retryable = false
  override get message(): string {
    return `${this.path}: ${this.reason}`
  }
}

export type FileOwner = number | "any"

export interface SecretFileRules {
  /** Kept by NodePulse itself: no link, and closed to everybody else. */
  readonly own?: boolean
  /** The user that it may belong to beside root; the one that runs this process unless given. `any` where nobody can know. */
  readonly owner?: FileOwner | undefined
}

const BYTES_MAX = 256 * 1024

/** The file's content. It reads at once: a secret is small, and on a disk of this machine. */
export const readSecretFile = (
  path: string,
  { own = false, owner = process.geteuid?.() }: SecretFileRules = {}
): Result.Result<string, SecretFileRefused> => {
  const refuse = (reason: string, code?: string) => Result.fail(new SecretFileRefused({ path, code, reason }))
  let file: number | undefined
  try {
    // A pipe would be waited for: it is opened without, and refused below.
    file = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK | (own ? constants.O_NOFOLLOW : 0))
    const stats = fstatSync(file)
    const reason = distrust(stats, own, owner)
    if (reason !== undefined) return refuse(reason)
    const bytes = Buffer.alloc(stats.size)
    return Result.succeed(bytes.toString("utf8", 0, readSync(file, bytes, 0, bytes.length, 0)))
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code ?? "unknown"
    return code === "ELOOP" && own
      ? refuse(`it is a link, which somebody else may have put there: ${CURE}`)
      : refuse(`it cannot be read (${code})`, code)
  } finally {
    if (file !== undefined) closeSync(file)
  }
}

const CURE = "look at it, and delete it or make it yours"

/** Why the file must not be trusted; undefined where it may. */
const distrust = (stats: Stats, own: boolean, owner: FileOwner | undefined): string | undefined => {
  if (!stats.isFile()) return `it is no regular file: ${CURE}`
  if (stats.size > BYTES_MAX) return `it has ${stats.size} bytes, which no secret has`
  if (typeof owner === "number" && stats.uid !== owner && stats.uid !== 0) {
    return `it belongs to user ${stats.uid}, who is neither root nor the user that reads it (${owner}): ${CURE} (chown ${owner})`
  }
  const mode = (stats.mode & 0o777).toString(8).padStart(3, "0")
  if ((stats.mode & 0o022) !== 0) return `others can write it (mode ${mode}): look at it, then chmod go-w`
  if (own && (stats.mode & 0o077) !== 0)
    return `others can read it (mode ${mode}): delete it to have a new one made, or chmod 600`
  return undefined
}
