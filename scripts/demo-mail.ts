/** A message about an alert of the demonstration, as a mail program shows it: the very text that is sent, for a picture. */
import { bodyOf, titleOf } from "../src/alerts/delivery/Message.ts"
import type { Severity } from "../src/alerts/Rule.ts"

/** Of the answer of `GET /api/alerts/{id}`. */
interface Told {
  readonly alert_id: string
  readonly rule: string
  readonly sentence: string
  readonly severity: Severity
  readonly server_id: string
  readonly server_name: string
  readonly group: string
  readonly resource: string
  readonly value: number | null
  readonly fired_at: string
  readonly text: string
}

const PUBLIC_URL = "https://pulse.example.org"

const messageOf = (told: Told, link: string) => ({
  isTest: false,
  incidents: [
    {
      key: "demonstration",
      kind: "firing" as const,
      server: told.server_id,
      alerts: [
        {
          id: told.alert_id,
          rule: told.rule,
          sentence: told.sentence,
          severity: told.severity,
          server: told.server_id,
          serverName: told.server_name,
          group: told.group,
          resource: told.resource,
          isOfItself: false,
          value: told.value,
          firedAt: Date.parse(told.fired_at),
          resolvedAt: null,
          isAcknowledged: false,
          runbook: undefined,
          owners: [],
          story: `${told.text}\n${PUBLIC_URL}${link}`,
          link: undefined
        }
      ]
    }
  ]
})

export const mailPage = (told: Told & { readonly link: string }): string => {
  const message = messageOf(told, told.link)
  const at = new Date(told.fired_at).toUTCString().replace(/:\d\d GMT$/, " UTC")
  return `<!doctype html><meta charset="utf-8"><style>
  body { margin: 0; padding: 18px; background: #ecebe6; font: 15px/1.5 system-ui, sans-serif; color: #1c1f26 }
  article { background: #fff; border-radius: 12px; padding: 20px 22px; box-shadow: 0 1px 3px #0002 }
  h1 { font-size: 18px; line-height: 1.3; margin: 0 0 12px }
  header { display: flex; gap: 11px; padding-bottom: 14px; border-bottom: 1px solid #e3e1da }
  header b { display: block } header span { color: #5d6370; font-size: 13px }
  i { flex: none; width: 38px; height: 38px; border-radius: 50%; background: #2456c9; color: #fff; font: 600 17px/38px system-ui; text-align: center }
  pre { margin: 14px 0 0; font: 14px/1.55 system-ui, sans-serif; white-space: pre-wrap; overflow-wrap: anywhere }
</style><article><h1>${escaped(titleOf(message))}</h1>
<header><i>N</i><p style="margin:0"><b>NodePulse</b><span>to ops@example.org · ${at}</span></p></header>
<pre>${escaped(bodyOf(message).join("\n"))}</pre></article>`
}

const escaped = (text: string): string => text.replace(/[&<>"]/g, (found) => `&#${found.charCodeAt(0)};`)
