/** An alert as it is told: what routes ask of it, and what messages say of it. */
import type { Severity } from "../Rule.ts"

/** Epoch milliseconds. */
export interface ToldAlert {
  readonly id: string
  readonly rule: string
  readonly sentence: string
  readonly severity: Severity
  /** The id of its server; `nodepulse` where it is about NodePulse itself. */
  readonly server: string
  readonly serverName: string
  /** Whether it is about NodePulse itself, and no server. */
  readonly isOfItself: boolean
  /** What its rule is about: the resource of an exporter, or `nodepulse`. */
  readonly resource: string
  /** Empty where it is about the server. */
  readonly group: string
  /** What made it fire; null where it has none. */
  readonly value: number | null
  readonly firedAt: number
  /** Null: it still fires. */
  readonly resolvedAt: number | null
  readonly isAcknowledged: boolean
  /** The order that waits for a second person; absent of all other alerts. */
  readonly orderId?: string | undefined
}
