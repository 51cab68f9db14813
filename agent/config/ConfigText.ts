/**
 * The text of a configuration's file. What is larger than it may be is not read to its end, nor is a pipe waited for.
 */
import { constants } from "node:fs"
import * as Fs from "node:fs/promises"
import { Effect, Result } from "effect"

/** The file's first `bytesMax` bytes and one more, by which a longer one shows; or the code of what went wrong. */
export const readConfigText = (
  path: string,
  bytesMax: number
): Effect.Effect<Result.Result<string, { readonly code: string }>> =>
  Effect.promise(() =>
    readUpTo(path, bytesMax + 1).then(
      (text) => Result.succeed(text),
      (cause: NodeJS.ErrnoException) => Result.fail({ code: cause.code ?? cause.message })
    )
  )

const readUpTo = async (path: string, bytesMax: number): Promise<string> => {
  const handle = await Fs.open(path, constants.O_RDONLY | constants.O_NONBLOCK)
  try {
    const bytes = Buffer.alloc(bytesMax)
    let length = 0
    while (length < bytesMax) {
      const { bytesRead } = await handle.read(bytes, length, bytesMax - length, null)
      if (bytesRead === 0) break
      length += bytesRead
    }
    return bytes.toString("utf8", 0, length)
  } finally {
    await handle.close()
  }
}
