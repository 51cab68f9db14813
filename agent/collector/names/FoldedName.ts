/**
 * Names that stay few: what is another each time becomes `#`. Pure, linear, and of no further effect on its own result.
 *
 * | folded | example |
 * |---|---|
 * | identifiers of 128 bits | `job-6ba7b810-9dad-11d1-80b4-00c04fd430c8` -> `job-#` |
 * | 8 and more hexadecimal digits, one of them a digit | `build-5f3a9c1e` -> `build-#` |
 * | 4 and more digits | `backup-20261130` -> `backup-#` |
 * | names of temporary files | `tmpab3x9k_q.py` -> `tmp#.py` |
 * | a number at the end of a name that a process chose | `worker-17` -> `worker-#`, `Worker 3` -> `Worker #` |
 *
 * Versions are shorter, and stay: `php-fpm8.2`, `app-1.4.2.jar`, `gcc-12`.
 */

/** `chosen`: a process gave itself the name; else it is a file's. */
export const foldedName = (name: string, chosen: boolean): string => {
  const folded = name
    .replace(/[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}/gi, "#")
    .replace(/(?<![\da-z])[\da-f]{8,}(?![\da-z])/gi, (hex) => (/\d/.test(hex) ? "#" : hex))
    .replace(/(?<![a-z\d])tmp[._-]?(?:[a-z\d_]{8}|[A-Za-z\d]{10})(?![A-Za-z\d_])/g, "tmp#")
    .replace(/\d{4,}/g, "#")
  return chosen
    ? folded.replace(/([/:#@ _-])#?\d{1,3}$/, (_, mark: string) => (mark === "#" ? "#" : `${mark}#`))
    : folded
}
