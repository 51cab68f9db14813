/**
 * The arguments of a process, from the bytes of `/proc/PID/cmdline`. Pure.
 *
 * They are parted by NUL, and end in any number of them; what is not UTF-8 becomes U+FFFD, byte by byte, so that a regular
 * expression counts characters as Go does. Bound: {@link COMMAND_LINE_BYTES}, the rest is not looked at: the class path of
 * a large Java program is shorter.
 */

export const COMMAND_LINE_BYTES = 64 * 1024

export const argumentsOf = (bytes: Buffer): ReadonlyArray<string> => {
  if (bytes.length === 0) return []
  let end = bytes.length
  while (end > 0 && bytes[end - 1] === 0) end--
  return decoded(bytes.subarray(0, end)).split("\0")
}

const decoded = (bytes: Buffer): string => {
  const text = bytes.toString("utf8")
  // Whether all of it was UTF-8: only then does it come back as it was.
  if (!text.includes("\ufffd") || Buffer.from(text, "utf8").equals(bytes)) return text
  let replaced = ""
  for (let at = 0; at < bytes.length; ) {
    const length = characterLength(bytes, at)
    replaced += length === 0 ? "\ufffd" : bytes.toString("utf8", at, at + length)
    at += Math.max(length, 1)
  }
  return replaced
}

/** Bytes of the character that begins there; 0 where none does. */
const characterLength = (bytes: Buffer, at: number): number => {
  const first = bytes[at]!
  const length =
    first < 0x80
      ? 1
      : first >= 0xc2 && first < 0xe0
        ? 2
        : first >= 0xe0 && first < 0xf0
          ? 3
          : first >= 0xf0 && first < 0xf5
            ? 4
            : 0
  if (length === 0 || at + length > bytes.length) return 0
  const character = bytes.toString("utf8", at, at + length)
  return Buffer.from(character, "utf8").equals(bytes.subarray(at, at + length)) ? length : 0
}
