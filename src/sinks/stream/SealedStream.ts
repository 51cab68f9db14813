/**
 * A stream whose entries are sealed: whoever reaches the stream's storage, and has no key, can add nothing that is stored.
 *
 * Guarantee: each text that is published begins with a MAC (HMAC-SHA-256, 16 bytes of it) over server, exporter, rows and text.
 * What is read without one, or with one that none of the keys has made, is handed out as `refused`, with its reason: it becomes a
 * dead letter. A MAC is for its server and exporter: an entry that is copied under another name is refused too. One that is
 * added again as it was is the same rows again, which change nothing.
 *
 * It hides nothing (whoever reaches the storage reads what waits there), and cannot bring back what somebody deletes.
 */
import { createHmac, type KeyObject, timingSafeEqual } from "node:crypto"
import { Effect } from "effect"
import { Delivery, type SnapshotStream, type Subscription } from "./SnapshotStream.ts"
import type { StreamContent } from "./StreamEntry.ts"
import type { StreamKeys } from "./StreamKeys.ts"

const MAC_BYTES = 16
/** `~`, the MAC in base64url, and a dot: nothing that a text of a snapshot begins with. */
const SEAL_LENGTH = 1 + 22 + 1

export const UNSEALED = "the entry has no seal: it was added to the stream by something else than NodePulse"
export const FORGED = "the entry's seal was made with no key of ours: it is forged, or was published with another key"

/** The stream, with seals. What it stands on stores texts as they are. */
export const sealed = (stream: SnapshotStream["Service"], keys: StreamKeys["Service"]): SnapshotStream["Service"] => ({
  ...stream,
  publish: (contents, options) =>
    Effect.flatMap(keys.fresh, ([key]) =>
      stream.publish(
        contents.map((content) => seal(content, key!)),
        options
      )
    ),
  subscribe: (consumer, leases) =>
    Effect.map(
      stream.subscribe(consumer, leases),
      (subscription): Subscription => ({
        ...subscription,
        read: (max) =>
          Effect.flatMap(subscription.read(max), (deliveries) =>
            Effect.map(keys.fresh, (all) => deliveries.flatMap((delivery) => opened(delivery, all)))
          )
      })
    )
})

const seal = (content: StreamContent, key: KeyObject): StreamContent =>
  "scrape" in content
    ? { ...content, scrape: sealOf(key, content, content.rows, content.scrape) }
    : { ...content, snapshots: content.snapshots.map((text) => sealOf(key, content, 0, text)) }

const sealOf = (key: KeyObject, content: StreamContent, rows: number, text: string): string =>
  `~${macOf(key, content, rows, text).toString("base64url")}.${text}`

/** `rows` is 0 for a snapshot. Names come with their lengths, so that none can be taken for a part of the next. */
const macOf = (key: KeyObject, { exporterName, serverId }: StreamContent, rows: number, text: string): Buffer =>
  createHmac("sha256", key)
    .update(`${rows} ${serverId.length} ${exporterName.length} ${serverId}${exporterName}${text}`)
    .digest()
    .subarray(0, MAC_BYTES)

/** A delivery without its seals; in pieces where some of them are not good. */
const opened = (delivery: Delivery, keys: ReadonlyArray<KeyObject>): ReadonlyArray<Delivery> => {
  const { content, deliveries, from, receipt, to } = delivery
  if ("scrape" in content) {
    const { reason, text } = open(keys, content, content.rows, content.scrape)
    const bare = { ...content, scrape: text, ...(reason === undefined ? {} : { refused: reason }) }
    return [new Delivery(bare, deliveries, receipt, from, to)]
  }
  const texts = [...content.snapshots]
  const reasons: Array<string | undefined> = new Array(texts.length)
  for (let at = from; at < to; at++) {
    const { reason, text } = open(keys, content, 0, texts[at]!)
    texts[at] = text
    reasons[at] = reason
  }
  const pieces: Array<Delivery> = []
  for (let begin = from, at = from + 1; at <= to; at++) {
    if (at < to && reasons[at] === reasons[begin]) continue
    const refused = reasons[begin]
    const bare = { ...content, snapshots: texts, ...(refused === undefined ? {} : { refused }) }
    pieces.push(new Delivery(bare, deliveries, receipt, begin, at))
    begin = at
  }
  return pieces
}

/** The text below a seal, and what is wrong with the seal; undefined where nothing is. */
const open = (
  keys: ReadonlyArray<KeyObject>,
  content: StreamContent,
  rows: number,
  sealedText: string
): { readonly text: string; readonly reason: string | undefined } => {
  const end = SEAL_LENGTH - 1
  if (sealedText[0] !== "~" || sealedText[end] !== ".") return { text: sealedText, reason: UNSEALED }
  const text = sealedText.slice(SEAL_LENGTH)
  const mac = Buffer.from(sealedText.slice(1, end), "base64url")
  const good = mac.length === MAC_BYTES && keys.some((key) => timingSafeEqual(mac, macOf(key, content, rows, text)))
  return { text, reason: good ? undefined : FORGED }
}
