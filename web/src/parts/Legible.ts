/**
 * Names that somebody else chose, made legible: characters that cannot be seen or that turn others around, and letters that
 * pretend to be others. Pure.
 */

export const SHOWN_MAX = 200
export const TITLE_MAX = 1_000

/** Signs that the usual fonts of every system have; what has none is shown by its number. */
const SIGNS: Readonly<Record<string, string>> = { " ": "␣", "\n": "↵", "\t": "⇥" }
/**
 * What cannot be seen or turns others around, whatever Unicode calls it: controls (C0 and C1), formats (directions, what has
 * no width, tags), separators of lines, spaces that are not the ordinary one, fillers, halves of pairs, what is private or
 * not assigned; marks beyond a few on one character; and an ordinary space at an end or beside another one.
 */
export const UNSEEN =
  /[\p{Cc}\p{Cf}\p{Cs}\p{Co}\p{Cn}\p{Zl}\p{Zp}\u00a0\u1680\u2000-\u200a\u202f\u205f\u3000]|(?!\ufe0f)\p{Default_Ignorable_Code_Point}|\u2800|(?<=\p{M}{3})\p{M}|^ | $|(?<= ) /gu

/**
 * Letters of Cyrillic, Greek and Armenian that look like one of Latin, whatever the font. A name all of whose letters are
 * among them reads as another one.
 */
const LOOKS_LATIN = "АВЕЅЗІЈКМНОРСТУХЬаеоѕіјрсухһԁԛԝΑΒΕΖΗΙΚΜΝΟΡΤΥΧοναρτυхοՕՏսօոց"
const LATIN = /\p{Script=Latin}/u
/** Alphabets with letters that are taken for Latin ones, and Latin letters in another guise: full width, mathematical. */
const ODD =
  /[\p{Script=Cyrillic}\p{Script=Greek}\p{Script=Armenian}\p{Script=Cherokee}\p{Script=Coptic}\p{Script=Lisu}\p{Script=Deseret}\p{Script=Osage}]|[\uff21-\uff3a\uff41-\uff5a\u{1d400}-\u{1d7ff}]/gu

/** The characters of a name that pretend to be Latin letters, by their places; empty where nothing pretends. */
export const oddOnesOf = (name: string): ReadonlyMap<number, string> => {
  const odd = [...name.matchAll(ODD)]
  if (odd.length === 0) return NONE_ODD
  const pretends =
    LATIN.test(name) ||
    (name.match(/\p{L}/gu) ?? []).every((letter) => LOOKS_LATIN.includes(letter) || /[^\u0000-\uff20]/u.test(letter))
  return pretends ? new Map(odd.map((match) => [match.index, match[0]])) : NONE_ODD
}
const NONE_ODD: ReadonlyMap<number, string> = new Map()

/** "о is U+043E, not Latin", for those who cannot see it. */
const oddText = (odd: ReadonlyMap<number, string>): string =>
  [...new Set(odd.values())]
    .slice(0, 4)
    .map((letter) => `${letter} is U+${(letter.codePointAt(0) ?? 0).toString(16).toUpperCase().padStart(4, "0")}`)
    .join(", ")

export const markOf = (character: string): string => {
  const code = character.codePointAt(0) ?? 0
  return SIGNS[character] ?? `‹${code.toString(16).padStart(4, "0")}›`
}

/** The beginning of a text, without half of a pair at its end. */
export const cutAt = (text: string, max: number): string => {
  const cut = text.slice(0, max)
  return text.length > max && /[\ud800-\udbff]$/.test(cut) ? cut.slice(0, -1) : cut
}

/** The name with marks for what cannot be seen, as plain text; of letters that pretend to be others it says what they are. */
export const legible = (name: string, max = SHOWN_MAX): string => {
  if (name === "") return "(no name)"
  const cut = cutAt(name, max)
  const odd = oddOnesOf(cut)
  const shown = cut.replace(UNSEEN, markOf) + (odd.size === 0 ? "" : ` (look-alike letters: ${oddText(odd)})`)
  return name.length > max ? `${shown}… (${name.length} characters)` : shown
}
