/** Addresses as they may be shown, in a log, a state or a document: without user and password. */

/** An address of the configuration. What is no address stays as it is. */
export const redactedUrl = (address: string): string => {
  if (!URL.canParse(address)) return address
  const url = new URL(address)
  if (url.username === "" && url.password === "") return address
  url.username = ""
  url.password = ""
  return url.href
}

/** Where a redirect leads: another program's text, so it may be no address at all. */
export const redactedLocation = (location: string): string =>
  location.slice(0, LOCATION_LENGTH_MAX).replace(/^([a-z][a-z0-9+.-]*:)?\/\/[^/?#]*@/i, "$1//")

const LOCATION_LENGTH_MAX = 200
