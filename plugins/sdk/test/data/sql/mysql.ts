/** Statements for MySQL and MariaDB: what people ask, and what must not pass. `⏎` stands for a line break. */
const lines = (text: string): string[] => text.trim().replaceAll("´", "`").split('\n')

export const reads = lines(String.raw`
select 1
SELECT count(*) FROM orders WHERE note LIKE '%delete%'
select u.id, count(o.id) as n from users u left join orders o on o.user_id=u.id where o.created_at > now() - interval 7 day group by u.id having n > 3 order by n desc limit 10, 20
select * from t limit 5 offset 10;
show processlist
show full processlist
show variables like 'max_conn%'
show global status where variable_name = 'Uptime'
show create table orders
show tables
show tables from app like 'o%'
show databases
show index from orders
show columns from orders
show full columns from app.orders
show engine innodb status
show slave status\G
show replica status
show binary logs
show master status
show grants
show grants for current_user()
show warnings
show table status like 'orders'
show session variables
show plugins
show engines
show character set
show collation like 'utf8%'
show open tables
show triggers
show events
show procedure status
show function status
show count(*) warnings
explain select * from orders where id=1
explain format=json select * from orders where id=1
explain format=tree select 1
explain extended select 1
describe orders
desc orders id
explain orders
with a as (select 1 as x) select x from a
with recursive c(n) as (select 1 union all select n+1 from c where n<5) select sum(n) from c
select row_number() over (partition by a order by b) from t
select sum(x) over w from t window w as (partition by a order by b rows between unbounded preceding and current row)
select case when a>1 then 'x' else 'y' end from t
select cast(a as decimal(10,2)), convert(b, char), convert(c using utf8mb4) from t
select date_format(created_at, '%Y-%m-%d') d, count(*) from t group by d
select json_extract(doc, '$.a'), doc->'$.b', doc->>'$.c' from t
select group_concat(distinct name order by name desc separator ', ') from t
select * from t where a regexp '^x' and b rlike 'y' and c <=> null
select if(a,b,c), ifnull(a,0), coalesce(a,b), nullif(a,b) from t
select ´order´.´id´ from ´order´
select "it's; -- fine" as x -- comment
select 'a;b' # comment
select /* hi */ 1
select distinct a from t where b in (select id from c) and exists (select 1 from d where d.a=t.a)
(select 1) union all (select 2) order by 1
select 1 union select 2
select timestampdiff(minute, a, b), date_add(a, interval 1 hour), extract(year from a) from t
select substring_index(email,'@',-1), substring(a from 2 for 3), trim(leading 'x' from a), position('a' in b) from t
select * from t use index (ix_a) where a=1
select a from t partition (p0)
select * from a natural join b
select * from a cross join b using (id)
select @@version, @@global.max_connections
select version(), database(), user(), current_user, connection_id()
select current_timestamp, utc_timestamp(), curdate(), unix_timestamp()
select table_name, round((data_length+index_length)/1024/1024,1) mb from information_schema.tables where table_schema=database() order by mb desc
select x'4D', 0x4D, b'01', _utf8mb4'abc', date '2024-01-01', N'abc'
select * from t where (a,b) = (1,2) and not (c between 1 and 2) and d is not null and e like 'x\_%' escape '\\'
select 'O''Brien', 'O\'Brien', "a""b"
select sql_no_cache * from t
select straight_join * from a join b on a.id=b.id
select count(distinct a, b) from t
select sum(a) from t group by b with rollup
select char(65 using utf8mb4), hex(a), md5('x'), sha2('x',256) from t
select a div b, a mod b, a % b, a & b, a ^ b, a << 1, !a, ~a, a xor b, a || b, a && b from t
select any_value(a), first_value(a) over (order by b), lag(a,1) over (order by b) from t
select * from t as x where x.a = 'ünïcödé' and b = '日本'
select t.* from db.t
select match(a,b) against ('foo' in boolean mode) from t
select a from t order by field(status,'a','b'), rand()
select 1 from dual
select * from (select 1 as a) d
table orders
values row(1,2)
select json_object('a', 1), json_arrayagg(a), json_objectagg(a,b) from t
select * from json_table('[1,2]', '$[*]' columns (a int path '$')) jt
select * from t, lateral (select 1) l
select a collate utf8mb4_bin from t
select interval(1,2,3)
select -a, +1, 1e5, .5, 1.5e-3 from t
select count(*) as ´drop table´ from t
select * from performance_schema.threads
select * from sys.innodb_lock_waits
select left(a,3), right(a,3), mod(a,2), replace(a,'b','c'), insert('a',1,1,'b'), repeat('a',3), truncate(1.5,0), format(1,2), ascii('a'), user(), schema(), password from t
select 1;
select 1 \G
select 1\g
-- first⏎select 1
# first⏎select 1
select 'a; drop table x; --', "it's \"so\"", 'tab\t', 'back\\', 'it''s'
select 1 -- a; b
select 1--1
select id⏎from orders⏎where id = 1
select now() - interval 1 day, date_sub(curdate(), interval 7 day), created_at + interval '1:30' hour_minute from t
select u.* from users u inner join orders o using (id) right outer join x on x.a = u.a and x.b = 1
select a from t where a not in (1, 2) and b not like 'x%' and c not between 1 and 2 and d not regexp 'x'
select a = any (select 1), a > all (select b from c) from t
select case a when 1 then 'x' end as c from t
select * from orders where id in (select order_id from items where sku = 'a') order by 1 desc limit 5
select (select max(id) from t) + 1 as n
select ((1 + 2) * 3), (1), ((select 1))
select * from (t1, t2) left join (t3 join t4 on t3.a = t4.a) on t1.a = t3.a
select row(1, 2) = (1, 2), a is not true, b is unknown from t
select sum(a) over (), rank() over (order by b desc), dense_rank() over w, percent_rank() over w from t window w as (partition by c)
select count(*), date(created_at) as day from orders group by day with rollup
select concat(first, ' ', last) as ´full name´, upper(a), lower(b), char_length(c), lpad(id, 8, '0'), repeat('-', 20) from t
select year(a), month(a), dayofweek(a), hour(a), last_day(a), str_to_date('1,2', '%d,%m'), timestampadd(day, 1, a), time_to_sec(b) from t
select round(1.234, 2), abs(-1), ceil(a), floor(b), mod(5, 3), pow(2, 10), sqrt(2), greatest(1, 2), rand() from t
with a as (select 1 x), b as (select x + 1 y from a) select * from a join b on a.x < b.y
with recursive tree as (select id, parent from c where parent is null union all select c.id, c.parent from c join tree on c.parent = tree.id) select * from tree
select 1 except select 2
select 1 intersect select 1
select @@hostname, @@global.read_only, @@session.sql_mode, @x
select schema_name from information_schema.schemata
select * from information_schema.processlist where command <> 'Sleep' and time > 60
select trx_id, trx_started from information_schema.innodb_trx
select name from mysql.time_zone_name
show tables like '%order%'
show tables in app
show table status from app like 'orders'
show engine innodb mutex
SHOW TABLES FROM ´app´
show full tables where table_type = 'VIEW'
show create view v
show create procedure app.p
show index from orders in app
show keys from orders
show fields from orders
show global variables like '%timeout%'
show status
show variables where variable_name in ('max_connections', 'wait_timeout')
show databases like 'app%'
show replicas
show slave status
explain delete from orders where id = 1
explain update orders set paid = 1, total = total + 1 where id = 1 limit 1
explain partitions select 1
explain for connection 12
explain with a as (select 1) select * from a
explain (select 1) union (select 2)
desc app.orders
describe orders total
explain select ´a´.´b´ from ´a´;
`)

export const refused = lines(String.raw`
delete from t
insert into t values (1)
update t set a = 1
replace into t values (1)
truncate t
drop table t
create table x as select 1
alter table t add a int
call p()
do sleep(5)
set @a = 1
set global x = 1
set statement max_statement_time = 1 for select 1
use mysql
begin
commit
lock tables t write
flush privileges
kill 1
handler t open
load data infile '/etc/passwd' into table t
prepare s from 'select 1'
execute immediate 'delete from t'
grant all on *.* to x
analyze table t
analyze select 1
optimize table t
help 'select'
select 1; select 2
select 1; drop table t
select 1;; select 2
select 1\G drop table t
select 1 \g select 2
select 1\G\! id
select 1;\! id
\! id
\. /tmp/x.sql
\T /tmp/x
\P sh -c id
\u mysql
\d //
select 1 \! id
select 1 \T /tmp/x
select 1 \c delete from t
select 1 \p
select 1 \W
system id
source /tmp/x.sql
tee /tmp/x
pager sh -c id
edit
delimiter //
delimiter //⏎select 1//
select 1 as delimiter ,⏎2, shutdown
select delimiter from t
connect db evil
status
/* x */ system id
select 1⏎\! id
select 1;⏎system id
select '\'; delete from t; -- '
select '\' into outfile "x" -- '
select ´a\´; delete from t; -- ´
select 1 /* \! id */
-- \! id⏎select 1
select 1 /*! into outfile '/tmp/x' */
select /*!50000 sleep(5) */ 1
select /*!99999 1 */ 1
select /*M!100000 sleep(5) */ 1
select /*+ set_var(max_execution_time=0) */ 1
select /* a /* b */ sleep(5) */ 1
select 1--1 into outfile '/tmp/x'
select 1 --1⏎into outfile '/tmp/x'
select * from t into outfile '/tmp/x'
select * into outfile '/tmp/x' from t
select 'x' into dumpfile '/tmp/x'
select 1 into @a
select 1 a into @b
select @a := 1
select @a:=sleep(5)
select * from t for update
select * from t for share skip locked
select * from t lock in share mode
select * from (select * from t for update) x
select * from t procedure analyse()
select load_file('/etc/passwd')
select ´load_file´('/etc/passwd')
select LOAD_FILE ('/etc/passwd')
select load_file/**/('/etc/passwd')
select sleep(5)
select 1 where sleep(5)
select 1 from t where (select sleep(5)) = 0
select 1 order by sleep(5)
select 1 group by sleep(1)
select case when 1 then sleep(5) end
select count(distinct sleep(5)) from t
select sum(1) over (order by sleep(1)) from t
select if(1, sleep(5), 0)
select interval sleep(5) day
select 1 limit sleep(5)
select a from t having benchmark(1000000000, md5('x'))
with a as (select sleep(5)) select * from a
select * from json_table(load_file('/x'), '$' columns (a int path '$')) j
select benchmark(1000000000, md5(1))
select get_lock('a', 100), release_lock('a'), release_all_locks()
select master_pos_wait('x', 4), source_pos_wait('x', 4), wait_for_executed_gtid_set('x')
select sys_exec('id'), sys_eval('id')
select app.my_function(1)
select my_function(1)
select "sleep"(5)
select nextval(s), lastval(s), setval(s, 1)
select next value for s
select previous value for s
select name_const('a', sleep(5))
select * from mysql.user
select authentication_string from mysql.user
select password from ´mysql´.´user´
select * from MYSQL.USER
select * from mysql . user
select * from mysql.global_priv
select * from mysql.proc
select * from mysql.db
select * from performance_schema.user_variables_by_thread
select repeat('x', 1000000000)
select space(100000 * 100000)
with recursive r as (select 1 union all select 1 from r) select count(*) from r
with recursive r(n) as (select 1 union all select n + 1 from r) select * from r
with recursive r(n) as (select 1 union all select n + 1 from r where true) select * from r
with recursive r(n) as (select 1 union all select n + 1 from r where n < 10000000000) select * from r
with recursive r(n) as (select n from r) select * from r
with a as (delete from t returning 1) select * from a
show create user root
show grants for 'root'@'%'
show binlog events
show relaylog events
show create table mysql.user
show processlist; drop table t
show tables from app into outfile '/tmp/x'
show variables where sleep(5)
explain analyze select 1
explain analyze delete from t
explain format=tree analyze select 1
explain format=json into @a select 1
explain insert into t select load_file('/etc/passwd')
explain update t set a = sleep(5)
explain select load_file('/etc/passwd')
desc mysql.user
table mysql.user
values row(sleep(5))
select ?
select :a
select 1 |> 2
select {d '2024-01-01'}
select 1 as into
select 'open
select "open
select ´open
select /* open
select
select from t
select 1 from
select (1
select 1)
select 1 2 3 4
`)
