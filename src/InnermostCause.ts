/** What a failure over the network was about, in the words of its innermost cause. Pure. */

/** The innermost cause says most: a refused connection, an unknown name, a certificate. */
export const innermostReason = (error: unknown): string => {
  let inner = error
  while (inner instanceof Error && inner.cause !== undefined) inner = inner.cause
  if (!(inner instanceof Error)) return String(inner)
  const { code, message } = inner as NodeJS.ErrnoException
  return message === "" ? (code ?? inner.name) : message
}
