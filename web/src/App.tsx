/** The frame of the page: who is signed in, what the catalog says, which view the address names, and the keys. */
import { useCallback, useEffect, useRef, useState } from "react"
import { type Answer, AskFailed, ask, type Catalog } from "./Api.ts"
import { CatalogContext } from "./CatalogContext.ts"
import { Failure } from "./Failure.tsx"
import { FleetPage } from "./Fleet.tsx"
import { Header } from "./Header.tsx"
import { Help } from "./Help.tsx"
import { useKeys } from "./Keys.ts"
import { PipelinePage } from "./Pipeline.tsx"
import { forgetAnswers, Heartbeat } from "./Refresh.tsx"
import { ResourcePage } from "./Resource.tsx"
import { ServerPage } from "./Server.tsx"
import { SignIn } from "./SignIn.tsx"
import { go, usePlace } from "./Url.ts"

type State =
  | { readonly is: "asking" }
  | { readonly is: "signed-out" }
  | { readonly is: "failed"; readonly failure: AskFailed }
  | { readonly is: "ready"; readonly who: Answer<"session.whoAmI">; readonly catalog: Catalog }

export const App = () => {
  const [state, setState] = useState<State>({ is: "asking" })
  const start = useCallback(async () => {
    try {
      const who = await ask("session.whoAmI")
      setState({ is: "ready", who, catalog: await ask("exporters.catalog") })
    } catch (error) {
      const failure = error instanceof AskFailed ? error : new AskFailed(0, "The page cannot start", String(error))
      setState(failure.status === 401 ? { is: "signed-out" } : { is: "failed", failure })
    }
  }, [])
  useEffect(() => void start(), [start])
  const signedOut = useCallback(() => {
    forgetAnswers()
    setState({ is: "signed-out" })
  }, [])

  if (state.is === "asking") return <div className="starting" role="status" aria-label="Starting" />
  if (state.is === "signed-out") return <SignIn onSignedIn={start} />
  if (state.is === "failed") {
    return (
      <main className="lonely">
        <Failure failure={state.failure} what="NodePulse" onRetry={() => void start()} />
      </main>
    )
  }
  return (
    <CatalogContext value={state.catalog}>
      <Heartbeat onSignedOut={signedOut}>
        <Frame admin={state.who.kind === "admin"} onSignedOut={signedOut} />
      </Heartbeat>
    </CatalogContext>
  )
}

const Frame = ({ admin, onSignedOut }: { readonly admin: boolean; readonly onSignedOut: () => void }) => {
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
        <View path={path} admin={admin} />
      </main>
      {help && <Help onClose={() => setHelp(false)} />}
    </>
  )
}

const View = ({ admin, path }: { readonly path: ReadonlyArray<string>; readonly admin: boolean }) => {
  const [first, id, resource] = path
  if (first === undefined) return <FleetPage admin={admin} />
  if (first === "servers" && id !== undefined) {
    return resource === undefined ? (
      <ServerPage key={id} id={id} />
    ) : (
      <ResourcePage key={`${id}/${resource}`} id={id} resource={resource} />
    )
  }
  if (first === "pipeline") return <PipelinePage />
  return (
    <Failure what="This page" failure={new AskFailed(404, "There is no such page", "The address leads nowhere.")} />
  )
}
