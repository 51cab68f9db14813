select round(extract(epoch from now()) * 1000000)::float8 / 1000 as now;
