/**
 * What the host would do: the unit before its processes, the gentlest first, each with who must sign it, or why not. Nothing is chosen
 * before somebody chooses it.
 */
import { useState } from "react"
import { VERBS } from "../../../src/protocol/OrderText.ts"
import { Choice } from "../access/Field.tsx"
import { legible } from "../parts/Legible.ts"
import { Give } from "./Give.tsx"
import type { Looked } from "./Look.ts"
import {
  isUnit,
  OFFERED,
  type Offer,
  type OrderShown,
  type Preview,
  refusalText,
  signersText,
  targetText
} from "./OrderWords.ts"

interface Props {
  readonly looked: Looked
  readonly preview: Preview
  readonly onGiven: (order: OrderShown) => void
}

const keyOf = ({ target, verb }: Offer): string => `${verb} ${isUnit(target) ? target.unit : target.pid}`

const gentlestFirst = (offers: ReadonlyArray<Offer>): ReadonlyArray<Offer> =>
  offers.toSorted((a, b) => VERBS.indexOf(a.verb) - VERBS.indexOf(b.verb))

export const Ladder = (props: Props) => {
  const { looked, preview } = props
  const [pid, setPid] = useState<number>()
  const units = gentlestFirst(preview.offers.filter(({ target }) => isUnit(target)))
  const pids = [...new Set(preview.offers.flatMap(({ target }) => (isUnit(target) ? [] : [target.pid])))]
  const shownPid = pid !== undefined && pids.includes(pid) ? pid : pids[0]
  const processes = gentlestFirst(preview.offers.filter(({ target }) => !isUnit(target) && target.pid === shownPid))
  if (preview.server !== looked.server_id) {
    return (
      <p className="problem" role="alert">
        This was said by {legible(preview.server, 80)}, not by {legible(looked.server_id, 80)}: nothing of it can be
        given.
      </p>
    )
  }
  return (
    <>
      {units.length > 0 && <Rungs title="With the unit" offers={units} {...props} />}
      {processes[0] !== undefined && (
        <Rungs
          key={shownPid}
          title={units.length > 0 ? "Or with one process" : "With one process"}
          offers={processes}
          {...props}
        >
          {pids.length > 1 ? (
            <Choice
              label="Which process"
              value={String(shownPid)}
              options={pids.map((one) => [String(one), labelOf(preview, one)])}
              onChange={(chosen) => setPid(Number(chosen))}
            />
          ) : (
            <p className="small">{targetText(processes[0].target)}</p>
          )}
        </Rungs>
      )}
    </>
  )
}

const labelOf = ({ processes }: Preview, pid: number): string => {
  const one = processes.find((process) => process.pid === pid)
  return one === undefined ? String(pid) : `${pid} ${legible(one.name, 60)}`
}

const Rungs = ({
  children,
  offers,
  title,
  ...props
}: Props & {
  readonly title: string
  readonly offers: ReadonlyArray<Offer>
  readonly children?: React.ReactNode
}) => {
  const [chosen, setChosen] = useState<string>()
  return (
    <section className="ladder" aria-label={title}>
      <h3>{title}</h3>
      {children !== undefined && <div className="fields">{children}</div>}
      <ol>
        {offers.map((offer) => {
          const key = keyOf(offer)
          return (
            <Rung
              key={key}
              offer={offer}
              isChosen={chosen === key}
              onChoose={() => setChosen(chosen === key ? undefined : key)}
              {...props}
            />
          )
        })}
      </ol>
    </section>
  )
}

const Rung = ({
  isChosen,
  offer,
  onChoose,
  ...props
}: Props & { readonly offer: Offer; readonly isChosen: boolean; readonly onChoose: () => void }) => {
  const { left_this_hour, refusal, verb, would } = offer
  return (
    <li className={refusal === null ? "rung" : "rung refused"}>
      <div className="rung-head">
        <div>
          <p>
            <b>{OFFERED[verb]}</b>
          </p>
          {would !== "" && <p className="small">{legible(would, 500)}</p>}
          {refusal === null ? (
            <p className="muted small">
              Takes {signersText(offer)} · {left_this_hour} more this hour
            </p>
          ) : (
            <p className="small">
              <b>Not now:</b> {refusalText(refusal)}
            </p>
          )}
        </div>
        {refusal === null && (
          <button type="button" className="button small" aria-expanded={isChosen} onClick={onChoose}>
            {isChosen ? "Not this" : "Choose…"}
            <span className="visually-hidden"> {OFFERED[verb]}</span>
          </button>
        )}
      </div>
      {isChosen && <Give offer={offer} {...props} />}
    </li>
  )
}
