/**
 * Keys of this browser, by which a person signs orders: Ed25519 by WebCrypto, kept in IndexedDB.
 *
 * Guarantee: a private key cannot be read out of the browser, by nobody (it is not extractable); it leaves it in no request. What
 * is signed are the bytes of `OrderText.ts`, which hosts verify.
 *
 * It is the browser's: whoever uses this profile, and whatever script runs in this page, can sign with it. A browser that is told to
 * forget what sites keep forgets it too; then another one is made.
 */
import { approvalBytes, ORDER_LIMITS } from "../../../src/protocol/OrderText.ts"
import type { Approver } from "./OrderWords.ts"

interface Approval {
  readonly by: string
  readonly key: string
  readonly expires: number
  readonly signature: string
}

export interface BrowserKey {
  /** SHA-256 of the raw public key, base64url: as hosts call it. */
  readonly id: string
  /** What its owner called it; a host's file may call them otherwise. */
  readonly name: string
  /** The raw public key, base64. */
  readonly publicKey: string
  /** Epoch milliseconds. */
  readonly madeAt: number
  readonly privateKey: CryptoKey
}

/** Why this browser cannot sign here; undefined where it can. */
export const whyNot = (): string | undefined => {
  if (!globalThis.isSecureContext)
    return "Browsers sign on encrypted pages only, and this one came over plain HTTP from another machine."
  if (globalThis.crypto?.subtle === undefined || globalThis.indexedDB === undefined)
    return "This browser has no keys for pages, or they are switched off, as in a private window."
  return undefined
}

/** Those that were made here, the oldest first. */
export const browserKeys = async (): Promise<ReadonlyArray<BrowserKey>> => {
  if (whyNot() !== undefined) return []
  const all = await inStore<ReadonlyArray<BrowserKey>>("readonly", (store) => store.getAll())
  return all.toSorted((a, b) => a.madeAt - b.madeAt)
}

/** Makes one. Fails where the browser knows no Ed25519. */
export const makeKey = async (name: string): Promise<BrowserKey> => {
  let pair: CryptoKeyPair
  try {
    pair = (await crypto.subtle.generateKey(ALGORITHM, false, ["sign", "verify"])) as CryptoKeyPair
  } catch {
    throw new Error("This browser makes no Ed25519 keys: it is too old. Sign with nodepulse approve instead.")
  }
  const raw = new Uint8Array(await crypto.subtle.exportKey("raw", pair.publicKey))
  const id = base64Url(new Uint8Array(await crypto.subtle.digest("SHA-256", raw)))
  const made = { id, name, publicKey: base64(raw), madeAt: Date.now(), privateKey: pair.privateKey }
  await inStore("readwrite", (store) => store.add(made))
  // So that a full disk does not take it; where the browser refuses that, nothing is lost.
  void navigator.storage?.persist?.().catch(() => undefined)
  return made
}

export const forgetKey = async (id: string): Promise<void> => {
  await inStore("readwrite", (store) => store.delete(id))
}

/** A person's signature over an order, as the host's file calls them, good for a minute. */
export const signOrder = async (order: object, by: string, { id, privateKey }: BrowserKey): Promise<Approval> => {
  const expires = Math.floor(Date.now() / 1_000) + ORDER_LIMITS.approvalSeconds
  const signature = await crypto.subtle.sign(ALGORITHM, privateKey, approvalBytes({ order, by, expires }))
  return { by, key: id, expires, signature: base64Url(new Uint8Array(signature)) }
}

/** A key of this browser that a host knows, and whose it is there. */
export interface Signer {
  readonly key: BrowserKey
  readonly approver: Approver
}

export const signersOf = (keys: ReadonlyArray<BrowserKey>, approvers: ReadonlyArray<Approver>): ReadonlyArray<Signer> =>
  keys.flatMap((key) => approvers.filter((one) => one.key === key.id).map((approver) => ({ key, approver })))

/** The line of a key in a host's `hands.yml`. */
export const fileLine = ({ name, publicKey }: Pick<BrowserKey, "name" | "publicKey">, role: string): string =>
  `  - {name: ${JSON.stringify(name)}, role: ${role}, key: "${publicKey}"}`

/** 128 bits, for each order anew. */
export const newNonce = (): string => base64Url(crypto.getRandomValues(new Uint8Array(16)))

/** A random UUID, also where `crypto.randomUUID` is missing: on plain HTTP. */
export const newId = (): string => {
  const bytes = crypto.getRandomValues(new Uint8Array(16))
  bytes[6] = (bytes[6]! & 0x0f) | 0x40
  bytes[8] = (bytes[8]! & 0x3f) | 0x80
  const hex = Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("")
  return hex.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, "$1-$2-$3-$4-$5")
}

const ALGORITHM = "Ed25519"
const DATABASE = "nodepulse"
const STORE = "keys"

const base64 = (bytes: Uint8Array): string => btoa(String.fromCharCode(...bytes))
const base64Url = (bytes: Uint8Array): string =>
  base64(bytes).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "")

const settled = <A>(request: IDBRequest<A>): Promise<A> =>
  new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result)
    request.onerror = () => reject(request.error)
  })

const inStore = async <A>(mode: IDBTransactionMode, use: (store: IDBObjectStore) => IDBRequest): Promise<A> => {
  const opening = indexedDB.open(DATABASE, 1)
  opening.onupgradeneeded = () => opening.result.createObjectStore(STORE, { keyPath: "id" })
  const database = await settled(opening)
  try {
    return (await settled(use(database.transaction(STORE, mode).objectStore(STORE)))) as A
  } finally {
    database.close()
  }
}
