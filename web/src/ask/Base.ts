/** Where the page is served, and how a text is written into an address. Tests load it without a browser. */

interface Page {
  readonly documentElement: { readonly dataset: Readonly<Record<string, string | undefined>> }
}
const { document: page } = globalThis as { readonly document?: Page }

/** The path that the page is served below, as the server wrote it into the page: empty at the root. */
export const BASE: string = page?.documentElement.dataset.base ?? ""

/** A text as a part of an address. Half of a surrogate pair, which has no encoding, becomes a replacement character. */
export const encoded = (text: string): string => encodeURIComponent(text.toWellFormed())
