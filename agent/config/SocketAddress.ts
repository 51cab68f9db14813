/**
 * Addresses of exporters that listen on a socket of this machine: `unix:///run/exporter.sock:/metrics`, the path of the
 * socket, then a colon and the path to ask for (`/metrics` where there is none). Also `unix:/run/exporter.sock`, and
 * `http+unix://%2Frun%2Fexporter.sock/metrics`. Pure.
 */
export interface SocketAddress {
  /** Of the socket. */
  readonly path: string
  /** What is asked for. */
  readonly target: string
}

/** What the kernel has room for (sun_path less its end). */
const SOCKET_PATH_BYTES = 107

/** Undefined where the address is of another kind. A path that no socket can have is as good as none. */
export const socketAddress = (address: string): SocketAddress | undefined => {
  const encoded = /^http\+unix:\/\/([^/?]+)(\/?.*)$/s.exec(address)
  const plain = /^unix:(?:\/\/)?(\/.*?)(?::(\/.*))?$/s.exec(address)
  const path = encoded === null ? plain?.[1] : decoded(encoded[1]!)
  const target = (encoded === null ? plain?.[2] : encoded[2]) ?? ""
  if (path === undefined || !path.startsWith("/") || Buffer.byteLength(path) > SOCKET_PATH_BYTES) return undefined
  if (/[\x00-\x20\x7f]/.test(target) || path.includes("\0")) return undefined
  return { path, target: target === "" || target === "/" ? "/metrics" : target }
}

/** Whether the address says that it is one of a socket, valid or not. */
export const isSocketAddress = (address: string): boolean => /^(http\+)?unix:/i.test(address)

const decoded = (text: string): string | undefined => {
  try {
    return decodeURIComponent(text)
  } catch {
    return undefined
  }
}
