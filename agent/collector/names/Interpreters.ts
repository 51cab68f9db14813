/**
 * Interpreters, and how each takes the program that it runs: a script, a module, a jar or a class. Pure.
 *
 * Guarantee: nothing but the argument in the program's place is ever named. Options that take a value are known with it, code
 * (`-e`, `-c`) makes a process anonymous, and what does not look like a program's name is none. So a secret that follows
 * an option is not taken for a script. Bound: {@link ARGUMENTS_MAX} arguments are looked at.
 */

const ARGUMENTS_MAX = 1_024

/** What an interpreter's options are. Letters stand together in an argument (`-um`), unless `words` says otherwise. */
interface Options {
  /** Letters with a value: the rest of the argument, or the next one. */
  readonly valued?: string
  /** Letters whose value is always the next argument, as in shells. */
  readonly next?: string
  /** Letters that take all of the rest of their argument, and never the next. */
  readonly rest?: string
  /** Letters followed by digits, and then by more letters. */
  readonly digits?: string
  /** Letters that give code, or say that it comes from elsewhere: the program has no name. */
  readonly code?: string
  /** Letters whose value is the program. */
  readonly program?: string
  /** Whole options, with their dashes, that take the next argument where no `=` follows. */
  readonly long?: ReadonlyArray<string>
  readonly longCode?: ReadonlyArray<string>
  readonly longProgram?: ReadonlyArray<string>
  /**
   * Whole options that surely take nothing. Where it is given, a word after any other option that is not known here may be its value:
   * it is the program only where it is called as programs are, by `files`.
   */
  readonly flags?: RegExp
  readonly files?: RegExp
  /** Whether an option of one dash is a word (`-jar`), and letters never stand together. */
  readonly words?: boolean
  /** Words before the program. */
  readonly commands?: ReadonlyArray<string>
  /** Whether a program that is no file is the last part of a class's name. */
  readonly classes?: boolean
}

interface Interpreter {
  /** What it is called, with its version or without. */
  readonly pattern: RegExp
  /** What it is shown as; absent: what the pattern's group captured. */
  readonly name?: string
  readonly options: Options
}

const longs = (text: string): ReadonlyArray<string> => text.split(" ").map((name) => `--${name}`)

const NODE: Options = {
  valued: "rC",
  code: "ep",
  commands: ["inspect"],
  longCode: longs("eval print"),
  longProgram: longs("run"),
  flags:
    /^--(?:(?:no|abort|enable|expose|force|frozen|harmony|insecure|inspect|pending|preserve|throw|tls-m(?:ax|in)|trace|use|watch-preserve)[-_].*|inspect|permission|prof|test|watch)$/,
  files: /\.[cm]?[jt]sx?$/,
  long: longs(
    "require import loader experimental-loader conditions env-file env-file-if-exists title icu-data-dir openssl-config redirect-warnings trace-event-categories trace-event-file-pattern unhandled-rejections diagnostic-dir heapsnapshot-signal heapsnapshot-near-heap-limit dns-result-order disable-warning disable-proto input-type experimental-default-type inspect-port debug-port inspect-publish-uid tls-cipher-list tls-keylog use-largepages watch-path watch-kill-signal test-name-pattern test-skip-pattern test-reporter test-reporter-destination test-concurrency test-timeout test-shard test-isolation test-global-setup test-coverage-include test-coverage-exclude test-coverage-branches test-coverage-functions test-coverage-lines cpu-prof-dir cpu-prof-name cpu-prof-interval heap-prof-dir heap-prof-name heap-prof-interval report-dir report-directory report-filename report-signal max-http-header-size secure-heap secure-heap-min v8-pool-size network-family-autoselection-attempt-timeout policy-integrity experimental-policy snapshot-blob build-snapshot-config experimental-config-file experimental-package-map experimental-test-tag-filter experimental-test-isolation max-old-space-size-percentage test-random-seed test-rerun-failures localstorage-file allow-fs-read allow-fs-write experimental-sea-config security-revert es-module-specifier-resolution experimental-specifier-resolution trace-require-module"
  )
}

const DENO: Options = {
  valued: "cL",
  code: "p",
  commands: ["run", "serve", "test", "bench", "task", "x"],
  longCode: longs("eval print"),
  long: longs(
    "config import-map log-level location seed cert lock host port v8-flags filter conditions preload require cwd"
  )
}

const BUN: Options = {
  valued: "rcd",
  code: "ep",
  // What follows `exec` is a shell's line: it is itself the name.
  commands: ["run", "x", "test"],
  longCode: longs("eval print"),
  long: longs(
    "preload require import cwd config env-file define loader port conditions filter elide-lines title tsconfig-override"
  )
}

const SHELL: Options = {
  next: "oO",
  // Of fish, `-C` is code as well.
  code: "csC",
  longCode: longs("command init-command"),
  long: longs("rcfile init-file emulate")
}

const JAVA: Options = {
  words: true,
  classes: true,
  longProgram: ["-jar", "-m", "--module"],
  long: [
    "-cp",
    "-classpath",
    "-p",
    "-d",
    ...longs(
      "class-path module-path upgrade-module-path add-modules limit-modules add-exports add-opens add-reads patch-module source describe-module enable-native-access illegal-native-access finalization"
    )
  ]
}

const INTERPRETERS: ReadonlyArray<Interpreter> = [
  { pattern: /^(?:node|nodejs)[\d.]*$/, name: "node", options: NODE },
  { pattern: /^(deno)$/, options: DENO },
  { pattern: /^(bun)$/, options: BUN },
  {
    pattern: /^((?:python|pypy)[23]?)(?:\.[\d.]+[a-z]*|-dbg)?$/,
    options: { valued: "WXQ", code: "c", program: "m", long: longs("check-hash-based-pycs") }
  },
  { pattern: /^(java)$/, options: JAVA },
  { pattern: /^(perl)[\d.]*$/, options: { valued: "I", code: "eE", rest: "MmCDFixVd", digits: "0l" } },
  {
    pattern: /^(j?ruby)[\d.]*$/,
    options: {
      valued: "ICErx",
      code: "e",
      rest: "FKiWT",
      digits: "0",
      long: longs("encoding external-encoding internal-encoding enable disable dump parser")
    }
  },
  {
    pattern: /^(php)[\d.]*$/,
    options: {
      valued: "cdztS",
      code: "rBRE",
      program: "fF",
      long: longs(
        "php-ini define zend-extension server docroot rf rc re rz ri rfunction rclass rextension rzendextension rini"
      ),
      // What follows `--` is handed to a script from standard input.
      longCode: ["--", ...longs("run process-begin process-code process-end")],
      longProgram: longs("file process-file")
    }
  },
  { pattern: /^(r?bash|sh|dash|zsh|ksh|mksh|ash|fish)[\d.]*$/, options: SHELL },
  {
    pattern: /^(dotnet)$/,
    options: {
      words: true,
      commands: ["exec"],
      long: longs("depsfile runtimeconfig additionalprobingpath fx-version roll-forward additional-deps")
    }
  },
  { pattern: /^(lua|luajit)[\d.-]*$/, options: { valued: "l", code: "e" } },
  { pattern: /^(Rscript)$/, options: { code: "e" } },
  {
    pattern: /^(R)$/,
    options: {
      code: "e",
      rest: "g",
      program: "f",
      long: longs("gui encoding max-ppsize"),
      longProgram: longs("file"),
      // Arguments of a script from standard input.
      longCode: longs("args"),
      commands: []
    }
  },
  { pattern: /^(tclsh|wish)[\d.]*$/, options: { long: longs("encoding") } },
  { pattern: /^(expect)$/, options: { code: "c", program: "f" } }
]

/** An interpreter as a process runs it. */
export interface Running {
  /** How it is called, without its version. */
  readonly name: string
  /** Whether its commands are people's own: what it runs says little of where it runs. */
  readonly shell: boolean
  /** What it runs, as the arguments name it; undefined: code, standard input, or nothing that has a name. */
  readonly program: string | undefined
}

/** The interpreter of that name, such as `python3.11`; undefined where it is none. */
export const interpreterName = (base: string): string | undefined => found(base)?.name

/** What the interpreter runs with these arguments, the first of which is its own name. */
export const runningOf = (base: string, args: ReadonlyArray<string>): Running | undefined => {
  const one = found(base)
  if (one === undefined) return undefined
  const { options } = one.interpreter
  return { name: one.name, shell: options === SHELL, program: programOf(args.slice(1, ARGUMENTS_MAX), options) }
}

const found = (base: string) => {
  for (const interpreter of INTERPRETERS) {
    const match = interpreter.pattern.exec(base)
    if (match !== null) return { interpreter, name: interpreter.name ?? match[1]! }
  }
  return undefined
}

// -- the program's place

const programOf = (args: ReadonlyArray<string>, options: Options): string | undefined => {
  let commands = options.commands ?? []
  // Whether what follows may be the value of an option that is not known.
  let isDoubtful = false
  for (let at = 0; at < args.length; at++) {
    const arg = args[at]!
    if (arg === "--") {
      return options.longCode?.includes(arg) ? undefined : programName(args[at + 1], false, options)
    }
    if (/^[-+]./s.test(arg)) {
      const taken = optionOf(arg, args[at + 1], options)
      if (taken === "code") return undefined
      if (typeof taken === "object") return programName(taken.program, taken.module, options)
      if (taken === "next") at++
      isDoubtful = taken === "alone" && isUnknown(arg, options)
    } else if (isDoubtful && options.files?.test(arg) === false) return undefined
    else if (commands.includes(arg)) commands = []
    // An argument file of Java: what it holds is not looked at.
    else if (!(options.classes === true && arg.startsWith("@")))
      return programName(arg, options.classes === true, options)
  }
  return undefined
}

const isUnknown = (arg: string, { flags }: Options): boolean =>
  flags !== undefined && arg.startsWith("--") && !arg.includes("=") && !flags.test(arg)

type Taken = "code" | "next" | "alone" | { readonly program: string | undefined; readonly module: boolean }

const optionOf = (arg: string, next: string | undefined, options: Options): Taken => {
  if (arg.startsWith("--") || options.words === true) {
    const equals = arg.indexOf("=")
    const name = equals < 0 ? arg : arg.slice(0, equals)
    if (options.longCode?.includes(name)) return "code"
    if (options.longProgram?.includes(name)) {
      return { program: equals < 0 ? next : arg.slice(equals + 1), module: options.classes === true && name !== "-jar" }
    }
    return equals < 0 && options.long?.includes(name) ? "next" : "alone"
  }
  const { code = "", digits = "", next: always = "", program = "", rest = "", valued = "" } = options
  let takesNext = false
  for (let at = 1; at < arg.length; at++) {
    const letter = arg[at]!
    if (code.includes(letter)) return "code"
    if (always.includes(letter)) takesNext = true
    if (rest.includes(letter)) break
    if (program.includes(letter)) {
      const attached = arg.slice(at + 1)
      return { program: attached === "" ? next : attached, module: letter === "m" }
    }
    if (valued.includes(letter)) return at + 1 === arg.length ? "next" : "alone"
    if (digits.includes(letter)) while (/\d/.test(arg[at + 1] ?? "")) at++
  }
  return takesNext ? "next" : "alone"
}

/** What a program may be called: anything else stays unnamed. */
const NAME = /^[\p{L}\p{N}_.@+~-][\p{L}\p{N}_.@+~:-]{0,63}$/u

const programName = (program: string | undefined, module: boolean, { classes }: Options): string | undefined => {
  // A descriptor or standard input is a file, too, and says nothing.
  if (program === undefined || program === "" || program === "-" || /^\/(?:dev|proc)\//.test(program)) return undefined
  const name = module ? moduleName(program, classes === true) : fileName(program)
  return NAME.test(name) && !/^[.~-]+$/.test(name) ? name : undefined
}

/** `http.server` in whole; of a class the last part, also of one in a module (`shop/com.acme.Main`). */
const moduleName = (name: string, classes: boolean): string => {
  if (!classes) return name
  const inner = name.slice(name.lastIndexOf("/") + 1)
  return /\.(java|jar|class)$/.test(inner) ? inner : inner.slice(inner.lastIndexOf(".") + 1)
}

const fileName = (path: string): string => {
  const plain = path.includes("://") ? path.replace(/[?#].*$/s, "") : path
  const parts = plain.split("/").filter((part) => part !== "")
  const last = parts.at(-1) ?? ""
  return last === "__main__.py" ? (parts.at(-2) ?? last) : last
}
