/** What the page asks of the server, in bytes as they were sent: for tests and benches. */
import type { Page } from "playwright-core"

const RESTED_MILLIS = 300
const WITHIN_MILLIS = 60_000

/**
 * What one refresh brings, headers included, of everything below `/api/`. It is over when all that was asked has come and nothing
 * more is asked. The page goes on refreshing after it.
 */
export const refreshBytes = async (page: Page): Promise<number> => {
  await page.waitForLoadState("networkidle")
  const session = await page.context().newCDPSession(page)
  await session.send("Network.enable")
  const open = new Set<string>()
  let bytes = 0
  session.on("Network.requestWillBeSent", ({ request, requestId }) => {
    if (request.url.includes("/api/")) open.add(requestId)
  })
  session.on("Network.loadingFinished", ({ encodedDataLength, requestId }) => {
    if (open.delete(requestId)) bytes += encodedDataLength
  })
  session.on("Network.loadingFailed", ({ requestId }) => open.delete(requestId))
  // Until everything that is asked has come.
  const rested = async (isDone: () => boolean) => {
    let before = -1
    for (let waited = 0; waited < WITHIN_MILLIS; waited += RESTED_MILLIS) {
      await page.waitForTimeout(RESTED_MILLIS)
      if (isDone() && bytes === before && open.size === 0) break
      before = bytes
    }
  }
  // A panel that is open may lie over the button.
  const pause = page.getByRole("button", { name: "Pause the refresh" })
  const goOn = page.getByRole("button", { name: "Refresh is paused: go on" })
  // A refresh that was under way is not counted. Going on refreshes at once, and the pause after it keeps the next one away; it must not
  // come before the page has asked, or a slow one never does.
  await pause.dispatchEvent("click")
  await rested(() => true)
  bytes = 0
  const asks = page.waitForRequest(/\/api\//)
  await goOn.dispatchEvent("click")
  await asks
  await pause.dispatchEvent("click")
  await rested(() => bytes > 0)
  await session.detach()
  await goOn.dispatchEvent("click")
  return bytes
}
