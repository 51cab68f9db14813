insert into admiral.alerts (rule, server_id, alert_group, sentence, severity, asked, fired_at, resolved_at)
select 'Act', server.id, $2::text, $3::text, $4::text,
  '{"resource": "acts", "metric": null, "unit": "", "span": 300000}', now(), now()
from admiral.servers as server where server.server_id = $1::text;
