/** A rule set that is being edited: what its rules are, which of them a key moves, and what the server says of them. Pure but for the asking. */
import { useEffect, useReducer, useState } from "react"
import { type Answer, AskFailed, ask } from "../ask/Api.ts"

export interface DraftRule {
  /** Its own for as long as it is edited, wherever it stands. */
  readonly key: number
  readonly match: string
  readonly name: string
}

export type Change =
  | { readonly do: "set"; readonly rules: ReadonlyArray<Omit<DraftRule, "key">> }
  | { readonly do: "add"; readonly rule?: Omit<DraftRule, "key"> }
  | { readonly do: "edit"; readonly key: number; readonly match?: string; readonly name?: string }
  | { readonly do: "move"; readonly key: number; readonly by: -1 | 1 }
  | { readonly do: "remove"; readonly key: number }

interface Draft {
  readonly rules: ReadonlyArray<DraftRule>
  readonly next: number
}

const change = ({ next, rules }: Draft, change: Change): Draft => {
  switch (change.do) {
    case "set":
      return { rules: change.rules.map((rule, n) => ({ ...rule, key: next + n })), next: next + change.rules.length }
    case "add":
      return { rules: [...rules, { match: "", name: "", ...change.rule, key: next }], next: next + 1 }
    case "edit":
      return { next, rules: rules.map((rule) => (rule.key === change.key ? { ...rule, ...texts(change) } : rule)) }
    case "remove":
      return { next, rules: rules.filter(({ key }) => key !== change.key) }
    case "move": {
      const from = rules.findIndex(({ key }) => key === change.key)
      const to = from + change.by
      const [one, other] = [rules[from], rules[to]]
      if (one === undefined || other === undefined) return { next, rules }
      return { next, rules: rules.with(from, other).with(to, one) }
    }
  }
}

const texts = ({ match, name }: { readonly match?: string; readonly name?: string }) => ({
  ...(match === undefined ? {} : { match }),
  ...(name === undefined ? {} : { name })
})

export const useDraft = () => useReducer(change, { rules: [], next: 0 })

/** As the server takes them: rules that nothing was written into yet are none. */
export const written = (rules: ReadonlyArray<DraftRule>) =>
  rules.filter(({ match, name }) => match !== "" || name !== "").map(({ match, name }) => ({ match, name }))

export interface Previewed {
  readonly value: Answer<"groupings.preview"> | undefined
  readonly failure: AskFailed | undefined
  readonly busy: boolean
}

/** How long nothing is typed before the server is asked. */
const SETTLED_MILLIS = 400

/** What the rules would do, asked for once typing pauses; the answer before stays until the next one. */
export const usePreview = (rules: ReadonlyArray<DraftRule>, server: string | undefined, off: boolean): Previewed => {
  const [state, setState] = useState<Previewed>({ value: undefined, failure: undefined, busy: !off })
  const asked = JSON.stringify({ rules: written(rules), ...(server === undefined ? {} : { server_id: server }) })
  useEffect(() => {
    if (off) return
    const gone = new AbortController()
    setState((now) => ({ ...now, busy: true }))
    const timer = setTimeout(() => {
      ask("groupings.preview", {}, { body: JSON.parse(asked), signal: gone.signal }).then(
        (value) => !gone.signal.aborted && setState({ value, failure: undefined, busy: false }),
        (error: unknown) => {
          if (gone.signal.aborted) return
          const failure = error instanceof AskFailed ? error : new AskFailed(0, "The preview failed", String(error))
          setState(({ value }) => ({ value, failure, busy: false }))
        }
      )
    }, SETTLED_MILLIS)
    return () => {
      clearTimeout(timer)
      gone.abort()
    }
  }, [asked, off])
  return state
}
