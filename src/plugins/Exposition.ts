/** One sample of a scrape. */
export interface Sample {
  readonly name: string
  /** Label names to values. Only own properties count: a label may be called `__proto__`. */
  readonly labels: Readonly<Record<string, string>>
  readonly value: number
  /** Epoch milliseconds, where the exposition carries one. */
  readonly timestamp?: number
}
