/**
 * What is known of Postgres' own functions. Lists were taken from `pg_proc` of Postgres 15 to 18. A function outside
 * pg_catalog is opaque: see `Catalog.isUserFunction`.
 */

const words = (text: string): ReadonlySet<string> => new Set(text.trim().split(/\s+/))

export const AGGREGATES =
  words(`any_value array_agg avg bit_and bit_or bit_xor bool_and bool_or corr count covar_pop
  covar_samp cume_dist dense_rank every json_agg json_agg_strict json_object_agg json_object_agg_strict
  json_object_agg_unique json_object_agg_unique_strict jsonb_agg jsonb_agg_strict jsonb_object_agg
  jsonb_object_agg_strict jsonb_object_agg_unique jsonb_object_agg_unique_strict max min mode percent_rank
  percentile_cont percentile_disc range_agg range_intersect_agg rank regr_avgx regr_avgy regr_count regr_intercept
  regr_r2 regr_slope regr_sxx regr_sxy regr_syy stddev stddev_pop stddev_samp string_agg sum var_pop var_samp
  variance xmlagg`)

/** Aggregates whose result does not depend on the order of their input, nor on how it is split up and rounded. */
export const ORDERLESS_AGGREGATES = words('bit_and bit_or bit_xor bool_and bool_or count every max min')

/** Set-returning functions: rows, not a value. */
export const SET_RETURNING = words(`aclexplode generate_series generate_subscripts json_array_elements
  json_array_elements_text json_each json_each_text json_object_keys json_populate_recordset json_to_recordset
  jsonb_array_elements jsonb_array_elements_text jsonb_each jsonb_each_text jsonb_object_keys jsonb_path_query
  jsonb_path_query_tz jsonb_populate_recordset jsonb_to_recordset regexp_matches regexp_split_to_table
  string_to_table ts_debug ts_parse ts_stat ts_token_type txid_snapshot_xip unnest xmltable`)

/** Another time at every call, and on every shard. */
const TIME = words('clock_timestamp timeofday')

const RANDOM = words('random random_normal gen_random_uuid uuidv4 uuidv7 setseed')

/** Tell something about the server they run on. */
const SERVER =
  words(`current_database version inet_server_addr inet_server_port inet_client_addr inet_client_port
  to_regclass to_regtype to_regproc to_regprocedure to_regnamespace to_regrole to_regoper to_regoperator
  to_regcollation`)

/**
 * Of the functions that Postgres does not call immutable, those that depend on nothing but their arguments and the session's
 * settings, which are the same everywhere.
 */
export const ALIKE =
  words(`age anytextcat array_to_json array_to_string concat concat_ws convert convert_from convert_to
  current_schema current_schemas current_user date date_add date_part date_subtract date_trunc enum_first enum_last
  enum_range extract format generate_series get_current_ts_config getpgusername json_agg json_agg_strict json_build_array
  json_build_object json_object_agg json_object_agg_strict json_object_agg_unique json_object_agg_unique_strict
  json_populate_record json_populate_recordset json_to_record json_to_recordset json_to_tsvector jsonb_agg
  jsonb_agg_strict jsonb_build_array jsonb_build_object jsonb_object_agg jsonb_object_agg_strict jsonb_object_agg_unique
  jsonb_object_agg_unique_strict jsonb_path_exists_tz jsonb_path_match_tz jsonb_path_query_array_tz
  jsonb_path_query_first_tz jsonb_path_query_tz jsonb_populate_record jsonb_populate_record_valid jsonb_populate_recordset
  jsonb_to_record jsonb_to_recordset jsonb_to_tsvector length make_timestamptz money numeric overlaps phraseto_tsquery
  plainto_tsquery quote_literal quote_nullable row_to_json session_user textanycat time timestamp timestamptz timetz
  timezone to_char to_date to_json to_jsonb to_number to_timestamp to_tsquery to_tsvector ts_headline
  websearch_to_tsquery xml xml_is_well_formed pg_sleep pg_sleep_for pg_sleep_until pg_typeof pg_input_is_valid
  pg_input_error_info`)

/** Settings that sessions set, and that what is listed above depends on. */
export const SETTINGS_ALIKE =
  words(`timezone datestyle intervalstyle search_path role session_authorization application_name
  client_encoding lc_messages lc_monetary lc_numeric lc_time default_text_search_config extra_float_digits bytea_output
  xmlbinary xmloption statement_timeout lock_timeout`)

/** Sequences, advisory locks, large objects, transaction ids: state that lives on the home shard only. */
const HOME = words(
  'nextval currval lastval setval loread lowrite txid_current txid_current_snapshot set_config gin_clean_pending_list',
)
const HOME_PREFIX = /^(lo_|pg_|txid_|dblink)/

/** Of the pg_… functions, those that depend on their arguments only. */
const PURE_PG = words(`pg_typeof pg_column_size pg_column_compression pg_size_pretty pg_size_bytes pg_sleep
  pg_sleep_for pg_sleep_until pg_input_is_valid pg_input_error_info`)

const WRITES = /^(nextval|setval|lo_\w+|loread|lowrite|set_config|setseed|txid_current|dblink\w*)$/
const WRITES_PG =
  /^pg_(try_)?advisory_|^pg_(notify|current_xact_id|export_snapshot|create|drop|logical|replication|terminate|cancel|reload|switch|rotate|import|promote|wal_re|start|stop|backup|log_)/

/** Run a query given as text, or read whole tables by name. */
const QUERY_TEXT =
  words(`query_to_xml query_to_xmlschema query_to_xml_and_xmlschema table_to_xml table_to_xmlschema
  table_to_xml_and_xmlschema schema_to_xml schema_to_xmlschema schema_to_xml_and_xmlschema database_to_xml
  database_to_xmlschema database_to_xml_and_xmlschema ts_stat`)

export const isTimeFunction = (name: string): boolean => TIME.has(name)
export const isRandomFunction = (name: string): boolean => RANDOM.has(name)
export const isServerFunction = (name: string): boolean => SERVER.has(name)
export const isHomeFunction = (name: string): boolean =>
  HOME.has(name) || (HOME_PREFIX.test(name) && !PURE_PG.has(name))
export const isWritingFunction = (name: string): boolean => WRITES.test(name) || WRITES_PG.test(name)
export const readsQueryText = (name: string): boolean => QUERY_TEXT.has(name)

/** Advisory locks of the session, not of the transaction. */
export const takesSessionLock = (name: string): boolean => /^pg_(try_)?advisory_lock(_shared)?$/.test(name)
export const dropsSessionLock = (name: string): boolean => /^pg_advisory_unlock/.test(name)

export const SYSTEM_COLUMNS = words('ctid xmin xmax cmin cmax tableoid')
