insert into admiral.delivery_progress (began_at) values (timestamptz 'epoch' + $1::float8 * interval '1 microsecond') on conflict (single) do nothing;
