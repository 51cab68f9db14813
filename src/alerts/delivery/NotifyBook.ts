/**
 * Who is told of alerts now: the file `notify.yml`, read again when it changes, as a port.
 *
 * Guarantee: a file that cannot be read, or holds a problem, takes nothing away: what it said before stays in force, and the log
 * says once what is wrong. One that is not there says that nobody is told.
 */
import { readFile, stat } from "node:fs/promises"
import { dirname } from "node:path"
import { Context, Effect, Layer, Result } from "effect"
import { stampOf } from "../../FileStamp.ts"
import { NOTIFY_BYTES_MAX, type NotifyConfig, readNotify } from "./NotifyFile.ts"

export interface NotifyState {
  /** Undefined: nobody is told. */
  readonly config: NotifyConfig | undefined
  /** What is wrong with the file as it is now, a sentence each. */
  readonly problems: ReadonlyArray<string>
}

export class NotifyBook extends Context.Service<NotifyBook, { readonly state: Effect.Effect<NotifyState> }>()(
  "nodepulse/alerts/NotifyBook"
) {
  /** A file, which need not be there unless it `isExpected`. */
  static readonly layerFile = (path: string, isExpected: boolean): Layer.Layer<NotifyBook> =>
    Layer.sync(NotifyBook, () => {
      let stamp = ""
      let state: NotifyState = { config: undefined, problems: [] }
      let told = ""

      const read = async (): Promise<NotifyState> => {
        try {
          const found = await stat(path)
          if (stamp === stampOf(found)) return state
          if (found.size > NOTIFY_BYTES_MAX) throw new Error(`it is larger than ${NOTIFY_BYTES_MAX} bytes`)
          const config = readNotify(await readFile(path, "utf8"), dirname(path))
          stamp = stampOf(found)
          if (Result.isSuccess(config)) return { config: config.success, problems: [] }
          return { ...state, problems: config.failure.map((problem) => `${path}: ${problem}`) }
        } catch (error) {
          stamp = ""
          const isMissing = (error as NodeJS.ErrnoException).code === "ENOENT"
          if (isMissing && !isExpected) return { config: undefined, problems: [] }
          return { ...state, problems: [`${path} cannot be read: ${(error as Error).message}`] }
        }
      }

      return NotifyBook.of({
        state: Effect.gen(function* () {
          state = yield* Effect.promise(read)
          const all = state.problems.join("\n")
          if (all !== told) for (const problem of state.problems) yield* Effect.logWarning(`notify: ${problem}`)
          told = all
          return state
        })
      })
    })
}
