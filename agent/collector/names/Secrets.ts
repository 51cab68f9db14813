/**
 * Keeps secrets out of the names of groups, whatever a configuration puts into them: passwords and tokens become `***`. Pure.
 *
 * What is taken for a secret:
 * - a value in the command line that its option or variable calls one (`--password x`, `token=x`, `-u user:x`,
 *   `mysql -px`, `https://user:x@host`), wherever in the name it stands;
 * - a word that stands for one itself: `password=x`, `Bearer x`, keys of known makers (AWS, GitHub, Slack, …), JSON web
 *   tokens, 32 and more hexadecimal digits, long words that mix capitals, small letters and digits.
 *
 * Identifiers of containers are no secrets: `known` texts (the process's control groups) stay as they are. It is a net
 * below the rules that people write, not a promise about every secret there may be.
 * Linear in the texts; bound: {@link ARGUMENTS_MAX} arguments are looked at.
 */

const HIDDEN = "***"
const ARGUMENTS_MAX = 4_096
/** A shorter value is too common a text to be looked for. */
const VALUE_LENGTH_MIN = 3

/** The name without secrets. `cmdline` is where it may have them from; `known` are texts that hold none. */
export const withoutSecrets = (
  name: string,
  cmdline: ReadonlyArray<string>,
  known: ReadonlyArray<string> = []
): string => {
  const secrets = secretsOf(cmdline).filter((secret) => name.includes(secret))
  // The longest first: one may be a part of another.
  secrets.sort((one, other) => other.length - one.length)
  const bare = secrets.reduce((text, secret) => text.replaceAll(secret, HIDDEN), name)
  return WORDS.reduce(
    (text, [pattern, replace]) =>
      text.replace(pattern, (found: string, ...groups: ReadonlyArray<unknown>) =>
        known.some((one) => one.includes(found)) ? found : replace(found, groups)
      ),
    bare
  )
}

const WORD_OF_SECRET =
  "pass(?:word|wd|phrase|code)?|pwd|secrets?|token|api[-_.]?keys?|access[-_.]?keys?|secret[-_.]?keys?|private[-_.]?keys?|auth(?:orization)?|credentials?|cookie|session[-_.]?id|dsn|bearer"

/** An option or a variable that names its value a secret: `--db-password`, `GITHUB_TOKEN`, `-Dspring.datasource.password`. */
const SECRET_KEY = new RegExp(`(?:^|[-_.\\/]|[a-z](?=[A-Z]))(?:${WORD_OF_SECRET})$`, "i")
const SECRET_ASSIGNED = new RegExp(`^[^=\\s]{0,64}(?:${WORD_OF_SECRET})[=:](.+)$`, "is")

/** The values in a command line that their options call secrets. */
const secretsOf = (cmdline: ReadonlyArray<string>): Array<string> => {
  const found = new Set<string>()
  const program = cmdline[0]?.replace(/^.*\//s, "") ?? ""
  for (const [index, argument] of cmdline.slice(0, ARGUMENTS_MAX).entries()) {
    const next = cmdline[index + 1]
    const assigned = SECRET_ASSIGNED.exec(argument)?.[1]
    if (assigned !== undefined) found.add(assigned)
    else if (next !== undefined && argument.startsWith("-") && SECRET_KEY.test(argument)) found.add(next)
    for (const [, userinfo] of argument.matchAll(/:\/\/([^/?#\s@]{1,512})@/g)) {
      found.add(userinfo!)
      const colon = userinfo!.indexOf(":")
      if (colon >= 0) found.add(userinfo!.slice(colon + 1))
    }
    const short = shortSecret(program, argument, next)
    if (short !== undefined) found.add(short)
  }
  return [...found].filter((secret) => secret.length >= VALUE_LENGTH_MIN)
}

/** Programs whose one-letter option takes a password. */
const shortSecret = (program: string, argument: string, next: string | undefined): string | undefined => {
  if (/^(mysql|mariadb)/.test(program) && /^-p./s.test(argument)) return argument.slice(2)
  if (program === "sshpass" && /^-p/.test(argument)) return argument === "-p" ? next : argument.slice(2)
  if (program === "redis-cli" && argument === "-a") return next
  if (/^(curl|wget)$/.test(program) && /^(-u|--user)$/.test(argument)) return next?.split(":").slice(1).join(":")
  return undefined
}

type Replace = (found: string, groups: ReadonlyArray<unknown>) => string

/** What is a secret by its own looks. */
const WORDS: ReadonlyArray<readonly [pattern: RegExp, replace: Replace]> = [
  [/:\/\/[^/?#\s@]{1,512}@/g, () => `://${HIDDEN}@`],
  [
    new RegExp(`((?:${WORD_OF_SECRET})["']?(?:\\s?[=:]\\s?|\\s))([^\\s,;&]+)`, "gi"),
    (found, [key]) => (found.endsWith(HIDDEN) ? found : `${key}${HIDDEN}`)
  ],
  [/\b(?:AKIA|ASIA|AROA|AIDA)[A-Z0-9]{16}\b/g, () => HIDDEN],
  [/\b(?:gh[pousr]_|github_pat_|glpat-|xox[abeoprs]-|npm_|hv[sb]\.|dop_v1_|shpat_)[A-Za-z0-9_.-]{10,}/g, () => HIDDEN],
  [/\b(?:sk|pk|rk)[-_](?:live|test|ant|proj)?[-_]?[A-Za-z0-9_-]{16,}/g, () => HIDDEN],
  [/\bAIza[A-Za-z0-9_-]{30,}/g, () => HIDDEN],
  [/\beyJ[A-Za-z0-9_-]{8,}(?:\.[A-Za-z0-9_-]*){1,4}/g, () => HIDDEN],
  [/-----BEGIN [A-Z ]{0,40}-----[^-]*(?:-----END [A-Z ]{0,40}-----)?/g, () => HIDDEN],
  [/(?<![A-Za-z0-9])[0-9a-fA-F]{32,}(?![A-Za-z0-9])/g, () => HIDDEN],
  // 40 characters with slashes are how AWS writes a secret key; a path begins with one.
  [
    /(?<![A-Za-z0-9/+=])[A-Za-z0-9+][A-Za-z0-9/+]{39}(?![A-Za-z0-9/+=])/g,
    (found) => (isMixed(found, 1) ? HIDDEN : found)
  ],
  [/(?<![A-Za-z0-9+_-])[A-Za-z0-9+_-]{24,}={0,2}/g, (found) => (isMixed(found, 3) ? HIDDEN : found)]
]

/** Whether a word mixes capitals, small letters and that many digits, as what is drawn by chance does. */
const isMixed = (word: string, digits: number): boolean =>
  /[a-z]/.test(word) && /[A-Z]/.test(word) && (word.match(/\d/g) ?? []).length >= digits
