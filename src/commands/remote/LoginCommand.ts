/** `nodepulse login` and `logout`: which server the commands ask, and with which token. */
import { Effect, Redacted } from "effect"
import { Argument, Command } from "effect/cli"
import { CommandFailed, readSecret } from "../Input.ts"
import { say, sayAside } from "../Terminal.ts"
import { connect } from "./RemoteApi.ts"
import { addressOf, forget, save, travelsOpenly } from "./SignIn.ts"

export const loginCommand = Command.make(
  "login",
  {
    address: Argument.String("address").pipe(
      Argument.withDescription("Where the server is, such as https://pulse.example")
    )
  },
  Effect.fnUntraced(function* ({ address }) {
    const url = yield* addressOf(address)
    if (travelsOpenly(url)) yield* sayAside(`${url} is not encrypted: whoever listens on the way can read the token`)
    const token = yield* tokenFrom
    const who = { url, token }
    const { kind } = yield* (yield* connect(who)).ask((client) => client.session.whoAmI())
    const file = yield* save(who)
    yield* say(`signed in to ${url} (${CALLED[kind]}), saved in ${file}`)
  })
).pipe(
  Command.withDescription(
    "Sign in to a server with a read or admin token, for top, diff, alerts and the like. The token is asked for, or read from standard input."
  ),
  Command.withExamples([
    { command: "nodepulse login https://pulse.example", description: "It asks for the token" },
    {
      command: "nodepulse login http://127.0.0.1:8080 < .nodepulse/admin-token",
      description: "On the machine of `nodepulse start`"
    }
  ])
)

export const logoutCommand = Command.make("logout", {}, () =>
  Effect.andThen(forget, say("signed out here; the token itself stays valid until it is revoked"))
).pipe(Command.withDescription("Forget the saved sign-in"))

const CALLED = { read: "to read", operator: "as an operator", admin: "as an administrator" } as const

const tokenFrom = Effect.gen(function* () {
  const token = Redacted.value(yield* readSecret("Token")).trim()
  if (!/^\S+$/.test(token)) return yield* new CommandFailed({ reason: "the token is empty, or more than one word" })
  return Redacted.make(token)
})
