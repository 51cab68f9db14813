/** What the address of a new rule may say; a threshold is `above`. */
export const PREFILLED = ["resource", "metric", "group", "server", "above", "asks"] as const
