/** Statements for SQLite: what people ask, and what must not pass. `⏎` stands for a line break. */
export const reads = String.raw`
select 1
SELECT 1;
select 1; -- done
/* why */ select 1
select 'a; drop table x; --', 'it''s', ".shell", [from], "select" from t
select 'ünï', '日本'
select count(*) from t where note = '.shell rm'
SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name
select sql from sqlite_schema where name like 'ord%'
select id, total from orders where customer = 'O''Brien' order by total desc nulls last limit 10 offset 20
select * from orders limit 5, 10
select o.id, c.name from orders o join customers c on c.id = o.customer_id left outer join x using (id, day) natural join y cross join z
select distinct a, count(distinct b) as n from t group by a having n > 1
select sum(x) over (partition by a order by b rows between unbounded preceding and current row), row_number() over w from t window w as (order by a)
select count(*) filter (where x > 1) from t
select case when a > 1 then 'x' else 'y' end, case a when 1 then 2 end from t
select coalesce(a, b), ifnull(a, 0), nullif(a, b), iif(a, 1, 2) from t
select date('now'), datetime('now', '-7 days'), strftime('%Y-%m', ts), julianday(ts), unixepoch(ts), time('12:00') from t
select current_date, current_time, current_timestamp
select date(ts, 'unixepoch', 'localtime'), strftime('%s', 'now') - strftime('%s', ts) from t
select upper(a) || lower(b), length(a), substr(a, 1, 3), instr(a, 'x'), trim(a), replace(a, 'attach', 'x'), ltrim(a, 'x') from t
select printf('%05d %s', id, name), format('%.2f', x), char(65), unicode('a'), hex(b), quote(a), typeof(a) from t
select a like 'x\_%' escape '\', b glob 'x*', c not like 'y', d regexp '^x', e match 'z' from t
select json_extract(doc, '$.a'), doc -> 'b', doc ->> '$.c', json_type(doc), json_group_array(id) from t
select j.key, j.value from t, json_each(t.doc) as j
select value from json_each('[1,2,3]')
select fullkey from json_tree('{"a": 1}') where type = 'integer'
select group_concat(name, ', '), total(x), avg(x), min(a, b), max(x) from t
select cast(a as integer), cast(b as decimal(10, 2)), +a, -b, ~c, not d from t
select a between 1 and 2, b in (1, 2), c in (select id from d), e not in t2, (a, b) = (1, 2), a is null, b is not null, c isnull, d notnull, a is b, a is not distinct from b from t
select exists (select 1 from u where u.id = t.id), (select max(id) from u) from t
with a as (select 1 as x), b(y) as materialized (select x + 1 from a) select * from a, b
with recursive tree as (select id, parent from c where parent is null union all select c.id, c.parent from c join tree on c.parent = tree.id) select * from tree
with recursive n(i) as (values (1) union all select i + 1 from n where i < 100) select sum(i) from n
with n(i) as (select 1 union all select i + 1 from n limit 50) select * from n
select a from t union select b from u union all select c from v except select 1 intersect select 2 order by 1
values (1, 'a'), (2, 'b')
select * from (values (1), (2))
select * from (select 1 as a) where a = 1
select * from (t join u on t.id = u.id)
select main.t.id from main.t as t not indexed
select * from t indexed by ix_a where a = 1
select t.*, t.rowid from t
select x'0aFF', 0x1f, 1e10, .5, null, true, false
select * from pragma_table_info('orders')
select m.name, p.name from sqlite_master m join pragma_table_info(m.name) p
select * from generate_series(1, 10)
select abs(-1), round(1.5, 1), random(), sign(x), pow(2, 3), sqrt(4), mod(5, 2), ceil(x), ln(x), pi()
select a & b | c << 2 >> 1, a % b, a <> b, a != b, a == b from t
select a collate nocase from t order by b collate rtrim asc
select sqlite_version(), last_insert_rowid(), changes(), total_changes()
select 1 where 'attach' <> 'x'
select count(*) "drop table" from t
select lag(a) over (order by b), ntile(4) over (order by c groups between 1 preceding and 2 following exclude ties) from t
select snippet(docs), bm25(docs) from docs where docs match 'hello'
select string_agg(name, ',' order by name) from t
select lower(hex(randomblob(16)))`
  .trim()
  .split('\n')

export const refused = String.raw`
.shell id
 .shell id
.system id
.output |id
;.shell id
⏎.shell id
.read /tmp/x
.import --csv "|id" t
.open /tmp/x
.load /tmp/x.so
.help
# .shell id
select 1; .shell id
select 1; select 2
delete from t
insert into t values (1)
replace into t values (1)
update t set a = 1
with a as (select 1) delete from t
with a as (select 1) insert into t select * from a
drop table t
create table x as select 1
create temp table x (a)
create trigger tr after insert on t begin select 1; end
alter table t add column x
attach '/tmp/x' as x
attach database 'file:/tmp/x?mode=rwc' as x
detach x
pragma writable_schema = 1
pragma journal_mode
pragma table_info(t)
vacuum
vacuum into '/tmp/x'
analyze
reindex
begin
commit
savepoint a
explain delete from t
select readfile('/etc/passwd')
select "readfile"('/etc/passwd')
select [readfile]('/etc/passwd')
select READFILE('/etc/passwd')
select/**/readfile/**/('/etc/passwd')
select writefile('/tmp/x', 'y')
select load_extension('/tmp/x.so')
select edit('x', 'sh -c id')
select fts3_tokenizer('simple')
select fts3_tokenizer('simple', x'4141')
select fts5(?1)
select eval('delete from t')
select sha3_query('delete from t')
select optimize(docs) from docs
select zeroblob(1000000000)
select randomblob(1000000000)
select randomblob(n) from t
select printf('%1000000000d', 1)
select printf('%.*c', 1000000000, 'x')
select printf(f, 1) from t
select usleep(1000000000)
select my_function(1)
select count(*) filter (where readfile('/x') is null) from t
select sum(readfile('/x')) over (order by writefile('/x', 'y')) from t
select 1 order by load_extension('x')
select 1 limit writefile('/x', 'y')
select 1 where 1 in (select writefile('/x', 'y'))
with a as (select readfile('/etc/passwd')) select * from a
select case when 1 then edit('a') end
select * from fsdir('/etc')
select data from fsdir where path = '/etc/passwd'
select 1 in fsdir('/etc')
select 1 where '/etc' in fsdir
select * from main.fsdir('/etc')
select * from zipfile('/tmp/x.zip')
select * from sqlite_dbpage
select * from sqlite_stmt
select * from dbstat
select * from completion
select * from pragma_database_list
select * from pragma_wal_checkpoint
select * from pragma_optimize
select * from pragma_integrity_check('t')
select * from "PRAGMA_DATABASE_LIST"
select * from csv('/etc/passwd')
select * from other.t
select * from generate_series(1, 1000000000)
select * from generate_series
select * from generate_series(1)
select count(*) from generate_series(1, 100000), generate_series(1, 100000)
with recursive r(n) as (select 1 union all select n + 1 from r) select count(*) from r
with r(n) as (select 1 union all select n + 1 from r) select count(*) from r
with r(n) as (select 1 union select n + 1 from r where 1) select * from r
with r(n) as (values (1) union all select n + 1 from r where n < 100000000000) select * from r
with r(n) as (select 1 union all select n + 1 from r where true) select * from r limit 5
select raise(abort, 'x')
select ?1
select :name
select @v
select
select 'open
select from t where
select 1 union`
  .trim()
  .split('\n')
