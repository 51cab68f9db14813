/**
 * The key of whoever approves orders: an Ed25519 key in the user's configuration folder, made here, for nobody else to read.
 *
 * Guarantee: it is used for signatures over orders and for nothing else, and never leaves the file but as its public half. A file that
 * somebody else can read or write is not used. One that is there is never written over.
 */
import { createPrivateKey, generateKeyPairSync, type KeyObject } from "node:crypto"
import { mkdir, writeFile } from "node:fs/promises"
import { dirname, join } from "node:path"
import { Effect, Result, Schema } from "effect"
import { rawPublicKeyOf } from "../../protocol/Approvals.ts"
import { readSecretFile } from "../../SecretFile.ts"
import { CommandFailed } from "../Input.ts"
import { configFolder } from "./SignIn.ts"

export interface ApproverKey {
  /** As hosts' files call whoever signs with it. */
  readonly name: string
  readonly privateKey: KeyObject
  /** Base64, as hosts' files have it. */
  readonly publicKey: string
}

const Saved = Schema.fromJsonString(Schema.Struct({ name: Schema.String, private_key: Schema.String }))

const path = Effect.map(configFolder, (folder) => join(folder, "approver.json"))

const fail = (reason: string) => new CommandFailed({ reason })

const keyOf = (name: string, privateKey: KeyObject): ApproverKey => ({
  name,
  privateKey,
  publicKey: Buffer.from(rawPublicKeyOf(privateKey)).toString("base64")
})

/** Makes a key, and answers it with where it is. */
export const makeKey = Effect.fnUntraced(function* (name: string) {
  const file = yield* path
  const { privateKey } = generateKeyPairSync("ed25519")
  const content = { name, private_key: String(privateKey.export({ type: "pkcs8", format: "pem" })) }
  yield* Effect.tryPromise({
    try: async () => {
      await mkdir(dirname(file), { recursive: true, mode: 0o700 })
      await writeFile(file, `${JSON.stringify(content)}\n`, { flag: "wx", mode: 0o600 })
    },
    catch: (error) =>
      (error as NodeJS.ErrnoException).code === "EEXIST"
        ? fail(`${file} is there already, and hosts may know that key: move it away to have another one`)
        : fail(`${file} cannot be written: ${(error as Error).message}`)
  })
  return { file, key: keyOf(name, privateKey) }
})

/** The key; undefined where there is none. */
export const readKey: Effect.Effect<ApproverKey | undefined, CommandFailed> = Effect.gen(function* () {
  const file = yield* path
  const found = readSecretFile(file, { own: true })
  if (Result.isFailure(found)) return found.failure.code === "ENOENT" ? undefined : yield* fail(found.failure.message)
  const saved = Schema.decodeUnknownResult(Saved)(found.success)
  const key = Result.isFailure(saved)
    ? undefined
    : yield* Effect.option(Effect.try(() => createPrivateKey(saved.success.private_key)))
  if (Result.isFailure(saved) || key?._tag !== "Some" || key.value.asymmetricKeyType !== "ed25519")
    return yield* fail(`${file} is no key of an approver: nodepulse approve --new-key makes one`)
  return keyOf(saved.success.name, key.value)
})
