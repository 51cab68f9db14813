/**
 * Signatures of people over orders, by node:crypto: Ed25519 (RFC 8032) over {@link approvalBytes}. The page makes the same ones by
 * WebCrypto.
 *
 * Guarantee: {@link holds} never throws; whatever it is given, it is true only where the owner of the key has signed exactly this order,
 * as this person, until this moment.
 */
import { createHash, createPublicKey, type KeyObject, sign, verify } from "node:crypto"
import type { Approval, Order } from "./Orders.ts"
import { approvalBytes } from "./OrderText.ts"

/** The id of a raw public key: base64url of its SHA-256. */
export const keyIdOf = (publicKey: Uint8Array): string => createHash("sha256").update(publicKey).digest("base64url")

/** The raw public key of a text in base64 or base64url; undefined where it is none. */
export const publicKeyOf = (text: string): Uint8Array | undefined => {
  const bytes = Buffer.from(text, "base64")
  const isWhole = [bytes.toString("base64"), bytes.toString("base64url")].includes(text)
  return isWhole && bytes.length === KEY_BYTES && !isSmall(bytes) ? bytes : undefined
}

/** Whether the approval is a signature of that key over the order. Neither whose key it is nor the time is looked at. */
export const holds = (order: Order, approval: Approval, publicKey: Uint8Array): boolean => {
  try {
    const { by, expires } = approval
    if (approval.key !== keyIdOf(publicKey) || isSmall(publicKey)) return false
    const x = Buffer.from(publicKey).toString("base64url")
    const key = createPublicKey({ key: { kty: "OKP", crv: "Ed25519", x }, format: "jwk" })
    return verify(null, approvalBytes({ order, by, expires }), key, Buffer.from(approval.signature, "base64url"))
  } catch {
    return false
  }
}

/** Signs an order. `expires`: epoch seconds. */
export const approve = (order: Order, by: string, expires: number, privateKey: KeyObject): Approval => ({
  by,
  key: keyIdOf(rawPublicKeyOf(privateKey)),
  expires,
  signature: sign(null, approvalBytes({ order, by, expires }), privateKey).toString("base64url")
})

/** The raw public key that belongs to a private one. */
export const rawPublicKeyOf = (privateKey: KeyObject): Uint8Array =>
  Buffer.from(createPublicKey(privateKey).export({ format: "jwk" }).x ?? "", "base64url")

const KEY_BYTES = 32

/**
 * Points of small order: signatures that hold for every message can be made for them without any private key. All of them, in every
 * encoding, the sign bit left out (https://eprint.iacr.org/2020/1244, table 6).
 */
const SMALL = new Set([
  "00".repeat(32),
  `01${"00".repeat(31)}`,
  "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
  "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
  `ec${"ff".repeat(30)}7f`,
  `ed${"ff".repeat(30)}7f`,
  `ee${"ff".repeat(30)}7f`
])

const isSmall = (publicKey: Uint8Array): boolean => {
  const unsigned = Buffer.from(publicKey)
  unsigned[KEY_BYTES - 1]! &= 0x7f
  return SMALL.has(unsigned.toString("hex"))
}
