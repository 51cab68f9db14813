/**
 * Places that are loaded when somebody goes there, so that the first view loads no more than it shows.
 *
 * Where a script cannot be loaded, as after an upgrade of the server while the page was open, the page says so and offers
 * to load itself anew: the address is its state, so nothing is lost.
 */
import { Component, type ComponentType, lazy, type ReactNode, Suspense } from "react"

/** A view that is loaded when it is first shown. */
export const late = <Props extends object>(load: () => Promise<ComponentType<Props>>) => {
  const View = lazy(async () => ({ default: await load() }))
  return (props: Props) => (
    <NotLoaded>
      <Suspense fallback={<div className="card skeleton tall" role="status" aria-label="Loading" />}>
        <View {...props} />
      </Suspense>
    </NotLoaded>
  )
}

class NotLoaded extends Component<{ readonly children: ReactNode }, { readonly failed: boolean }> {
  override state = { failed: false }
  static getDerivedStateFromError = () => ({ failed: true })
  override render() {
    if (!this.state.failed) return this.props.children
    return (
      <section className="failure" role="alert">
        <h2>This part of the page could not be loaded</h2>
        <p>NodePulse may have been upgraded while this page was open, or the connection was lost.</p>
        <p>
          <button type="button" className="primary" onClick={() => window.location.reload()}>
            Load the page anew
          </button>
        </p>
      </section>
    )
  }
}
