update admiral.alerts as alert set resolved_at = now()
where alert.resolved_at is null and alert.rule = 'Act'
  and alert.asked ->> 'order_id' in (select value from json_array_elements_text($1::json));
