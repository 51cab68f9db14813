/** Where Chromium is on this machine, and how it is started for tests and pictures: without a network of its own. */
import { existsSync } from "node:fs"
import { delimiter, join } from "node:path"

// Without windows first: a page of it takes a third of the processor time, and the engine is the same.
const NAMES = ["chromium-headless-shell", "chromium", "chromium-browser", "google-chrome-stable", "google-chrome"]

/** The first Chromium on the PATH, or the one that NODEPULSE_CHROMIUM names; undefined where there is none. */
export const findChromium = (): string | undefined => {
  const named = process.env.NODEPULSE_CHROMIUM
  if (named !== undefined && existsSync(named)) return named
  for (const folder of (process.env.PATH ?? "").split(delimiter)) {
    for (const name of NAMES) {
      const path = join(folder, name)
      if (folder !== "" && existsSync(path)) return path
    }
  }
  return undefined
}

export const launchOptions = (executablePath: string) => ({
  executablePath,
  headless: true,
  args: [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--font-render-hinting=none"
  ]
})
