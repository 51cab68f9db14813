/** What waits on a server, what for, and the setting that changes it; or that nothing does. */
import type { Answer } from "../ask/Api.ts"
import { useGroupPath } from "../ask/GroupPath.ts"
import { Command } from "../parts/Command.tsx"
import { Link } from "../parts/Link.tsx"
import { Name } from "../parts/Name.tsx"

type Told = Answer<"verdict.verdict">
type Verdict = Told["verdicts"][number]

export const Verdicts = ({ answer, id }: { readonly id: string; readonly answer: Told }) => (
  <>
    <p className={answer.verdicts.length === 0 ? "why-said muted" : "why-said"}>{answer.sentence}</p>
    {answer.verdicts.length > 0 && (
      <ul className="verdicts">
        {answer.verdicts.map((verdict) => (
          <OneVerdict
            key={`${verdict.kind} ${verdict.subject.name ?? ""}`}
            id={id}
            units={answer.resources.units}
            verdict={verdict}
          />
        ))}
      </ul>
    )}
  </>
)

const KINDS: Readonly<Record<Verdict["kind"], string>> = {
  throttled: "Quota",
  cores: "Cores",
  neighbours: "Neighbours",
  steal: "Hypervisor",
  memory: "Memory",
  io: "I/O"
}

const OneVerdict = ({
  id,
  units,
  verdict
}: {
  readonly id: string
  readonly units: string | null
  readonly verdict: Verdict
}) => {
  const { kind, sentence, setting, subject } = verdict
  return (
    <li>
      <p>
        <span className={`verdict-kind ${kind}`}>{KINDS[kind]}</span>{" "}
        <Sentence id={id} units={units} name={subject.name} text={sentence} />
      </p>
      {setting !== null && (setting.systemd ?? setting.docker ?? setting.kubernetes) !== null && (
        <>
          {setting.systemd !== null && <Command text={setting.systemd} />}
          <p className="muted small">
            {setting.current === null ? "" : `${setting.what} is ${setting.current} now. `}
            {setting.docker !== null && (
              <>
                Of a container: <code>{setting.docker}</code>.{" "}
              </>
            )}
            {setting.kubernetes !== null && (
              <>
                In Kubernetes: <code>{setting.kubernetes}</code>.
              </>
            )}
          </p>
        </>
      )}
    </li>
  )
}

/** A sentence that begins with a unit's name links it, in the time that was judged. */
const Sentence = ({
  id,
  name,
  text,
  units
}: {
  readonly id: string
  readonly name: string | null
  readonly text: string
  readonly units: string | null
}) => {
  const pathTo = useGroupPath(id)
  if (name === null || units === null || !text.startsWith(name)) return <>{text}</>
  return (
    <>
      <Link href={pathTo(units, name)}>
        <Name value={name} />
      </Link>
      {text.slice(name.length)}
    </>
  )
}
