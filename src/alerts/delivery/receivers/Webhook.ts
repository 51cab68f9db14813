/**
 * Any program that takes JSON over HTTP. With a secret the body is signed, so that the program knows who sent it, and when:
 * `X-NodePulse-Signature: t=<epoch seconds>,v1=<hex>`, where v1 is HMAC-SHA256 over `<t>.<body>`. Pure.
 */
import { createHmac } from "node:crypto"
import { dataOf, type Message } from "../Message.ts"

/** The body, and the headers that go with it. `secret` is undefined where nothing is signed. */
export const webhookOf = (message: Message, secret: string | undefined) => {
  const body = JSON.stringify(dataOf(message))
  return { body, headers: { "x-nodepulse-delivery": message.id, ...signed(body, secret, message.at) } }
}

const signed = (body: string, secret: string | undefined, at: number): Readonly<Record<string, string>> => {
  if (secret === undefined) return {}
  const seconds = Math.floor(at / 1_000)
  const hash = createHmac("sha256", secret).update(`${seconds}.${body}`).digest("hex")
  return { "x-nodepulse-signature": `t=${seconds},v1=${hash}` }
}
