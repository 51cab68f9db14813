/** Why a message did not reach its receiver. It never holds what a receiver answered, nor an address or key that is secret. */
import { Result, Schema } from "effect"
import { readSecretFile } from "../../SecretFile.ts"
import type { Address } from "./NotifyFile.ts"

/** It did not get there, as far as is known. Retryable: an address may be mended while a message waits. */
export class NotDelivered extends Schema.TaggedError<NotDelivered>()("NotDelivered", {
  /** Reads alone. */
  reason: Schema.String,
  /** How long the receiver wants to be left alone, milliseconds. */
  after: Schema.UndefinedOr(Schema.Number)
}) {
  readonly retryable = true
  override get message(): string {
    return this.reason
  }
}

export const notDelivered = (reason: string, after?: number): NotDelivered => new NotDelivered({ reason, after })

const LENGTH_MAX = 4_096

/** What a file holds, without blanks around it. */
export const secretIn = (path: string): Result.Result<string, NotDelivered> => {
  const found = readSecretFile(path)
  if (Result.isFailure(found)) return Result.fail(notDelivered(found.failure.message))
  const secret = found.success.trim()
  if (secret === "") return Result.fail(notDelivered(`${path}: it is empty`))
  if (secret.length > LENGTH_MAX || /\p{Cc}/u.test(secret))
    return Result.fail(notDelivered(`${path}: it holds more than one line, or is longer than ${LENGTH_MAX} characters`))
  return Result.succeed(secret)
}

/** The address that is meant. */
export const urlOf = (address: Address): Result.Result<URL, NotDelivered> => {
  const text = "url" in address ? Result.succeed(address.url) : secretIn(address.file)
  if (Result.isFailure(text)) return Result.fail(text.failure)
  const where = "url" in address ? "the address" : address.file
  if (!URL.canParse(text.success)) return Result.fail(notDelivered(`${where}: it is no address`))
  const url = new URL(text.success)
  return url.protocol === "http:" || url.protocol === "https:"
    ? Result.succeed(url)
    : Result.fail(notDelivered(`${where}: it must begin with http:// or https://`))
}
