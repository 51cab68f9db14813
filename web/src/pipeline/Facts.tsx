/** The head of a part of the pipeline view: what it is of, and its numbers in a line. */
import type { ReactNode } from "react"

export type Fact = readonly [word: string, value: string, bad?: boolean]

export const Facts = ({
  children,
  facts = [],
  of
}: {
  readonly of: string
  readonly facts?: ReadonlyArray<Fact> | undefined
  /** Instead of numbers. */
  readonly children?: ReactNode
}) => (
  <div className="flow-head">
    <h2>{of}</h2>
    {facts.length > 0 && (
      <dl className="facts">
        {facts.map(([word, value, bad]) => (
          <div key={word}>
            <dt>{word}</dt>
            <dd className={bad === true ? "bad" : undefined}>{value}</dd>
          </div>
        ))}
      </dl>
    )}
    {children}
  </div>
)
