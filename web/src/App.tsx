/** The frame of the page: who is signed in, what the catalog says, which view the address names, and the keys. */
import { useCallback, useEffect, useRef, useState } from "react"
import { AskFailed, ask, type Catalog, onSessionEnd } from "./ask/Api.ts"
import { CatalogContext } from "./ask/CatalogContext.ts"
import { forgetAnswers, Heartbeat } from "./ask/Refresh.tsx"
import { go, nameOfPart, usePlace } from "./ask/Url.ts"
import { type Who, WhoContext } from "./ask/WhoContext.ts"
import { FleetPage } from "./fleet/Fleet.tsx"
import { Header } from "./frame/Header.tsx"
import { Help } from "./frame/Help.tsx"
import { useKeys } from "./frame/Keys.ts"
import { NotReadyLine } from "./frame/NotReady.tsx"
import { SessionEnded } from "./frame/SessionEnded.tsx"
import { SignIn } from "./frame/SignIn.tsx"
import { UnencryptedLine } from "./frame/Unencrypted.tsx"
import { MarksOf } from "./marks/MarksOf.tsx"
import { Failure } from "./parts/Failure.tsx"
import { late } from "./parts/Late.tsx"
import { ResourcePage } from "./server/Resource.tsx"
import { ServerPage } from "./server/Server.tsx"

const ActPage = late(async () => (await import("./acting/ActPage.tsx")).ActPage)
const ActsPage = late(async () => (await import("./acting/Acts.tsx")).ActsPage)
const AccessPage = late(async () => (await import("./access/Access.tsx")).AccessPage)
const ComparePage = late(async () => (await import("./compare/Compare.tsx")).ComparePage)
const SpreadPage = late(async () => (await import("./compare/Spread.tsx")).SpreadPage)
const GroupingsPage = late(async () => (await import("./groupings/Groupings.tsx")).GroupingsPage)
const GroupsPage = late(async () => (await import("./processes/Groups.tsx")).GroupsPage)
const GroupServersPage = late(async () => (await import("./processes/GroupServers.tsx")).GroupServersPage)
const RecordingPage = late(async () => (await import("./recordings/RecordingPage.tsx")).RecordingPage)
const RecordingsPage = late(async () => (await import("./recordings/Recordings.tsx")).RecordingsPage)
const WatchPage = late(async () => (await import("./watch/Watch.tsx")).WatchPage)
const PipelinePage = late(async () => (await import("./pipeline/Pipeline.tsx")).PipelinePage)

type State =
  | { readonly is: "asking" }
  | { readonly is: "signed-out" }
  | { readonly is: "failed"; readonly failure: AskFailed }
  | {
      readonly is: "ready"
      readonly who: Who
      readonly catalog: Catalog
      /** The session is over while the page is open: what was typed stays, and whoever signs in again goes on. */
      readonly ended: boolean
    }

export const App = () => {
  const [state, setState] = useState<State>({ is: "asking" })
  const start = useCallback(async () => {
    try {
      const who = await ask("session.whoAmI")
      setState({ is: "ready", who, catalog: await ask("exporters.catalog"), ended: false })
    } catch (error) {
      const failure = error instanceof AskFailed ? error : new AskFailed(0, "The page cannot start", String(error))
      setState(failure.status === 401 ? { is: "signed-out" } : { is: "failed", failure })
    }
  }, [])
  useEffect(() => void start(), [start])
  useEffect(() => onSessionEnd(() => setState((now) => (now.is === "ready" ? { ...now, ended: true } : now))), [])
  const signedInAgain = useCallback((who: Who) => {
    setState((now) => {
      if (now.is !== "ready") return now
      // Somebody else sees nothing of what was there.
      if (now.who.principal !== who.principal || now.who.kind !== who.kind) forgetAnswers()
      return { ...now, who, ended: false }
    })
  }, [])
  const signedOut = useCallback(() => {
    forgetAnswers()
    setState({ is: "signed-out" })
  }, [])

  if (state.is === "asking") return <div className="starting" role="status" aria-label="Starting" />
  if (state.is === "signed-out") return <SignIn onSignedIn={start} />
  if (state.is === "failed") {
    return (
      <main className="lonely">
        <Failure alone failure={state.failure} what="NodePulse" onRetry={() => void start()} />
      </main>
    )
  }
  const { catalog, ended, who } = state
  return (
    <CatalogContext value={catalog}>
      <WhoContext value={who}>
        <Heartbeat key={`${who.principal} ${who.kind}`} stopped={ended}>
          <Frame onSignedOut={signedOut} />
        </Heartbeat>
        {ended && <SessionEnded onSignedIn={signedInAgain} />}
      </WhoContext>
    </CatalogContext>
  )
}

const Frame = ({ onSignedOut }: { readonly onSignedOut: () => void }) => {
  const { path } = usePlace()
  const [help, setHelp] = useState(false)
  const where = path.join("/")
  const before = useRef(where)
  useEffect(() => {
    if (before.current !== where) window.scrollTo(0, 0)
    before.current = where
  }, [where])
  useKeys(
    useCallback((key) => {
      if (key === "?") setHelp(true)
      else if (key === "/") {
        const search = document.querySelector<HTMLInputElement>("input[type=search]")
        if (search === null) return false
        search.focus()
        search.select()
      } else if (key === "g") go("/")
      else if (key === "w") go("/watch")
      else if (key === "p") go("/pipeline")
      else return false
      return true
    }, [])
  )
  return (
    <>
      <a className="skip" href="#content">
        Skip to content
      </a>
      <Header onHelp={() => setHelp(true)} onSignedOut={onSignedOut} />
      <main id="content" tabIndex={-1}>
        <UnencryptedLine />
        {path[0] !== "pipeline" && <NotReadyLine />}
        <View path={path} />
      </main>
      {help && <Help onClose={() => setHelp(false)} />}
    </>
  )
}

const View = ({ path }: { readonly path: ReadonlyArray<string> }) => {
  const [first, id, resource] = path
  if (first === undefined) return <FleetPage />
  if (first === "servers" && id !== undefined && resource === "recordings") return <RecordingsPage key={id} id={id} />
  if (first === "servers" && id !== undefined && resource === "acts") return <ActsPage key={id} id={id} />
  if (first === "acts" && resource === undefined) return id === undefined ? <ActsPage /> : <ActPage key={id} id={id} />
  if (first === "recordings" && id !== undefined) return <RecordingPage key={id} id={id} />
  if (first === "servers" && id !== undefined) {
    return resource === undefined ? (
      <MarksOf key={id} id={id}>
        <ServerPage id={id} />
      </MarksOf>
    ) : (
      <MarksOf key={`${id}/${resource}`} id={id}>
        <ResourcePage id={id} resource={resource} />
      </MarksOf>
    )
  }
  if (first === "compare" && id === undefined) return <ComparePage />
  if (first === "compare" && id === "process") return <SpreadPage />
  if (first === "processes") {
    return id === undefined || resource === undefined ? (
      <GroupsPage key={id} resource={id} />
    ) : (
      <GroupServersPage key={`${id}/${resource}`} resource={id} name={nameOfPart(resource)} />
    )
  }
  if (first === "watch") return <WatchPage part={id} id={resource} />
  if (first === "pipeline") return <PipelinePage />
  if (first === "groupings") return <GroupingsPage />
  if (first === "access" && resource === undefined) return <AccessPage part={id} />
  return (
    <Failure
      alone
      what="This page"
      failure={new AskFailed(404, "Page not found", "There is nothing at this address.")}
    />
  )
}
