/**
 * The rules that are shipped, as the text of a file of rules: quiet on a healthy fleet. A rule of the same name in a file, or one that
 * was saved, replaces one of them; `NODEPULSE_DEFAULT_RULES=off` leaves them all out.
 */
export const DEFAULT_RULES = `rules:
  - name: "Server is silent"
    resource: "node"
    silent: true
    over: "5m"
    severity: "critical"
`
