/** Reads a field of what `INFO` and `CLUSTER INFO` answer: `name:value`, a line each. Undefined where a server does not tell it. */
export const infoOf =
  (answer: string) =>
  (name: string): string | undefined =>
    new RegExp(`^${name}:(.*)$`, "m").exec(answer)?.[1]
