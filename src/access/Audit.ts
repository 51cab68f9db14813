/**
 * Who changed what, when and from where: tokens, enrolments, servers, sessions; and who tried to sign in. As a port.
 *
 * Guarantee: a change and its entry are one transaction, so there is neither without the other; entries are only ever added
 * (the table refuses anything else). No entry holds a secret.
 */
import { Context, type Effect } from "effect"
import type { DatabaseUnavailable } from "../sinks/storage/DatabaseUnavailable.ts"
import type { Action } from "./AuditActions.ts"

export interface Author {
  /** `admin` (the configured token), `token:12`, `oidc:…`, `shell:root`; NodePulse itself where nobody asked. */
  readonly name: string
  /** The network address that the request came from; null on this machine's command line. */
  readonly address: string | null
}

/** On whose behalf something is done. Set where a request is let in, and by the command line. */
export const CurrentAuthor = Context.Reference<Author>("nodepulse/access/CurrentAuthor", {
  defaultValue: () => ({ name: "nodepulse", address: null })
})

export interface AuditEntry {
  readonly id: string
  /** Epoch milliseconds. */
  readonly at: number
  readonly author: string
  readonly address: string | null
  readonly action: string
  /** What was changed: `token 12`, `server web-1`. */
  readonly subject: string
  readonly detail: string
}

/** Which entries; all of them where nothing is said. */
export interface AuditFilter {
  /** A part of the author's name or address, in any case. */
  readonly who?: string
  /** An action, or what all of some are about: `token` for `token.create` and the like. */
  readonly action?: string
  /** Epoch milliseconds: at or after the one, before the other. */
  readonly since?: number
  readonly until?: number
}

export class Audit extends Context.Service<
  Audit,
  {
    /** Newest first; `before` is the id that the last page ended with. */
    readonly list: (
      page: AuditFilter & { readonly before?: string; readonly limit: number }
    ) => Effect.Effect<
      { readonly entries: ReadonlyArray<AuditEntry>; readonly next: string | null },
      DatabaseUnavailable
    >
    /** Adds an entry of something that changed nothing. A change brings its own, in its transaction. */
    readonly note: (action: Action, subject: string, detail: string) => Effect.Effect<void, DatabaseUnavailable>
  }
>()("nodepulse/access/Audit") {}
