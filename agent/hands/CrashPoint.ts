/** Named moments between an intent and its outcome, at which tests end this program by force. Does nothing elsewhere. */
import { Context } from "effect"

export const CRASH_POINTS = ["judged", "intended", "planned", "waiting", "set", "acted", "concluded"] as const
export type CrashPointName = (typeof CRASH_POINTS)[number]

export const CrashPoint = Context.Reference<(name: CrashPointName) => void>("nodepulse/hands/CrashPoint", {
  defaultValue: () => () => {}
})
