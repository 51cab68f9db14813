/** Light, dark, or as the system has it; and the colours of charts, which a canvas cannot take from a style sheet. */
import { useSyncExternalStore } from "react"
import { SLOTS } from "../charts/Slots.ts"

export type Theme = "system" | "light" | "dark"
const KEY = "nodepulse-theme"
const listeners = new Set<() => void>()
const dark = window.matchMedia("(prefers-color-scheme: dark)")
dark.addEventListener("change", () => {
  for (const listener of listeners) listener()
})

const chosen = (): Theme => {
  const { theme } = document.documentElement.dataset
  return theme === "light" || theme === "dark" ? theme : "system"
}

export const setTheme = (theme: Theme): void => {
  if (theme === "system") delete document.documentElement.dataset.theme
  else document.documentElement.dataset.theme = theme
  try {
    if (theme === "system") localStorage.removeItem(KEY)
    else localStorage.setItem(KEY, theme)
  } catch {
    // A browser that keeps nothing still shows the theme until it is closed.
  }
  colours = undefined
  for (const listener of listeners) listener()
}

const subscribe = (listener: () => void) => {
  listeners.add(listener)
  return () => {
    listeners.delete(listener)
  }
}

export const useTheme = (): Theme => useSyncExternalStore(subscribe, chosen)
const isDark = () => (chosen() === "system" ? dark.matches : chosen() === "dark")
/** What is shown in the end. */
export const useDark = (): boolean => useSyncExternalStore(subscribe, isDark)

export interface Colours {
  readonly ink: string
  readonly muted: string
  readonly line: string
  readonly grid: string
  readonly surface: string
  readonly accent: string
  readonly other: string
  readonly unaccounted: string
  readonly gap: string
  readonly slots: ReadonlyArray<string>
}
let colours: { readonly dark: boolean; readonly value: Colours } | undefined

/** The colours of the theme that is shown, from the style sheet. */
export const coloursOf = (isDarkNow: boolean): Colours => {
  if (colours?.dark === isDarkNow) return colours.value
  const style = getComputedStyle(document.documentElement)
  const read = (name: string) => style.getPropertyValue(`--${name}`).trim()
  const value: Colours = {
    ink: read("ink"),
    muted: read("muted"),
    line: read("line"),
    grid: read("grid"),
    surface: read("surface"),
    accent: read("accent"),
    other: read("other"),
    unaccounted: read("unaccounted"),
    gap: read("gap"),
    slots: Array.from({ length: SLOTS }, (_, n) => read(`slot-${n}`))
  }
  colours = { dark: isDarkNow, value }
  return value
}
