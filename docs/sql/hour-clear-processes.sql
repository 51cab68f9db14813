delete from admiral."process_snapshots_packed" as chunk
where chunk.server_id = $1 and chunk."timestamp" >= $2 and chunk."timestamp" < $3;
