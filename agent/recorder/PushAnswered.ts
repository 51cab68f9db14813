/** What the push tells the recorder of an answer: a reference, so that a push works without one. */
import { Context } from "effect"

export type Answered = (answer: {
  /** Whether rows of this agent were taken; else another one writes with the token. */
  readonly isTaken: boolean
  /** The header with what the server wants, as it came. */
  readonly wants: string | ReadonlyArray<string> | undefined
}) => void

export const PushAnswered = Context.Reference<Answered>("nodepulse/agent/PushAnswered", {
  defaultValue: () => () => {}
})
