/** `nodepulse notify`: who is told of alerts, checked here, and a test of a receiver over the API. */
import { dirname, resolve } from "node:path"
import { Effect, Result } from "effect"
import { Argument, Command, Flag } from "effect/cli"
import { secretIn, urlOf } from "../../alerts/delivery/NotDelivered.ts"
import { type NotifyConfig, type Receiver, type Route, readNotify } from "../../alerts/delivery/NotifyFile.ts"
import { DAYS, type Hours } from "../../alerts/delivery/TimeOfDay.ts"
import { CommandFailed, readTextFile } from "../Input.ts"
import { say, sayAside } from "../Terminal.ts"
import { remote } from "./RemoteApi.ts"

const checkCommand = Command.make(
  "check",
  {
    file: Argument.String("file").pipe(Argument.withDescription("A file of receivers and routes (YAML)")),
    secrets: Flag.Boolean("secrets").pipe(
      Flag.withDescription("Also look whether the files with secrets can be read, as the user that runs this"),
      Flag.withDefault(false)
    )
  },
  Effect.fnUntraced(function* ({ file, secrets }) {
    const config = readNotify(yield* readTextFile(file), dirname(resolve(file)))
    const problems = Result.isFailure(config) ? config.failure : secrets ? secretProblems(config.success) : []
    for (const problem of problems) yield* sayAside(`${file}: ${problem}`)
    if (problems.length > 0 || Result.isFailure(config))
      return yield* new CommandFailed({
        reason: `${problems.length} ${problems.length === 1 ? "problem" : "problems"}`
      })
    for (const { name, way } of config.success.receivers) yield* say(`${name}: ${way.kind}`)
    for (const route of config.success.routes) yield* say(routeText(route))
    if (config.success.routes.at(-1)?.name !== "default")
      yield* say("what no route takes waits for one whose hours come, and is told to nobody else: there is no default")
  })
).pipe(
  Command.withDescription(
    "Say who is told of what, or all that is wrong with it. Needs no server. Exits 1 on a problem."
  )
)

/** What keeps a file with a secret from being used; never what is in it. */
const secretProblems = ({ heartbeat, receivers }: NotifyConfig): ReadonlyArray<string> => {
  const found = receivers.flatMap(({ name, way }) => [
    ...("address" in way ? [Result.map(urlOf(way.address), () => name)] : []),
    ...secretFiles(way).map((path) => Result.map(secretIn(path), () => name))
  ])
  if (heartbeat !== undefined) found.push(Result.map(urlOf(heartbeat.address), () => "heartbeat"))
  return found.flatMap((one) => (Result.isFailure(one) ? [one.failure.message] : []))
}

const secretFiles = (way: Receiver["way"]): ReadonlyArray<string> => {
  const all = [
    way.kind === "webhook" ? way.secretFile : undefined,
    way.kind === "ntfy" ? way.tokenFile : undefined,
    way.kind === "pagerduty" ? way.keyFile : undefined,
    way.kind === "email" ? way.mail.passwordFile : undefined
  ]
  return all.filter((path) => path !== undefined)
}

/** "databases at night: critical on db-*, 18:00-08:00 in Europe/Berlin on sat, sun, to pager; then the routes below". */
const routeText = (route: Route): string => {
  const { continues, group, hours, name, receivers, rule, server, severities } = route
  const what = severities.length === 0 ? "everything" : severities.join(", ")
  const about = [
    rule === "*" ? "" : ` of the rule ${rule}`,
    group === "*" ? "" : ` of ${group}`,
    server === "*" ? "" : ` on ${server}`,
    hours === undefined ? "" : `, ${hoursText(hours)}`
  ]
  const then = continues ? "; then the routes below" : ""
  return `${name}: ${name === "default" ? "all else" : what}${about.join("")}, to ${receivers.join(", ")}${then}`
}

const hoursText = ({ days, from, until, zone }: Hours): string => {
  const named = DAYS.filter((_, day) => days.has(day))
  return `${clock(from)}-${clock(until)} in ${zone}${named.length === DAYS.length ? "" : ` on ${named.join(", ")}`}`
}

const clock = (minutes: number): string =>
  `${String(Math.floor(minutes / 60)).padStart(2, "0")}:${String(minutes % 60).padStart(2, "0")}`

const testCommand = Command.make(
  "test",
  { receiver: Argument.String("receiver").pipe(Argument.withDescription("A receiver, as notify.yml calls it")) },
  Effect.fnUntraced(function* ({ receiver }) {
    const there = yield* remote
    const { error, sent } = yield* there.ask((client) => client.notifications.test({ payload: { receiver } }))
    if (!sent) return yield* new CommandFailed({ reason: `${receiver} was not told: ${error}` })
    yield* say(`${receiver} was told`)
  })
).pipe(
  Command.withDescription(
    "Send a test to a receiver, by the server. It needs an operator's or an admin token. Exits 1 where it does not get there."
  )
)

export const notifyCommand = Command.make("notify").pipe(
  Command.withDescription("Who is told of alerts: check the file, and try a receiver"),
  Command.withSubcommands([checkCommand, testCommand])
)
