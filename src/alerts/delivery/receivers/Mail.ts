/**
 * E-mail over SMTP (nodemailer). Text only: there is no markup that a name could be.
 *
 * Guarantees: no name becomes a header: a subject is one line, and addresses come from the file alone. A password is only sent over
 * an encrypted connection. The mails of an incident are one thread, and one that is sent again has the same `Message-ID`.
 * Bounds: one connection a mail, each step of it within {@link STEP_WITHIN_MILLIS}.
 */
import { createHash } from "node:crypto"
import { Effect, Result } from "effect"
import { createTransport } from "nodemailer"
import { readSecretFile } from "../../../SecretFile.ts"
import { bodyOf, isOver, type Message, severityOf, textOf, titleOf } from "../Message.ts"
import { type NotDelivered, notDelivered, secretIn } from "../NotDelivered.ts"
import type { MailWay } from "../NotifyFile.ts"

const STEP_WITHIN_MILLIS = 10_000
const LENGTH_MAX = 60_000

export const sendMail = Effect.fnUntraced(function* (message: Message, way: MailWay) {
  const password = way.passwordFile === undefined ? undefined : yield* Effect.fromResult(secretIn(way.passwordFile))
  const ca = way.caFile === undefined ? undefined : yield* Effect.fromResult(certificateIn(way.caFile))
  const transport = createTransport({
    host: way.server,
    port: way.port,
    secure: way.encryption === "tls",
    requireTLS: way.encryption === "starttls",
    ignoreTLS: way.encryption === "none",
    ...(password === undefined ? {} : { auth: { user: way.user, pass: password } }),
    ...(ca === undefined ? {} : { tls: { ca } }),
    connectionTimeout: STEP_WITHIN_MILLIS,
    greetingTimeout: STEP_WITHIN_MILLIS,
    dnsTimeout: STEP_WITHIN_MILLIS,
    socketTimeout: STEP_WITHIN_MILLIS,
    disableFileAccess: true,
    disableUrlAccess: true
  })
  yield* Effect.tryPromise({ try: () => transport.sendMail(mailOf(message, way)), catch: refused }).pipe(
    Effect.ensuring(Effect.sync(() => transport.close()))
  )
})

const mailOf = (message: Message, { from, to }: MailWay) => {
  const domain = from.slice(from.lastIndexOf("@") + 1)
  const [first] = message.incidents
  const thread = message.incidents.length === 1 && first !== undefined ? `<${hashed(first.key)}@${domain}>` : undefined
  const begins = first?.kind === "firing"
  return {
    from: { name: "NodePulse", address: from },
    to: to.map((address) => ({ name: "", address })),
    subject: titleOf(message),
    text: `${textOf([titleOf(message), "", ...bodyOf(message)], LENGTH_MAX)}\n`,
    messageId: `<${hashed(message.id)}@${domain}>`,
    ...(thread === undefined ? {} : { references: thread, ...(begins ? {} : { inReplyTo: thread }) }),
    headers: {
      "Auto-Submitted": "auto-generated",
      "X-NodePulse-Severity": severityOf(message.incidents),
      "X-NodePulse-Over": String(message.incidents.length > 0 && message.incidents.every(isOver))
    }
  }
}

const hashed = (text: string): string => `nodepulse.${createHash("sha256").update(text).digest("hex").slice(0, 32)}`

/** Certificates of an authority, which are no secret, but decide whom a password is given to. */
const certificateIn = (path: string): Result.Result<string, NotDelivered> =>
  Result.mapError(readSecretFile(path), (failure) => notDelivered(failure.message))

/** The step that failed and the status, not the words: a server may answer with what it was told. */
const refused = (error: unknown): NotDelivered => {
  const { code, command, responseCode } = error as { code?: string; command?: string; responseCode?: number }
  const step = command === undefined ? "" : ` at ${command}`
  if (responseCode !== undefined) return notDelivered(`the mail server answers ${responseCode}${step}`)
  return notDelivered(`the mail server cannot be used${step}: ${WORDS[code ?? ""] ?? code ?? "unknown"}`)
}

const WORDS: Readonly<Record<string, string>> = {
  ECONNECTION: "no connection",
  ESOCKET: "the connection failed, or its certificate is not trusted",
  ETIMEDOUT: "it does not answer in time",
  EDNS: "its name is not known",
  ETLS: "it offers no encryption that can be used",
  EAUTH: "it takes neither user nor password"
}
