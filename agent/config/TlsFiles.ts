/**
 * Certificates from files: a private authority to trust (`ca_file`), and one to show (`cert_file` with `key_file`).
 *
 * They are read and tried at the start, where what is wrong with them is a problem of the config; and read anew for each
 * connection, so that what was renewed is used without a restart. A file that cannot be used then leaves the last that
 * could: a renewal may be under way.
 */
import * as Fs from "node:fs/promises"
import { Effect, Result } from "effect"
import { type FileOwner, readSecretFile } from "../../src/SecretFile.ts"
import { nodeTls } from "../NodeHttp.ts"

/** Paths, as in the config. */
export interface TlsFiles {
  readonly ca_file?: string | undefined
  readonly cert_file?: string | undefined
  readonly key_file?: string | undefined
}

/** PEM. */
export interface TlsMaterial {
  readonly ca?: string
  readonly cert?: string
  readonly key?: string
}

/**
 * Reads the files once to see that they can be used; resolves to what reads them anew. A failure is a sentence. The key may
 * belong to root or to `owner`, who is the reader unless given.
 */
export const loadTls = (
  section: string,
  files: TlsFiles,
  owner?: FileOwner
): Effect.Effect<Result.Result<Effect.Effect<TlsMaterial>, string>> =>
  Effect.gen(function* () {
    const first = yield* readTls(section, files, owner)
    if (Result.isFailure(first)) return Result.fail(first.failure)
    let last = first.success
    const read = Effect.map(readTls(section, files, owner), (found) => {
      if (Result.isSuccess(found)) last = found.success
      return last
    })
    return Result.succeed(Object.keys(last).length === 0 ? Effect.succeed(last) : read)
  })

const readTls = (
  section: string,
  files: TlsFiles,
  owner: FileOwner | undefined
): Effect.Effect<Result.Result<TlsMaterial, string>> =>
  Effect.promise(async () => {
    const material: { ca?: string; cert?: string; key?: string } = {}
    for (const [part, marker, what] of PARTS) {
      const path = files[`${part}_file`]
      if (path === undefined) continue
      const setting = `${section}.${part}_file ${path}`
      try {
        if (part === "key") {
          const key = readSecretFile(path, { owner })
          if (Result.isFailure(key)) return Result.fail(`${setting}: ${key.failure.reason}`)
          material.key = key.success
        } else {
          material[part] = await Fs.readFile(path, "utf8")
        }
      } catch (cause) {
        return Result.fail(`${setting} cannot be read (${(cause as NodeJS.ErrnoException).code ?? "unknown"})`)
      }
      if (!marker.test(material[part] ?? "")) return Result.fail(`${setting} holds no ${what} in PEM form`)
    }
    if (/BEGIN ENCRYPTED|Proc-Type: 4,ENCRYPTED/.test(material.key ?? "")) {
      return Result.fail(`${section}.key_file ${files.key_file} is encrypted: a key without a passphrase is needed`)
    }
    try {
      if (Object.keys(material).length > 0) nodeTls().createSecureContext(material)
    } catch (cause) {
      return Result.fail(misfit(section, files, cause instanceof Error ? cause.message : ""))
    }
    return Result.succeed(material)
  })

const PARTS = [
  ["ca", /BEGIN (TRUSTED |X509 )?CERTIFICATE/, "certificate"],
  ["cert", /BEGIN (TRUSTED |X509 )?CERTIFICATE/, "certificate"],
  ["key", /BEGIN [A-Z ]{0,20}PRIVATE KEY/, "private key"]
] as const

/** OpenSSL's words, which quote nothing of a file. */
const misfit = (section: string, { ca_file, cert_file, key_file }: TlsFiles, message: string): string => {
  if (/key values mismatch|key type mismatch/i.test(message)) {
    return `${section}.key_file ${key_file} is not the key of ${section}.cert_file ${cert_file}`
  }
  const paths = [ca_file, cert_file, key_file].filter((path) => path !== undefined)
  return `${section}: ${paths.join(", ")} cannot be used (${message.slice(0, 120)})`
}
