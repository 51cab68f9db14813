/**
 * The built-in collectors, as a port: they stand in on Linux where no exporter answers, and say what the exporters would, so that
 * it goes through the same plugins.
 *
 * An opened collector begins to count when it is opened, like an exporter that was just started. It is opened anew each
 * time it stands in: what it had counted before was not seen by anyone.
 */
import { Context, Effect, Layer, Schema } from "effect"
import type { BuiltInCollector } from "../../src/plugins/Exporter.ts"
import { type Family, renderExposition } from "./ExpositionText.ts"

/** The collector cannot do its work here: another operating system, or no readable procfs. */
export class CollectorUnavailable extends Schema.TaggedError<CollectorUnavailable>()("CollectorUnavailable", {
  reason: Schema.String
}) {
  readonly retryable = true
  override get message(): string {
    return this.reason
  }
}

/** What was collected, as an exporter's metrics. To write and to read them as text would cost the agent as much as to collect them. */
export class Collection {
  readonly families: ReadonlyArray<Family>
  /** When it was read, epoch milliseconds. */
  readonly collectedAt: number
  constructor(families: ReadonlyArray<Family>, collectedAt: number) {
    this.families = families
    this.collectedAt = collectedAt
  }
  /** The same as the exporter would serve it: Prometheus text format 0.0.4. */
  get text(): string {
    return renderExposition(this.families)
  }
}

export interface OpenCollector {
  readonly collect: Effect.Effect<Collection, CollectorUnavailable>
}

export class Collectors extends Context.Service<
  Collectors,
  {
    /** Whether there are built-in collectors for this machine. */
    readonly available: boolean
    /** From now on the collector of processes keeps at most so many groups apart; undefined: as many as ever. Absent: it cannot. */
    readonly limit?: (groups: number | undefined) => void
    readonly open: (kind: BuiltInCollector) => Effect.Effect<OpenCollector, CollectorUnavailable>
  }
>()("nodepulse/agent/Collectors") {}

/** For other systems, and where nothing may stand in. */
export const layerNone: Layer.Layer<Collectors> = Layer.succeed(
  Collectors,
  Collectors.of({
    available: false,
    open: () => Effect.fail(new CollectorUnavailable({ reason: "the built-in collectors need Linux" }))
  })
)
