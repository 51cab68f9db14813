/** What the page asks of the server, in bytes as they were sent: for tests and benches. */
import type { Page } from "playwright-core"

const RESTED_MILLIS = 300
const WITHIN_MILLIS = 60_000

/**
 * What a refresh brings, headers included, of everything below `/api/`. It is over when all that was asked has come and nothing
 * more is asked.
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
  // Going on from a pause refreshes at once. A panel that is open may lie over the button.
  await page.getByRole("button", { name: "Pause the refresh" }).dispatchEvent("click")
  await page.getByRole("button", { name: "Refresh is paused: go on" }).dispatchEvent("click")
  let before = 0
  for (let waited = 0; waited < WITHIN_MILLIS; waited += RESTED_MILLIS) {
    await page.waitForTimeout(RESTED_MILLIS)
    if (bytes > 0 && bytes === before && open.size === 0) break
    before = bytes
  }
  await session.detach()
  return bytes
}
