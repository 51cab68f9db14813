delete from admiral."cgroup_snapshots_1h" bucket
where bucket.server_id = $1::int4 and bucket.bucket < timestamptz 'epoch' + $2::float8 * interval '1 microsecond';
