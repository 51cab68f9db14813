/**
 * Tokens of the simulated fleet: its servers are enrolled as machines are, and the tokens kept in a file, so that the same fleet
 * can come back.
 *
 * A server takes so many changes a second of one token (docs/limits.md), a thousand at once. So there is an enrolment token for
 * each {@link ENROLLED_EACH} servers at most, and whoever is answered 429 or 503 waits as long as it is told.
 * {@link REGISTER_AT_ONCE} are enrolled at a time: more would not help, since the server adds one after the other. What was enrolled
 * before an error is kept, before Ctrl-C up to {@link SAVED_EACH} servers less.
 */
import { mkdirSync, readFileSync, renameSync, writeFileSync } from "node:fs"
import { dirname } from "node:path"
import { setTimeout as wait } from "node:timers/promises"

/** What somebody has to mend before the fleet can begin. */
export class Unusable extends Error {}

const REGISTER_AT_ONCE = 8
const ENROLLED_EACH = 900
const SAVED_EACH = 1_000
/** A server that starts, or is busy with others. */
const TRIES = 20

/** Tokens by address and name of the server. */
type Kept = Record<string, Record<string, string>>

const readKept = (file: string): Kept => {
  let text: string
  try {
    text = readFileSync(file, "utf8")
  } catch {
    return {}
  }
  try {
    return JSON.parse(text) as Kept
  } catch {
    throw new Unusable(`${file} is no JSON: remove it, or name another one with --tokens`)
  }
}

export interface Fleet {
  readonly url: string
  readonly servers: number
  /** Where tokens are kept. */
  readonly tokens: string
}

/** The tokens of the fleet's servers; those that are not there yet are enrolled. */
export const register = async (
  { servers, tokens: file, url }: Fleet,
  admin: () => string,
  say: (text: string) => void
): Promise<ReadonlyArray<string>> => {
  const kept = readKept(file)
  const own = kept[url] ?? {}
  kept[url] = own
  const names = Array.from({ length: servers }, (_, n) => `fleet-${String(n + 1).padStart(5, "0")}`)
  const missing = names.filter((name) => own[name] === undefined)
  const save = () => {
    mkdirSync(dirname(file), { recursive: true })
    writeFileSync(`${file}.new`, JSON.stringify(kept), { mode: 0o600 })
    renameSync(`${file}.new`, file)
  }
  const began = performance.now()
  let added = 0
  try {
    const each = Math.min(ENROLLED_EACH, Math.ceil(missing.length / REGISTER_AT_ONCE))
    const parts = Array.from({ length: Math.ceil(missing.length / Math.max(1, each)) }, (_, n) =>
      missing.slice(n * each, (n + 1) * each)
    ).values()
    await Promise.all(
      Array.from({ length: REGISTER_AT_ONCE }, async () => {
        for (const part of parts) {
          const body = { kind: "enrolment", note: "simulated fleet", uses: part.length }
          const { token } = await post(url, "/api/tokens", admin(), body, "servers cannot be added")
          for (const name of part) {
            own[name] = (await post(url, "/api/enroll", token, { name }, `the server ${name} cannot be added`)).token
            if (++added % SAVED_EACH !== 0) continue
            save()
            say(`${added} of ${missing.length} servers added`)
          }
        }
      })
    )
  } finally {
    if (added > 0) save()
  }
  const seconds = (performance.now() - began) / 1_000
  if (added > 0) say(`${added} servers added to ${url} in ${seconds.toFixed(1)} s; their tokens are in ${file}`)
  return names.map((name) => own[name]!)
}

/** The token that a request is answered with. */
const post = async (
  url: string,
  path: string,
  bearer: string,
  body: unknown,
  otherwise: string
): Promise<{ readonly token: string }> => {
  for (let tried = 1; ; tried++) {
    const response = await fetch(`${url}${path}`, {
      method: "POST",
      headers: { authorization: `Bearer ${bearer}`, "content-type": "application/json" },
      body: JSON.stringify(body)
    }).catch((error: unknown) => {
      throw new Unusable(`${url} cannot be reached: ${reasonOf(error)}`)
    })
    if (response.status === 201 || response.status === 200) return (await response.json()) as { readonly token: string }
    const text = (await response.text()).slice(0, 300)
    const isBusy = response.status === 429 || response.status === 503
    if (!isBusy || tried === TRIES) throw new Unusable(`${otherwise}: ${response.status} ${text}`)
    await wait(1_000 * Math.max(1, Number(response.headers.get("retry-after")) || 1))
  }
}

const reasonOf = (error: unknown): string => {
  const cause = error instanceof Error ? error.cause : undefined
  return cause instanceof Error ? cause.message : String(error)
}
