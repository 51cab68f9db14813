/** What marking a span or a moment in a chart does, whichever chart it is. */
import { formatWindow, useRange } from "./Range.ts"
import { iso, type Window } from "./Spans.ts"
import { usePlace } from "./Url.ts"

/** In epoch milliseconds, as charts tell them. A moment is what to compare with, where one is being picked for that. */
export const useChoice = () => {
  const { compared, moment } = useRange()
  const { set } = usePlace()
  return {
    onBrush: (span: Window | undefined) =>
      set({ brush: span === undefined ? undefined : formatWindow(span), moment: undefined }),
    onMoment: (time: number) =>
      typeof compared?.against === "number"
        ? set({ against: iso(time) }, true)
        : set({ moment: iso(time), brush: undefined, ...ALONE }, moment !== undefined)
  }
}

/** Compares what came after a moment with as long a time before it. */
export const useBeforeAndAfter = () => {
  const { set } = usePlace()
  return (after: Window) => set({ brush: formatWindow(after), against: "previous", with: undefined, moment: undefined })
}

/** Leaves the comparison. */
export const ALONE = { against: undefined, with: undefined } as const
