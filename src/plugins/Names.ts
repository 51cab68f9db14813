/**
 * Which names an exporter, its table and its columns may have: the one list that registry and migrations ask.
 *
 * Names go into SQL, addresses and JSON as they are, so they are plain snake case. Taken are those that every table or row
 * has of itself, those of NodePulse's own tables, and those that are made from another exporter's table.
 */

export const IDENTIFIER_LENGTH_MAX = 40

export const IDENTIFIER_RULE = `must be snake_case (a-z, 0-9, _), at most ${IDENTIFIER_LENGTH_MAX} characters`

/** Short enough that what is made from it stays within PostgreSQL's 63 bytes. */
export const isIdentifier = (name: string): boolean =>
  /^[a-z][a-z0-9]*(_[a-z0-9]+)*$/.test(name) && name.length <= IDENTIFIER_LENGTH_MAX

/**
 * Columns that every table has, ours and PostgreSQL's; and `constructor`, the one name in snake case that every JavaScript
 * object answers to.
 */
export const RESERVED_COLUMNS: ReadonlySet<string> = new Set([
  ...["server_id", "timestamp", "created_at", "counters_since", "counters_since_of", "packed_in", "first_at"],
  "bucket",
  ...["tableoid", "xmin", "cmin", "xmax", "cmax", "ctid"],
  "constructor"
])

/** Tables that are there whatever the exporters. */
export const CORE_TABLES: ReadonlyArray<string> = [
  ...[
    "servers",
    "server_ids",
    "label_values",
    "tokens",
    "dead_letters",
    "agents",
    "exporters",
    "rollup_queue",
    "migrations"
  ],
  ...["packing_queue", "packed_days", "packed_number", "sessions", "sign_in_links", "audit", "notes", "stream_keys"],
  ...["streams", "digests", "processes"],
  ...[
    "groupings",
    "alerts",
    "alert_states",
    "alert_progress",
    "incidents",
    "incident_alerts",
    "notifications",
    "delivery_progress"
  ],
  ...["rules", "silences", "recordings", "recording_requests", "hands", "previews", "orders"]
]

/** What is made from an exporter's table `t`: `t_scrapes`, its partitions, its indexes, and so on. */
const DERIVED = ["scrapes", "packed", "rows", "first_seen", "between", "5m", "1h", "1d"]

/** Whose name a table of this name would take, now or later (partitions come and go); undefined where it is free. */
export const tableTakenBy = (table: string, others: Iterable<string>): string | undefined => {
  const core = CORE_TABLES.find((name) => table === name || table.startsWith(`${name}_`))
  if (core !== undefined) return "NodePulse"
  for (const other of others) {
    if (table === other || isDerivedFrom(table, other) || isDerivedFrom(other, table)) return `the table "${other}"`
  }
  return undefined
}

const isDerivedFrom = (table: string, other: string): boolean =>
  DERIVED.some((suffix) => table === `${other}_${suffix}` || table.startsWith(`${other}_${suffix}_`))
