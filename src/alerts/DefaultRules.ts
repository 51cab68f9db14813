/**
 * The rules that are shipped, as the text of a file of rules: quiet on a healthy fleet. A rule of the same name in a file, or one that
 * was saved, replaces one of them; `NODEPULSE_DEFAULT_RULES=off` leaves them all out.
 */

/**
 * Those about servers and their processes.
 *
 * How the numbers were chosen: by a back-test over seven days of the demonstration fleet (`scripts/demo-fleet.ts`), on which its leak,
 * its build that does not end, its crash loop and its server that fell silent are found, and nothing else fires.
 * - Silent: 5 minutes is `staleAfter`, after which nothing is said about a server anyway.
 * - Runaway: a group that has three quarters of a machine that has nothing left. A build takes as much of the fleet's runners for up
 *   to 25 minutes, but leaves them a third; a busy `ffmpeg` has up to 70 % of its machine.
 * - Leak: caches and services fill from the night until the afternoon, by up to 130 MiB an hour: held for 6 hours the rule fires for three
 *   of them. What grows at every moment of 18 hours is no rhythm of the day; what cannot wait for that runs out of memory sooner.
 * - Crash loop: an exporter that restarts begins every counter anew, once or twice in an upgrade; six times in 15 minutes is a loop.
 * - Memory: two hours are enough to get up for. Less than 5 % is left where caches cannot give way any more.
 */
export const FLEET_RULES = `rules:
  - name: "Server is silent"
    resource: "node"
    silent: true
    over: "5m"
    severity: "critical"

  - name: "Runaway process"
    resource: "processes"
    metric: "cpu"
    above: 75
    of: "machine"
    resolve: 50
    only_while: {metric: "busy", above: 90}
    over: "5m"
    for: "15m"
    keep_firing_for: "10m"

  - name: "Memory leak"
    resource: "processes"
    metric: "memory"
    growth_above: 16
    over: "6h"
    for: "18h"
    keep_firing_for: "1h"

  - name: "Crash loop"
    resource: "processes"
    restarts_above: 5
    over: "15m"
    keep_firing_for: "15m"

  - name: "Memory runs out"
    resource: "node"
    exhausts_in: "2h"
    over: "4h"
    for: "15m"
    keep_firing_for: "30m"
    severity: "critical"

  - name: "Memory is nearly used up"
    resource: "node"
    metric: "memory_available"
    below: 5
    resolve: 10
    over: "5m"
    for: "10m"
    keep_firing_for: "10m"
    severity: "critical"
`

/**
 * And those about NodePulse itself. A clock that is 30 s off puts rows where others' are not; a dead letter is a row that nobody will
 * ever see, so each of them is told; on a disk at 90 % there is time to act.
 */
export const DEFAULT_RULES = `${FLEET_RULES}
  - name: "A clock is off"
    resource: "nodepulse"
    metric: "clock_skew"
    above: 30
    resolve: 10
    for: "5m"
    keep_firing_for: "10m"

  - name: "Rows are rejected"
    resource: "nodepulse"
    metric: "dead_letters"
    above: 0
    over: "15m"

  - name: "NodePulse's disk is nearly full"
    resource: "nodepulse"
    metric: "disk_used"
    above: 90
    resolve: 85
    for: "5m"
    severity: "critical"
`
