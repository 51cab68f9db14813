/**
 * What every answer tells a browser: nothing of it is a page to be framed, guessed at or told of elsewhere, and it runs nothing.
 * A page says in a policy of its own what it may load, which is never anything inline.
 */

export const POLICY = "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

export const SECURITY_HEADERS = {
  "x-content-type-options": "nosniff",
  "x-frame-options": "DENY",
  "referrer-policy": "no-referrer",
  "cross-origin-opener-policy": "same-origin",
  "cross-origin-resource-policy": "same-origin"
} as const

/** Those of an answer that is no page and not to be kept. */
export const ANSWER_HEADERS = {
  ...SECURITY_HEADERS,
  "content-security-policy": POLICY,
  "cache-control": "no-store"
} as const
