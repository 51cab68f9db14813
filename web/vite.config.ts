/**
 * How the page is built: one script and one style sheet for the first view, one of each for a place that is loaded late,
 * all with a brotli and a gzip file beside them, which the server sends as they are. Nothing is inlined, so that the
 * content security policy can forbid it.
 */
import { readdirSync, readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { brotliCompressSync, constants, gzipSync } from "node:zlib"
import react from "@vitejs/plugin-react"
import { defineConfig, type Plugin } from "vite"

const packed = (): Plugin => ({
  name: "packed",
  apply: "build",
  closeBundle() {
    const folder = join(import.meta.dirname, "dist")
    for (const entry of readdirSync(folder, { recursive: true, withFileTypes: true })) {
      if (!entry.isFile() || !/\.(js|css|svg|html)$/.test(entry.name)) continue
      const path = join(entry.parentPath, entry.name)
      const body = readFileSync(path)
      if (body.length < 400) continue
      writeFileSync(`${path}.gz`, gzipSync(body, { level: 9 }))
      writeFileSync(`${path}.br`, brotliCompressSync(body, { params: { [constants.BROTLI_PARAM_QUALITY]: 11 } }))
    }
  }
})

export default defineConfig({
  root: import.meta.dirname,
  plugins: [react(), packed()],
  build: {
    outDir: "dist",
    emptyOutDir: true,
    target: "es2022",
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    reportCompressedSize: false
  },
  // A script finds what it loads later beside itself, below whatever path the page is served at.
  experimental: { renderBuiltUrl: (_file, { hostType }) => (hostType === "html" ? undefined : { relative: true }) },
  server: { proxy: { "/api": "http://127.0.0.1:8080", "/signin": "http://127.0.0.1:8080" } }
})
