update admiral.alerts as alert set resolved_at = now() from admiral.servers as server
where server.server_id = $1::text and alert.server_id = server.id and alert.rule = 'Act' and alert.alert_group = $2::text
  and alert.resolved_at is null;
