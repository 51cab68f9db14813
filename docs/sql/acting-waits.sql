insert into admiral.alerts (rule, server_id, alert_group, sentence, severity, asked, fired_at)
select 'Act', server.id, $2::text, $3::text, 'warning',
  jsonb_build_object('resource', 'signatures', 'metric', null, 'unit', '', 'span', 300000, 'order_id', $4::text), now()
from admiral.servers as server where server.server_id = $1::text;
