delete from admiral.rollup_queue queued where queued.seconds = 0
returning queued.server_id as server, timestamptz_send(queued.bucket) as at;
