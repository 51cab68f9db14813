/**
 * TLS of the server's own, where no proxy speaks it: certificate and key from files, TLS 1.2 or later.
 *
 * Guarantee: files that cannot be used end the start with what is wrong with them. What is renewed is taken within
 * {@link LOOKED_AT_EVERY}, for new connections, without a restart; a renewal that cannot be used is said once, and the last that
 * could is kept. Every answer tells browsers to come by TLS only (HSTS). Where an authority for agents is named, a push needs a
 * certificate that it has signed; everybody else may come without one.
 */
import { X509Certificate } from "node:crypto"
import * as Fs from "node:fs/promises"
import type { IncomingMessage, Server } from "node:http"
import type { Server as SecureServer } from "node:https"
import { createSecureContext, type TLSSocket } from "node:tls"
import { Context, Duration, Effect, Result, Schema, type Scope } from "effect"
import { readSecretFile } from "../../SecretFile.ts"

export interface TlsFiles {
  /** With `keyFile`, or not at all. */
  readonly certFile?: string | undefined
  readonly keyFile?: string | undefined
  /** The authority whose certificates agents show. */
  readonly clientCaFile?: string | undefined
}

export interface TlsMaterial {
  readonly cert: string
  readonly key: string
  readonly ca?: string
}

export interface Tls {
  /** What was read last and can be used. */
  readonly material: () => TlsMaterial
  /** Whether a push needs a certificate. */
  readonly asksAgents: boolean
  /** What the certificate of now is for, to reach the server by from this machine; undefined where it names nothing. */
  readonly name: () => string | undefined
  /** Takes what is renewed, as long as the scope. */
  readonly renew: (server: Server) => Effect.Effect<void, never, Scope.Scope>
}

/** What the server speaks; undefined: plain HTTP. */
export const ServerTls = Context.Reference<Tls | undefined>("nodepulse/http/ServerTls", {
  defaultValue: () => undefined
})

/** A file of certificate or key cannot be used. Not retryable: somebody has to mend it. */
export class TlsUnusable extends Schema.TaggedError<TlsUnusable>()("TlsUnusable", { reason: Schema.String }) {
  readonly retryable = false
  override get message(): string {
    return this.reason
  }
}

const LOOKED_AT_EVERY = Duration.seconds(2)

/** Reads the files, and tries whether they fit together; undefined where none is named. */
export const loadTls = ({ certFile, clientCaFile, keyFile }: TlsFiles): Effect.Effect<Tls | undefined, TlsUnusable> => {
  if (certFile !== undefined && keyFile !== undefined) return load({ certFile, clientCaFile, keyFile })
  return certFile === undefined && keyFile === undefined && clientCaFile === undefined
    ? Effect.undefined
    : Effect.fail(new TlsUnusable({ reason: "NODEPULSE_TLS_CERT_FILE and NODEPULSE_TLS_KEY_FILE go together" }))
}

type Named = TlsFiles & { readonly certFile: string; readonly keyFile: string }

const load = (files: Named): Effect.Effect<Tls, TlsUnusable> =>
  Effect.map(read(files), (first) => {
    let material = first
    const renew = Effect.fnUntraced(function* (server: Server) {
      const run = Effect.runForkWith(yield* Effect.context())
      let complaint = ""
      const look = Effect.gen(function* () {
        const found = yield* Effect.result(read(files))
        if (Result.isFailure(found)) {
          if (found.failure.reason === complaint) return
          complaint = found.failure.reason
          return yield* Effect.logWarning(`${complaint}; the certificate from before is still used`)
        }
        complaint = ""
        if (JSON.stringify(found.success) === JSON.stringify(material)) return
        material = found.success
        ;(server as unknown as SecureServer).setSecureContext(secured(material))
        yield* Effect.logInfo(`TLS: ${files.certFile} was renewed`)
      })
      yield* Effect.acquireRelease(
        Effect.sync(() => setInterval(() => run(look), Duration.toMillis(LOOKED_AT_EVERY))),
        (timer) => Effect.sync(() => clearInterval(timer))
      )
    })
    return {
      material: () => material,
      asksAgents: files.clientCaFile !== undefined,
      name: () => nameOf(material.cert),
      renew
    }
  })

/** Options of the server's secure context. */
export const secured = (material: TlsMaterial) => ({ ...material, minVersion: "TLSv1.2" as const })

/** Whether the other end has shown a certificate that the authority for agents has signed. */
export const isCertified = ({ socket }: IncomingMessage): boolean => (socket as TLSSocket).authorized === true

const read = ({ certFile, clientCaFile, keyFile }: Named): Effect.Effect<TlsMaterial, TlsUnusable> =>
  Effect.gen(function* () {
    const text = (variable: string, path: string) =>
      Effect.tryPromise({
        try: () => Fs.readFile(path, "utf8"),
        catch: (error) =>
          new TlsUnusable({
            reason: `${variable}=${path}: it cannot be read (${(error as NodeJS.ErrnoException).code})`
          })
      })
    const key = readSecretFile(keyFile)
    if (Result.isFailure(key)) {
      return yield* new TlsUnusable({ reason: `NODEPULSE_TLS_KEY_FILE=${keyFile}: ${key.failure.reason}` })
    }
    const cert = yield* text("NODEPULSE_TLS_CERT_FILE", certFile)
    const ca = clientCaFile === undefined ? undefined : yield* text("NODEPULSE_TLS_CLIENT_CA_FILE", clientCaFile)
    const material = { cert, key: key.success, ...(ca === undefined ? {} : { ca }) }
    return yield* Effect.try({
      try: () => {
        createSecureContext(secured(material))
        return material
      },
      // OpenSSL's words, which quote nothing of a file.
      catch: (error) =>
        new TlsUnusable({
          reason: `NODEPULSE_TLS_CERT_FILE=${certFile} and NODEPULSE_TLS_KEY_FILE=${keyFile} cannot be used: ${(error as Error).message}`
        })
    })
  })

/** The first name or address that a certificate is for. */
const nameOf = (cert: string): string | undefined =>
  /(?:DNS|IP Address):([^,\s]+)/.exec(new X509Certificate(cert).subjectAltName ?? "")?.[1]?.replace(/^\*\./, "any.")
