/**
 * On every view: nothing where all is encrypted, else what travels in the clear and what to set. It can be put away until the
 * tab is closed.
 */
import { useState } from "react"
import { useAsk, useHeart, useNow } from "../ask/Refresh.tsx"
import { useWho, type Who } from "../ask/WhoContext.ts"
import { ago } from "../parts/Format.ts"
import { legible } from "../parts/Legible.ts"

const EVERY_BEATS = 4
const KEY = "nodepulse-unencrypted"

export const UnencryptedLine = () => {
  const who = useWho()
  const { tick } = useHeart()
  // The page has just asked who it is for.
  const off = tick < EVERY_BEATS
  const { value = who } = useAsk("session.whoAmI", {}, { aside: true, everyBeats: EVERY_BEATS, off })
  const [putAway, setPutAway] = useState(wasPutAway)
  const { unencrypted } = value
  if (unencrypted === null || putAway === unencrypted.what) return null
  return (
    <section className="banner stale unencrypted" aria-label="Unencrypted">
      <div>
        <What unencrypted={unencrypted} />
        <p>
          Let NodePulse speak TLS (<code>NODEPULSE_TLS_CERT_FILE</code>, <code>NODEPULSE_TLS_KEY_FILE</code>), or put a
          proxy that speaks https before it and name its address in <code>NODEPULSE_TRUSTED_PROXIES</code>. Then rotate
          what has travelled.
        </p>
      </div>
      <button
        type="button"
        className="button small"
        onClick={() => {
          putAwayNow(unencrypted.what)
          setPutAway(unencrypted.what)
        }}
      >
        Hide until this tab is closed
      </button>
    </section>
  )
}

const What = ({ unencrypted: { address, at, what } }: { readonly unencrypted: NonNullable<Who["unencrypted"]> }) => {
  const now = useNow()
  if (what === "session") {
    return (
      <p>
        <b>This page comes to you unencrypted.</b> Whoever is on the way can read your session and use it.
      </p>
    )
  }
  return (
    <p>
      <b>A token came unencrypted</b> from {legible(address ?? "another machine", 80)}
      {at === null ? "" : `, ${ago(Date.parse(at), now)}`}. Whoever is on the way can use it.
    </p>
  )
}

const wasPutAway = (): string | null => {
  try {
    return sessionStorage.getItem(KEY)
  } catch {
    return null
  }
}
const putAwayNow = (what: string): void => {
  try {
    sessionStorage.setItem(KEY, what)
  } catch {
    // A browser that keeps nothing shows it again after the next load.
  }
}
