/**
 * Keeps secrets out of the names of groups, whatever a configuration puts into them: passwords and tokens become `***`. Pure.
 *
 * What is taken for a secret:
 * - a value in the command line that its option or variable calls one (`--password x`, `token=x`, `-u user:x`,
 *   `mysql -px`, `https://user:x@host`), wherever in the name it stands;
 * - what the name itself says is one: `password=x`, `Bearer x`, keys of known makers (AWS, GitHub, Slack, …), JSON web
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
/** A value this long, or with a digit, is looked for within words, too. */
const VALUE_LENGTH_RARE = 8

/** The name without secrets. `cmdline` is where it may have them from; `known` are texts that hold none. */
export const withoutSecrets = (
  name: string,
  cmdline: ReadonlyArray<string>,
  known: ReadonlyArray<string> = []
): string => {
  const secrets = secretsOf(cmdline).filter((secret) => name.includes(secret))
  // The longest first: one may be a part of another.
  secrets.sort((one, other) => other.length - one.length)
  const bare = secrets.reduce(withoutValue, name)
  return WORDS.reduce(
    (text, [pattern, replace]) =>
      text.replace(pattern, (found: string, ...groups: ReadonlyArray<unknown>) =>
        known.some((one) => one.includes(found)) ? found : replace(found, groups)
      ),
    withoutOptions(bare)
  )
}

/** `--password x` within the name itself. */
const withoutOptions = (name: string): string => {
  // Words and, at every other place, the blanks between them.
  const words = name.split(/(\s+)/)
  return words
    .map((word, at) =>
      at >= 2 && SECRET_OPTION.test(words[at - 2]!) && word !== "" && !NO_SECRET.test(word) ? HIDDEN : word
    )
    .join("")
}

/** A short plain word is hidden where it stands alone: `--auth docker` says nothing of `docker-proxy`. */
const withoutValue = (name: string, secret: string): string => {
  if (secret.length >= VALUE_LENGTH_RARE || /\d/.test(secret)) return name.replaceAll(secret, HIDDEN)
  return name
    .split(secret)
    .reduce(
      (before, after) =>
        (/[\p{L}\d-]$/u.test(before) || /^[\p{L}\d-]/u.test(after) ? before + secret : before + HIDDEN) + after
    )
}

/** What calls its value a secret, whatever stands between them. */
const STRONG =
  "pass(?:word|wd|phrase|code)|secrets?|api[-_.]?keys?|access[-_.]?keys?|secret[-_.]?keys?|private[-_.]?keys?|authorization|credentials?"
const ANY = `${STRONG}|pass|pwd|tokens?|auth|cookie|session[-_.]?id|dsn`

/** An option that names its value a secret: `--db-password`, `-apiKey`. */
const SECRET_OPTION = new RegExp(`^-.{0,64}?(?:^|[-_.]|(?=[A-Z]))(?:${ANY})$`, "is")
/** `password=x`, `-Dspring.datasource.password=x`, `GITHUB_TOKEN=x`, `X-Auth-Token: x`. */
const SECRET_ASSIGNED = new RegExp(
  `^[^=:\\s]{0,64}(?:(?:${ANY})=|(?:${STRONG}|tokens?|cookie):)\\s*(?:(?:bearer|basic)\\s+)?(.+)$`,
  "is"
)
/** What says how, not what. */
const NO_SECRET =
  /^(?:true|false|yes|no|on|off|none|null|default|required|optional|basic|digest|bearer|md5|trust|peer|\*+)$/i

/** The values in a command line that their options call secrets. */
const secretsOf = (cmdline: ReadonlyArray<string>): Array<string> => {
  const found = new Set<string>()
  const program = cmdline[0]?.replace(/^.*\//s, "") ?? ""
  for (const [index, argument] of cmdline.slice(0, ARGUMENTS_MAX).entries()) {
    const next = cmdline[index + 1]
    const assigned = SECRET_ASSIGNED.exec(argument)?.[1]
    if (assigned !== undefined) found.add(assigned)
    else if (next !== undefined && SECRET_OPTION.test(argument)) found.add(next)
    for (const [, userinfo] of argument.matchAll(/:\/\/([^/?#\s@]{1,512})@/g)) {
      found.add(userinfo!)
      const colon = userinfo!.indexOf(":")
      if (colon >= 0) found.add(userinfo!.slice(colon + 1))
    }
    const short = shortSecret(program, argument, next)
    if (short !== undefined) found.add(short)
  }
  return [...found].filter((secret) => secret.length >= VALUE_LENGTH_MIN && !NO_SECRET.test(secret))
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
    new RegExp(`((?:${ANY})["']?\\s?=\\s?|(?:${STRONG})["']?\\s?:\\s?)([^\\s,;&]+)`, "gi"),
    (_, [key, value]) => `${key}${NO_SECRET.test(String(value)) ? value : HIDDEN}`
  ],
  [
    /\b((?:bearer|basic)\s+)([\w.~+/=-]{6,})/gi,
    (found, [key, value]) => (/[\d=]/.test(String(value)) ? `${key}${HIDDEN}` : found)
  ],
  [/\b(?:AKIA|ASIA|AROA|AIDA)[A-Z0-9]{16}\b/g, () => HIDDEN],
  [/\b(?:gh[pousr]_|github_pat_|glpat-|xox[abeoprs]-|npm_|hv[sb]\.|dop_v1_|shpat_)[A-Za-z0-9_.-]{10,}/g, () => HIDDEN],
  [/\b(?:sk|pk|rk)[-_](?:live|test|ant|proj)?[-_]?[A-Za-z0-9_-]{16,}/g, () => HIDDEN],
  [/\bAIza[A-Za-z0-9_-]{30,}/g, () => HIDDEN],
  [/(?<![A-Za-z0-9_-])eyJ[A-Za-z0-9_-]{8,}(?:\.[A-Za-z0-9_-]*){1,4}/g, () => HIDDEN],
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
