/** What MySQL and MariaDB call by name. */
const split = (text: string): ReadonlySet<string> => new Set(text.split(/\s+/).filter(Boolean))

/** The functions that only compute, or only tell what anybody may see. What is not named here is refused. */
export const functions = split(`
  abs acos adddate addtime aes_decrypt aes_encrypt any_value ascii asin atan atan2 avg bin bin_to_uuid bit_and bit_count bit_length
  bit_or bit_xor cast ceil ceiling char char_length character_length charset chr coalesce coercibility collation compress concat concat_ws
  connection_id conv convert convert_tz cos cot count crc32 crc32c cume_dist curdate current_date current_role current_time
  current_timestamp current_user curtime database date date_add date_format date_sub datediff day dayname dayofmonth dayofweek dayofyear
  default degrees dense_rank elt exp export_set extract extractvalue field find_in_set first_value floor format format_bytes
  format_pico_time found_rows from_base64 from_days from_unixtime get_format greatest group_concat grouping gtid_subset gtid_subtract
  hex hour if ifnull inet6_aton inet6_ntoa inet_aton inet_ntoa insert instr interval is_ipv4 is_ipv4_compat is_ipv4_mapped is_ipv6
  is_uuid isnull json_array json_array_append json_array_insert json_arrayagg json_compact json_contains json_contains_path json_depth
  json_detailed json_equals json_exists json_extract json_insert json_keys json_length json_loose json_merge json_merge_patch
  json_merge_preserve json_normalize json_object json_objectagg json_overlaps json_pretty json_query json_quote json_remove
  json_replace json_schema_valid json_schema_validation_report json_search json_set json_storage_free json_storage_size json_table
  json_type json_unquote json_valid json_value lag last_day last_insert_id last_value lcase lead least left length ln localtime
  localtimestamp locate log log10 log2 lower lpad ltrim make_set makedate maketime match max mbrcontains mbrintersects mbrwithin md5
  median microsecond mid min minute mod month monthname natural_sort_key now nth_value ntile nullif nvl nvl2 oct octet_length ord
  percent_rank percentile_cont percentile_disc period_add period_diff pi point position pow power quarter quote radians rand rank
  regexp_instr regexp_like regexp_replace regexp_substr repeat replace reverse right round row row_count row_number rpad
  rtrim schema sec_to_time second session_user sha sha1 sha2 sign sin soundex space sqrt st_area st_asgeojson st_astext st_aswkt
  st_contains st_distance st_distance_sphere st_geomfromtext st_intersects st_latitude st_length st_longitude st_srid st_within st_x
  st_y statement_digest statement_digest_text std stddev stddev_pop stddev_samp str_to_date strcmp subdate substr substring
  substring_index subtime sum sysdate system_user tan time time_format time_to_sec timediff timestamp timestampadd timestampdiff
  to_base64 to_char to_days to_seconds trim truncate ucase uncompress uncompressed_length unhex unix_timestamp upper user utc_date
  utc_time utc_timestamp uuid uuid_to_bin values var_pop var_samp variance version week weekday weekofyear weight_string year yearweek`)

/** Functions that may stand without brackets. */
export const bareFunctions = split(
  'current_date current_role current_time current_timestamp current_user localtime localtimestamp utc_date utc_time utc_timestamp',
)

/** Reserved words: none of them is a name unless it is quoted or follows a dot. */
export const reserved = split(`
  accessible add all alter analyze and as asc asensitive before between bigint binary blob both by call cascade case change char
  character check collate column condition constraint continue convert create cross cube cume_dist current_date current_time
  current_timestamp current_user cursor database databases day_hour day_microsecond day_minute day_second dec decimal declare default
  delayed delete dense_rank desc describe deterministic distinct distinctrow div double drop dual each else elseif empty enclosed
  escaped except exists exit explain false fetch first_value float float4 float8 for force foreign from fulltext function generated get
  grant group grouping groups having high_priority hour_microsecond hour_minute hour_second if ignore in index infile inner inout
  insensitive insert int int1 int2 int3 int4 int8 integer intersect interval into io_after_gtids io_before_gtids is iterate join
  json_table key keys kill lag last_value lateral lead leading leave left like limit linear lines load localtime localtimestamp lock
  long longblob longtext loop low_priority master_bind master_ssl_verify_server_cert match maxvalue mediumblob mediumint mediumtext
  middleint minute_microsecond minute_second mod modifies natural not no_write_to_binlog nth_value ntile null numeric of on optimize
  optimizer_costs option optionally or order out outer outfile over parallel partition percent_rank precision primary procedure purge
  qualify range rank read reads read_write real recursive references regexp release rename repeat replace require resignal restrict
  return returning revoke right rlike row row_number rows schema schemas second_microsecond select sensitive separator set show signal smallint spatial
  specific sql sqlexception sqlstate sqlwarning sql_big_result sql_calc_found_rows sql_small_result ssl starting stored straight_join
  system table tablesample terminated then tinyblob tinyint tinytext to trailing trigger true undo union unique unlock unsigned update
  usage use using utc_date utc_time utc_timestamp values varbinary varchar varcharacter varying virtual when where while window with
  write xor year_month zerofill dumpfile offset`)

/** Tables of the database `mysql` that hold nobody's password, keys or rights. */
export const openSystemTables = split(
  `time_zone time_zone_name time_zone_transition time_zone_transition_type time_zone_leap_second innodb_table_stats innodb_index_stats
  help_topic help_category help_keyword help_relation slow_log gtid_executed`,
)

/** Tables elsewhere that hold other people's values. */
export const secretTables = split('user_variables_by_thread user_attributes keyring_keys')

/** Units of INTERVAL, EXTRACT and TIMESTAMPDIFF. */
export const units = split(`microsecond second minute hour day week month quarter year second_microsecond minute_microsecond
  minute_second hour_microsecond hour_second hour_minute day_microsecond day_second day_minute day_hour year_month sql_tsi_second
  sql_tsi_minute sql_tsi_hour sql_tsi_day sql_tsi_week sql_tsi_month sql_tsi_quarter sql_tsi_year`)

const name = '(?: `)'
const from = `(?: (?:from|in)${name}(?: \\.${name})?)`
/** What SHOW may show, as words; names are \`, texts are '. What follows LIKE or WHERE is read apart. */
export const shows: readonly RegExp[] = [
  'full processlist|processlist',
  '(?:global |session |local )?(?:variables|status)',
  `(?:extended )?(?:full )?tables${from}?`,
  `(?:extended )?(?:full )?(?:columns|fields)${from}${from}?`,
  `(?:extended )?(?:index|indexes|keys)${from}${from}?`,
  `(?:table status|open tables|triggers|full triggers|events)${from}?`,
  'databases|schemas|plugins|privileges|profiles|warnings|errors|authors|contributors|engines|storage engines',
  'count \\( \\* \\) (?:warnings|errors)',
  'character set|charset|collation|procedure status|function status',
  `create (?:table|view|procedure|function|trigger|event|sequence|package)${name}(?: \\.${name})?`,
  `create (?:database|schema)(?: if not exists)?${name}`,
  'engine ` (?:status|mutex|logs)',
  'grants(?: for current_user(?: \\( \\))?)?',
  'master status|binary log status|binary logs|master logs|slave hosts|replicas|binlog status|all slaves status|all replicas status',
  "(?:slave|replica)(?: ')? status(?: for channel ')?",
].map(form => new RegExp(`^(?:${form})$`))
