/** Everything that one exporter tells of a server, from the catalog alone: its ranking or its charts, and its columns. */
import { AskFailed, type Exporter } from "../ask/Api.ts"
import { useCatalog } from "../ask/CatalogContext.ts"
import { useAsk } from "../ask/Refresh.tsx"
import { serverPath } from "../ask/Url.ts"
import { RangePicker } from "../frame/Toolbar.tsx"
import { Crumbs } from "../parts/Crumbs.tsx"
import { Failure } from "../parts/Failure.tsx"
import { duration } from "../parts/Format.ts"
import { Link } from "../parts/Link.tsx"
import { Name } from "../parts/Name.tsx"
import { Table } from "../parts/Table.tsx"
import { Explorer } from "./Explorer.tsx"
import { PanelGrid, panelsOf, usePanels } from "./Panels.tsx"
import { paceOf } from "./Server.tsx"

export const ResourcePage = ({ id, resource }: { readonly id: string; readonly resource: string }) => {
  const { exporters } = useCatalog()
  const server = useAsk("servers.get", { id })
  const exporter = exporters.find((candidate) => candidate.resource === resource)
  if (server.failure?.status === 404) return <Failure alone failure={server.failure} what={`The server ${id}`} />
  if (exporter === undefined) {
    return (
      <Failure
        alone
        what="This page"
        failure={
          new AskFailed(404, "Resource not found", `Available: ${exporters.map((one) => one.resource).join(", ")}.`)
        }
      />
    )
  }
  return (
    <>
      <header className="server-head">
        <Crumbs>
          <Link href="/">Servers</Link>
          <Link href={serverPath(id, window.location.search)}>
            <Name value={server.value?.name ?? id} />
          </Link>
        </Crumbs>
        <h1>{exporter.title}</h1>
        <p className="muted">
          {exporter.name}, every {duration(paceOf(exporter, server.value))}, kept{" "}
          {exporter.retention_seconds === null ? "forever" : duration(exporter.retention_seconds)}
        </p>
      </header>
      {exporter.top === null ? (
        <AllPanels id={id} exporter={exporter} />
      ) : (
        <Explorer id={id} exporter={exporter} pace={paceOf(exporter, server.value)} />
      )}
      <Columns exporter={exporter} />
    </>
  )
}

const AllPanels = ({ exporter, id }: { readonly id: string; readonly exporter: Exporter }) => {
  const panels = panelsOf(exporter)
  const answer = usePanels(id, exporter, panels, 90)
  const cores =
    answer.value?.series.find(({ name }) => name === exporter.host?.cores)?.values.findLast((one) => one !== null) ??
    undefined
  return (
    <>
      <h2 className="visually-hidden">All series</h2>
      <div className="toolbar">
        <RangePicker />
      </div>
      <PanelGrid answer={answer} panels={panels} cores={cores} />
    </>
  )
}

const Columns = ({ exporter }: { readonly exporter: Exporter }) => (
  <details className="card columns">
    <summary>What each column means</summary>
    <Table label="Columns" columns={{ Column: "text", Kind: "text", Unit: "text", Meaning: "text" }}>
      {exporter.columns.map(({ doc, kind, name, unit }) => (
        <tr key={name}>
          <th scope="row">
            <code>{name}</code>
          </th>
          <td>{kind}</td>
          <td>{unit ?? ""}</td>
          <td>{doc}</td>
        </tr>
      ))}
    </Table>
  </details>
)
