/** The page starts here. */
import { createRoot } from "react-dom/client"
import { App } from "./App.tsx"
import "./page.css"

const root = document.getElementById("root")
if (root !== null) createRoot(root).render(<App />)
