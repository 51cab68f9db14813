/** Puts a text where the next paste takes it from; resolves to whether that worked. */
export const copyText = async (text: string): Promise<boolean> => {
  try {
    await navigator.clipboard.writeText(text)
    return true
  } catch {
    return copyTheOldWay(text)
  }
}

/** Over plain HTTP from afar a browser has no clipboard for scripts, but copies what is selected. */
const copyTheOldWay = (text: string): boolean => {
  const before = document.activeElement
  const area = document.createElement("textarea")
  area.value = text
  area.className = "visually-hidden"
  area.setAttribute("aria-hidden", "true")
  // Beside a dialog nothing can be selected.
  ;(document.querySelector("dialog[open]") ?? document.body).append(area)
  area.select()
  const worked = document.execCommand("copy")
  area.remove()
  if (before instanceof HTMLElement) before.focus({ preventScroll: true })
  return worked
}
