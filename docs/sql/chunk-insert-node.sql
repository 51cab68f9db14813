insert into admiral."node_snapshots_packed"
  (server_id, "timestamp", at, labels, layout, units, bases, planes, whole)
values ($1, $2, $3, $4, $5, $6, $7, $8, $9);
