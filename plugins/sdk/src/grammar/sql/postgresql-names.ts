/** The functions of PostgreSQL that only compute, or only tell what anybody may see. What is not named here is refused. */
const text = `
  ascii bit_length btrim casefold char_length character_length chr concat concat_ws format initcap left length lower lpad ltrim
  md5 normalize is_normalized octet_length overlay parse_ident position quote_ident quote_literal quote_nullable regexp_count
  regexp_instr regexp_like regexp_match regexp_matches regexp_replace regexp_split_to_array regexp_split_to_table regexp_substr
  repeat replace reverse right rpad rtrim split_part starts_with string_to_array string_to_table strpos substr substring to_ascii
  to_bin to_hex to_oct translate trim unistr upper like_escape similar_escape similar_to_escape pg_collation_for pg_client_encoding
  bit_count convert convert_from convert_to decode encode get_bit get_byte set_bit set_byte sha224 sha256 sha384 sha512 crc32 crc32c
  textlike textnotlike`
const numbers = `
  abs acos acosd acosh asin asind asinh atan atan2 atan2d atand atanh cbrt ceil ceiling cos cosd cosh cot cotd degrees div erf erfc
  exp factorial floor gamma gcd lcm lgamma ln log log10 min_scale mod pi pow power radians random random_normal round scale sign sin
  sind sinh sqrt tan tand tanh trim_scale trunc width_bucket to_number to_char int2 int4 int8 float4 float8 numeric bool`
const times = `
  age clock_timestamp date_add date_bin date_part date_subtract date_trunc extract isfinite justify_days justify_hours
  justify_interval make_date make_interval make_time make_timestamp make_timestamptz now overlaps statement_timestamp timeofday
  timezone to_date to_timestamp transaction_timestamp date timestamp timestamptz time timetz interval`
const collections = `
  array_append array_cat array_dims array_fill array_length array_lower array_ndims array_position array_positions array_prepend
  array_remove array_replace array_reverse array_sample array_shuffle array_sort array_to_string array_upper cardinality trim_array
  unnest generate_subscripts generate_series isempty lower_inc lower_inf upper_inc upper_inf range_merge multirange int4range int8range
  numrange tsrange tstzrange daterange enum_first enum_last enum_range num_nonnulls num_nulls row_to_json
  array_to_json to_json to_jsonb json_array_elements json_array_elements_text json_array_length json_build_array json_build_object
  json_each json_each_text json_extract_path json_extract_path_text json_object json_object_keys json_populate_record
  json_populate_recordset json_strip_nulls json_to_record json_to_recordset json_typeof json_scalar json_serialize
  jsonb_array_elements jsonb_array_elements_text jsonb_array_length jsonb_build_array jsonb_build_object jsonb_each jsonb_each_text
  jsonb_extract_path jsonb_extract_path_text jsonb_insert jsonb_object jsonb_object_keys jsonb_path_exists jsonb_path_exists_tz
  jsonb_path_match jsonb_path_match_tz jsonb_path_query jsonb_path_query_array jsonb_path_query_array_tz jsonb_path_query_first
  jsonb_path_query_first_tz jsonb_path_query_tz jsonb_populate_record jsonb_populate_recordset jsonb_pretty jsonb_set jsonb_set_lax
  jsonb_strip_nulls jsonb_to_record jsonb_to_recordset jsonb_typeof
  array_to_tsvector get_current_ts_config numnode phraseto_tsquery plainto_tsquery querytree setweight strip to_tsquery to_tsvector
  json_to_tsvector jsonb_to_tsvector ts_delete ts_filter ts_headline ts_rank ts_rank_cd tsquery_phrase tsvector_to_array
  websearch_to_tsquery similarity word_similarity strict_word_similarity
  abbrev broadcast family host hostmask inet_merge inet_same_family masklen netmask network set_masklen text macaddr8_set7bit
  area box center circle diagonal diameter height isclosed isopen line lseg npoints path point polygon popen radius slope width
  gen_random_uuid uuidv4 uuidv7 uuid_extract_timestamp uuid_extract_version`
const aggregates = `
  any_value array_agg avg bit_and bit_or bit_xor bool_and bool_or count every json_agg json_agg_strict json_object_agg
  json_object_agg_strict json_object_agg_unique json_object_agg_unique_strict jsonb_agg jsonb_agg_strict jsonb_object_agg
  jsonb_object_agg_strict jsonb_object_agg_unique jsonb_object_agg_unique_strict max min range_agg range_intersect_agg string_agg sum
  corr covar_pop covar_samp regr_avgx regr_avgy regr_count regr_intercept regr_r2 regr_slope regr_sxx regr_sxy regr_syy stddev
  stddev_pop stddev_samp var_pop var_samp variance mode percentile_cont percentile_disc rank dense_rank percent_rank cume_dist
  row_number ntile lag lead first_value last_value nth_value`
const server = `
  current_database current_query current_schema current_schemas current_setting version inet_client_addr inet_client_port inet_server_addr inet_server_port pg_backend_pid
  pg_blocking_pids pg_safe_snapshot_blocking_pids pg_conf_load_time pg_postmaster_start_time pg_trigger_depth pg_jit_available
  pg_listening_channels pg_my_temp_schema pg_is_other_temp_schema pg_typeof pg_column_size pg_column_compression pg_database_size
  pg_indexes_size pg_relation_size pg_size_bytes pg_size_pretty pg_table_size pg_tablespace_size pg_total_relation_size
  pg_relation_filenode pg_relation_filepath pg_filenode_relation pg_is_in_recovery pg_is_wal_replay_paused
  pg_get_wal_replay_pause_state pg_last_wal_receive_lsn pg_last_wal_replay_lsn pg_last_xact_replay_timestamp
  pg_current_wal_lsn pg_current_wal_insert_lsn pg_current_wal_flush_lsn pg_wal_lsn_diff pg_walfile_name pg_walfile_name_offset
  pg_xact_commit_timestamp pg_last_committed_xact pg_current_snapshot pg_current_xact_id_if_assigned pg_snapshot_xip
  pg_snapshot_xmax pg_snapshot_xmin pg_visible_in_snapshot pg_xact_status txid_current_if_assigned txid_current_snapshot
  txid_snapshot_xmax txid_snapshot_xmin txid_status
  format_type obj_description col_description shobj_description pg_describe_object pg_identify_object
  pg_get_constraintdef pg_get_expr pg_get_functiondef pg_get_function_arguments pg_get_function_identity_arguments
  pg_get_function_result pg_get_indexdef pg_get_keywords pg_get_partition_constraintdef pg_get_partkeydef pg_get_ruledef
  pg_get_serial_sequence pg_get_statisticsobjdef pg_get_triggerdef pg_get_userbyid pg_get_viewdef pg_index_column_has_property
  pg_index_has_property pg_indexam_has_property pg_tablespace_databases pg_tablespace_location pg_encoding_to_char
  pg_char_to_encoding pg_sequence_last_value pg_sequence_parameters pg_stat_get_snapshot_timestamp pg_partition_ancestors
  pg_partition_root pg_partition_tree pg_relation_is_updatable pg_column_is_updatable
  pg_collation_is_visible pg_conversion_is_visible pg_function_is_visible pg_opclass_is_visible pg_operator_is_visible
  pg_opfamily_is_visible pg_statistics_obj_is_visible pg_table_is_visible pg_ts_config_is_visible pg_ts_dict_is_visible
  pg_ts_parser_is_visible pg_ts_template_is_visible pg_type_is_visible
  has_any_column_privilege has_column_privilege has_database_privilege has_foreign_data_wrapper_privilege has_function_privilege
  has_language_privilege has_parameter_privilege has_schema_privilege has_sequence_privilege has_server_privilege
  has_table_privilege has_tablespace_privilege has_type_privilege pg_has_role row_security_active aclexplode acldefault makeaclitem
  to_regclass to_regcollation to_regnamespace to_regoper to_regoperator to_regproc to_regprocedure to_regrole to_regtype
  pg_input_is_valid pg_input_error_info pg_control_checkpoint pg_control_system mxid_age currval lastval`

/** Names of functions, without a schema or in `pg_catalog`. */
export const functions: ReadonlySet<string> = new Set(
  [text, numbers, times, collections, aggregates, server].join(' ').split(/\s+/).filter(Boolean),
)

/** Relations that hold secrets, or that read files of the server when they are read. */
export const secretRelations: ReadonlySet<string> = new Set(
  `pg_authid pg_shadow pg_user_mapping pg_user_mappings _pg_user_mappings user_mapping_options user_mappings pg_subscription
  pg_hba_file_rules pg_ident_file_mappings pg_file_settings pg_largeobject pg_largeobject_metadata pg_config pg_statistic
  pg_statistic_ext_data pg_foreign_server pg_foreign_data_wrapper foreign_server_options _pg_foreign_servers
  _pg_foreign_data_wrappers foreign_data_wrapper_options pg_stat_wal_receiver pg_shmem_allocations dblink_pkey_results`.split(/\s+/),
)

/** Operators of the server itself; any other is somebody's own function. */
export const operators: ReadonlySet<string> = new Set(
  `+ - * / % ^ |/ ||/ !! @ & | # ~ << >> = <> < <= > >= <=> || ~~ !~~ ~~* !~~* ~* !~ !~* ^@ ~<~ ~<=~ ~>~ ~>=~ -> ->> #> #>> @> <@ ?
  ?| ?& #- @? @@ @@@ && &< &> -|- <-> << >> <<| |>> &<| |&> <^ >^ ?# ?- ?-| ?|| ~= ## @-@ @@ <<= >>= <% %> <<% %>> <->> <<-> <#> <=>
  *< *> *= *<> *<= *>=`.split(/\s+/),
)
