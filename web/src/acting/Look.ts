/**
 * Asks a host what would happen, and waits for what it says. Once when it is opened, and again when somebody asks; never by itself.
 *
 * Bounds: no longer than the server keeps a question open, which is a minute, at most once in {@link WAIT_MAX} ms in the end.
 */
import { useEffect, useState } from "react"
import { type Answer, AskFailed, ask } from "../ask/Api.ts"

export type Looked = Answer<"acting.previewed">

const WAIT_FIRST = 250
const WAIT_MAX = 2_000
const SERVER_MILLIS = 75_000

export const useLook = (
  server: string,
  target: Looked["target"],
  off: boolean
): { readonly looked: Looked | undefined; readonly failure: AskFailed | undefined; readonly again: () => void } => {
  const [round, setRound] = useState(0)
  const [state, setState] = useState<{ readonly looked?: Looked; readonly failure?: AskFailed }>({})
  const key = JSON.stringify(target)
  // biome-ignore lint/correctness/useExhaustiveDependencies: `round` asks again; the target is told by its text.
  useEffect(() => {
    if (off) return
    const stop = new AbortController()
    setState({})
    void look(server, JSON.parse(key) as Looked["target"], stop.signal, (looked) => setState({ looked })).catch(
      (error: unknown) => {
        if (stop.signal.aborted) return
        const failure = error instanceof AskFailed ? error : new AskFailed(0, "The host cannot be asked", String(error))
        setState({ failure })
      }
    )
    return () => stop.abort()
  }, [server, key, off, round])
  return { looked: state.looked, failure: state.failure, again: () => setRound((count) => count + 1) }
}

const look = async (
  server: string,
  target: Looked["target"],
  signal: AbortSignal,
  told: (looked: Looked) => void
): Promise<void> => {
  const began = performance.now()
  let looked: Looked = await ask("acting.preview", { id: server }, { body: { target }, signal })
  told(looked)
  for (let wait = WAIT_FIRST; ; wait = Math.min(WAIT_MAX, wait * 1.3)) {
    await pause(wait, signal)
    if (performance.now() - began > SERVER_MILLIS) throw new AskFailed(0, "The host does not answer", "")
    looked = await ask("acting.previewed", { id: looked.preview_id }, { signal })
    told(looked)
    if (looked.state === "answered" || looked.state === "expired") return
  }
}

const pause = (millis: number, signal: AbortSignal): Promise<void> =>
  new Promise((resolve, reject) => {
    const timer = setTimeout(resolve, millis)
    signal.addEventListener("abort", () => {
      clearTimeout(timer)
      reject(signal.reason)
    })
  })
