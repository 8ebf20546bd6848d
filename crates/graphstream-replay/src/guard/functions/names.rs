//! The functions of LadybugDB 0.22.0 (`CALL show_functions() RETURN *`) and of grafeo 0.5.44 (its evaluator; what isn't there is null in
//! a result, without an error), in lower case. A test compares the former with the installed database.

/// Same arguments, same result; in both.
pub(super) const BOTH: &str = "
abs acos all any asin atan atan2 cardinality ceil ceiling coalesce cos date_trunc degrees duration end_node floor
keys labels left length ln log log10 log2 lower ltrim nodes none nullif octet_length pi pow properties radians range
relationships replace reverse right round rtrim sign sin single size sqrt start_node substring tan tolower toupper
trim upper";

/// Same arguments, same result; in LadybugDB.
pub(super) const LADYBUG: &str = "
% * + - / ^ array_append array_cat array_concat array_contains array_cosine_similarity array_cross_product
array_distance array_dot_product array_extract array_has array_indexof array_inner_product array_position
array_prepend array_push_back array_push_front array_slice array_squared_distance array_value bitshift_left
bitshift_right bitwise_and bitwise_or bitwise_xor blob cast cbrt century concat concat_ws constant_or_null contains
cost cot count_if date_part datepart datetrunc dayname decode element_at encode ends_with epoch_ms equals error even
factorial gamma greater_than greater_than_equals greatest hash ifnull initcap interval is_acyclic is_trail label
last_day lcase least less_than less_than_equals levenshtein lgamma list_any_value list_append list_cat list_concat
list_contains list_creation list_distinct list_element list_extract list_filter list_has list_has_all list_has_any
list_indexof list_max list_min list_position list_prepend list_product list_reduce list_reverse list_reverse_sort
list_slice list_sort list_sum list_to_string list_transform list_unique lpad make_date map map_extract map_keys
map_values md5 monthname negate not_equals prefix regexp_extract regexp_extract_all regexp_full_match regexp_matches
regexp_replace regexp_split_to_array rels repeat rpad sha256 split_part starts_with str_split string string_split
string_to_array struct_extract struct_pack substr suffix time_bucket to_blob to_bool to_date to_days to_double
to_epoch_ms to_float to_hours to_int128 to_int16 to_int32 to_int64 to_int8 to_interval to_microseconds
to_milliseconds to_minutes to_months to_seconds to_serial to_string to_timestamp to_uint128 to_uint16 to_uint32
to_uint64 to_uint8 to_uuid to_years typeof ucase union_extract union_tag union_value";

/// Same arguments, same result; in grafeo.
pub(super) const GRAFEO: &str = "
all_different allshortestpaths byte_length char_length charlength cosine_distance cosine_similarity day dot_product
e edges endnode euclidean_distance exists exp haslabel head hour isacyclic isdestination isdirected isnormalized
issimple issource istrail istyped last manhattan_distance minute month normalize power property_exists reduce same
second shortestpath split startnode string_join tail tobool toboolean toduration tofloat toint tointeger tolist
tostring totypedlist truncate type vector year";

/// One value of many rows, whatever their order.
pub(super) const AGGREGATES_BOTH: &str = "avg count max min percentilecont percentiledisc sum";
pub(super) const AGGREGATES_LADYBUG: &str = "count_star histogram";
pub(super) const AGGREGATES_GRAFEO: &str = "
corr covar_pop covar_samp percentile_cont percentile_disc regr_avgx regr_avgy regr_count regr_intercept regr_r2
regr_slope regr_sxx regr_sxy regr_syy stddev stddev_pop stddev_samp stddevp stdev stdevp var_pop var_samp variance";

/// One value of many rows, in the order in which they come.
pub(super) const COLLECTING_BOTH: &str = "collect";
pub(super) const COLLECTING_GRAFEO: &str = "group_concat groupconcat listagg";

/// Functions of the argument alone that hide in which order its elements stand.
pub(super) const SORTING: &[&str] =
    &["list_sort", "list_reverse_sort", "list_min", "list_max", "list_contains", "list_has", "size"];

pub(super) const RANDOM: &str = "rand random setseed sample";
pub(super) const SEQUENCES: &str = "nextval currval";
pub(super) const INTERNAL_IDS: &str = "id offset rowid internal_id elementid element_id";
pub(super) const SURROUNDINGS: &str = "info property_values schema session_user";

/// What LadybugDB runs behind CALL, and lists as functions.
pub(super) const TABLES: &str = "
_cache_array_column_locally bm_info catalog_version clear_warnings copy_csv copy_parquet current_setting db_version
disk_info disk_size_info drop_projected_graph file_info fsm_info project_graph project_graph_cypher
projected_graph_info read_csv_parallel read_csv_serial read_npy read_pandas read_parquet show_attached_databases
show_connection show_functions show_graphs show_indexes show_loaded_extensions show_macros show_official_extensions
show_projected_graphs show_sequences show_tables show_warnings stats_info storage_info storage_version table_info";

/// Words that may stand before an opening bracket without being a function.
pub(super) const KEYWORDS: &str = "
acyclic and as asc ascending by call case contains create default delete desc descending detach distinct else end ends for
foreach from hint if in is join limit load match merge multi_join not null on optional or order remove require
return set shortest skip starts then trail union unwind when where with wshortest xor yield";
