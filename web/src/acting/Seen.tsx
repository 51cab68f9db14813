/** What a host says of a target: the unit, what hangs on it, and the exact processes. */
import { bytes, duration, inUnit, number } from "../parts/Format.ts"
import { Name } from "../parts/Name.tsx"
import { Scroller } from "../parts/Scroller.tsx"
import { type Preview, type PreviewProcess, startText } from "./OrderWords.ts"

type Unit = NonNullable<Preview["unit"]>

/** Dependants and the like; how many more there are is said. */
const LISTED = 8

export const Seen = ({ preview }: { readonly preview: Preview }) => (
  <>
    {preview.unit !== null && <UnitSeen unit={preview.unit} shares={preview.shares} />}
    {preview.processes.length > 0 && <Processes preview={preview} />}
  </>
)

/** What `Restart=` means, in words. */
const restartText = (restart: string): string =>
  restart === "no" || restart === ""
    ? "no: what ends stays ended"
    : restart === "always"
      ? "always: systemd starts it again, however it ends"
      : `${restart}: systemd starts it again where that is so`

const UnitSeen = ({ shares, unit }: { readonly unit: Unit; readonly shares: ReadonlyArray<string> }) => (
  <section className="acting-unit" aria-label="Its unit">
    <p>
      <b>
        <Name value={unit.unit} />
      </b>
      {unit.description !== "" && (
        <>
          {" "}
          <Name value={unit.description} />
        </>
      )}
    </p>
    <dl className="acting-facts">
      <div>
        <dt>State</dt>
        <dd>
          {unit.active}, {number(unit.processes)} {unit.processes === 1 ? "process" : "processes"}
          {unit.main_pid !== null && `, main process ${unit.main_pid}`}
        </dd>
      </div>
      <div>
        <dt>Restart=</dt>
        <dd>{restartText(unit.restart)}</dd>
      </div>
      <div>
        <dt>Limits now</dt>
        <dd>{limitsText(unit)}</dd>
      </div>
      <Listed
        term="Stops with it"
        none="nothing that runs requires it"
        values={unit.dependants}
        more={unit.dependants_more}
      />
      <Listed term="Shares its group" none="nothing else" values={shares} more={0} />
    </dl>
  </section>
)

const limitsText = ({ memory_bytes, memory_high_bytes, quota_percent, weight }: Unit): string =>
  [
    weight === null ? "" : `CPU weight ${number(weight)}`,
    quota_percent === null ? "" : `CPU ${inUnit(quota_percent, "percent")} of a core`,
    memory_high_bytes === null ? "" : `memory ${bytes(memory_high_bytes)}`,
    memory_bytes === null ? "" : `${bytes(memory_bytes)} of memory in use`
  ]
    .filter((text) => text !== "")
    .join(", ") || "none"

const Listed = (props: {
  readonly term: string
  readonly none: string
  readonly values: ReadonlyArray<string>
  readonly more: number
}) => {
  const { more, none, term, values } = props
  const left = more + Math.max(0, values.length - LISTED)
  return (
    <div>
      <dt>{term}</dt>
      <dd>
        {values.length === 0 && none}
        {values.slice(0, LISTED).map((value, n) => (
          // biome-ignore lint/suspicious/noArrayIndexKey: two may be called the same, and they are never put in another order.
          <span key={n}>
            {n > 0 && ", "}
            <Name value={value} />
          </span>
        ))}
        {left > 0 && ` and ${number(left)} more`}
      </dd>
    </div>
  )
}

const Processes = ({ preview: { processes, processes_more } }: { readonly preview: Preview }) => (
  <>
    <Scroller label="Processes, as the host saw them">
      <table className="acting-processes">
        <thead>
          <tr>
            <th scope="col">Process</th>
            <th scope="col">Name</th>
            <th scope="col">Started</th>
            <th scope="col">User</th>
            <th scope="col" className="num">
              CPU
            </th>
            <th scope="col" className="num">
              Memory
            </th>
            <th scope="col" className="num">
              Children
            </th>
          </tr>
        </thead>
        <tbody>
          {processes.map((one) => (
            <Process key={one.pid} process={one} />
          ))}
        </tbody>
      </table>
    </Scroller>
    {processes_more > 0 && (
      <p className="muted small">
        and {number(processes_more)} more, on which nothing can be done from here: open their unit
      </p>
    )}
  </>
)

const Process = ({ process }: { readonly process: PreviewProcess }) => (
  <tr>
    <th scope="row">{process.pid}</th>
    <td>
      <Name value={process.name} />
      {process.container && <span className="muted"> in a container</span>}
      <span className="sub">
        {process.command === "" ? `state ${process.state}` : <Name value={process.command} />}
      </span>
    </td>
    <td title={`${process.start_ticks} ticks after the boot`}>{startText(process.start_ticks)}</td>
    <td>
      <Name value={process.user} />
    </td>
    <td className="num">{duration(process.cpu_seconds)}</td>
    <td className="num">{bytes(process.memory_bytes)}</td>
    <td className="num">{number(process.children)}</td>
  </tr>
)
