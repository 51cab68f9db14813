/** What the server says of a rule while it is edited: its sentence or what is wrong, and when it would have fired. */
import { useEffect, useState } from "react"
import { type Answer, AskFailed, ask } from "../ask/Api.ts"

/** Typing rests for so long before it is asked. */
const REST_CHECK = 250
const REST_TRY = 700
const HOURS = 7 * 24

export interface Said<A> {
  readonly value: A | undefined
  readonly failure: AskFailed | undefined
  /** Whether what is shown is of an earlier text. */
  readonly busy: boolean
}

/** Asks about a text once it has rested; what was known stays meanwhile. Undefined asks nothing. */
const useSaid = <R extends "rules.check" | "rules.backtest">(
  route: R,
  text: string | undefined,
  rest: number,
  again: number
): Said<Answer<R>> => {
  const [state, setState] = useState<Said<Answer<R>>>({ value: undefined, failure: undefined, busy: false })
  // biome-ignore lint/correctness/useExhaustiveDependencies: `again` asks again.
  useEffect(() => {
    if (text === undefined) {
      setState((now) => ({ ...now, busy: false }))
      return
    }
    setState((now) => ({ ...now, busy: true }))
    const stop = new AbortController()
    const timer = setTimeout(() => {
      const query = route === "rules.backtest" ? { hours: HOURS } : {}
      ask(route, query, { body: { text }, signal: stop.signal }).then(
        (value) => setState({ value, failure: undefined, busy: false }),
        (error: unknown) => {
          if (stop.signal.aborted) return
          const failure =
            error instanceof AskFailed ? error : new AskFailed(0, "The answer cannot be read", String(error))
          setState((now) => ({ ...now, failure, busy: false }))
        }
      )
    }, rest)
    return () => {
      clearTimeout(timer)
      stop.abort()
    }
  }, [route, text, rest, again])
  return state
}

export const useCheck = (text: string | undefined): Said<Answer<"rules.check">> =>
  useSaid("rules.check", text, REST_CHECK, 0)

/** The last seven days. `again` asks once more. */
export const useBacktest = (text: string | undefined, again: number): Said<Answer<"rules.backtest">> =>
  useSaid("rules.backtest", text, REST_TRY, again)
