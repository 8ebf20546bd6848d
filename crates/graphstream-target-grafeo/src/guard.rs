//! Looking at a statement before grafeo runs it: index statements, other schema statements, functions.
//!
//! This reads words, strings, comments and brackets, not Cypher: enough to see which functions a statement calls. grafeo itself
//! parses it afterwards.

use crate::{Error, Result};

/// What a statement is to this adapter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Statement {
    /// Anything that runs in a transaction.
    Data {
        /// It sets or removes labels.
        labels: bool,
    },
    /// `CREATE INDEX name ...`
    CreateIndex {
        /// The index's name.
        name: String,
    },
    /// `DROP INDEX name ...`
    DropIndex {
        /// The index's name.
        name: String,
    },
}

/// Functions that grafeo 0.5.44 evaluates and that give the same result at every replay. From its evaluator: what isn't there
/// is null in a result, without an error.
const FUNCTIONS: &[&str] = &[
    "abs",
    "acos",
    "all",
    "all_different",
    "allshortestpaths",
    "any",
    "asin",
    "atan",
    "atan2",
    "avg",
    "byte_length",
    "cardinality",
    "ceil",
    "ceiling",
    "char_length",
    "charlength",
    "coalesce",
    "collect",
    "corr",
    "cos",
    "cosine_distance",
    "cosine_similarity",
    "count",
    "covar_pop",
    "covar_samp",
    "date_trunc",
    "day",
    "degrees",
    "dot_product",
    "duration",
    "e",
    "edges",
    "end_node",
    "endnode",
    "euclidean_distance",
    "exists",
    "exp",
    "floor",
    "group_concat",
    "groupconcat",
    "haslabel",
    "head",
    "hour",
    "isacyclic",
    "isdestination",
    "isdirected",
    "isnormalized",
    "issimple",
    "issource",
    "istrail",
    "istyped",
    "keys",
    "labels",
    "last",
    "left",
    "length",
    "listagg",
    "ln",
    "log",
    "log10",
    "log2",
    "lower",
    "ltrim",
    "manhattan_distance",
    "max",
    "min",
    "minute",
    "month",
    "nodes",
    "none",
    "normalize",
    "nullif",
    "octet_length",
    "percentile_cont",
    "percentile_disc",
    "percentilecont",
    "percentiledisc",
    "pi",
    "pow",
    "power",
    "properties",
    "property_exists",
    "radians",
    "range",
    "reduce",
    "regr_avgx",
    "regr_avgy",
    "regr_count",
    "regr_intercept",
    "regr_r2",
    "regr_slope",
    "regr_sxx",
    "regr_sxy",
    "regr_syy",
    "relationships",
    "replace",
    "reverse",
    "right",
    "round",
    "rtrim",
    "same",
    "second",
    "shortestpath",
    "sign",
    "sin",
    "single",
    "size",
    "split",
    "sqrt",
    "start_node",
    "startnode",
    "stddev",
    "stddev_pop",
    "stddev_samp",
    "stddevp",
    "stdev",
    "stdevp",
    "string_join",
    "substring",
    "sum",
    "tail",
    "tan",
    "tobool",
    "toboolean",
    "toduration",
    "tofloat",
    "toint",
    "tointeger",
    "tolist",
    "tolower",
    "tostring",
    "totypedlist",
    "toupper",
    "trim",
    "truncate",
    "type",
    "upper",
    "var_pop",
    "var_samp",
    "variance",
    "vector",
    "year",
];

/// Functions that give the current time without an argument and a fixed one with.
const CLOCKS: &[&str] = &[
    "date",
    "datetime",
    "local_datetime",
    "local_time",
    "localdatetime",
    "time",
    "todate",
    "todatetime",
    "totime",
    "tozoneddatetime",
    "tozonedtime",
    "zoned_datetime",
    "zoneddatetime",
    "zonedtime",
];

/// Functions that differ at every replay, or between two databases with the same content.
const VOLATILE: &[&str] = &[
    "current_date",
    "current_time",
    "current_timestamp",
    "currentdate",
    "currenttime",
    "currenttimestamp",
    "element_id",
    "elementid",
    "id",
    "info",
    "now",
    "property_values",
    "rand",
    "random",
    "sample",
    "schema",
    "session_user",
    "timestamp",
];

/// Words that may stand before an opening bracket without being a function.
const KEYWORDS: &[&str] = &[
    "and",
    "as",
    "asc",
    "ascending",
    "by",
    "call",
    "case",
    "contains",
    "create",
    "delete",
    "desc",
    "descending",
    "detach",
    "distinct",
    "else",
    "end",
    "ends",
    "for",
    "foreach",
    "if",
    "in",
    "is",
    "limit",
    "match",
    "merge",
    "not",
    "null",
    "on",
    "optional",
    "or",
    "order",
    "remove",
    "require",
    "return",
    "set",
    "skip",
    "starts",
    "then",
    "union",
    "unwind",
    "when",
    "where",
    "with",
    "xor",
    "yield",
];

/// Words that end a `SET` or a `REMOVE`.
const CLAUSES: &[&str] =
    &["create", "delete", "detach", "foreach", "match", "merge", "return", "union", "unwind", "with"];

/// Says what a statement is, or why it can't be replayed.
pub(crate) fn inspect(query: &str) -> Result<Statement> {
    let mut words = Words { rest: query };
    let first = words.next();
    if let Some(Token::Word(verb)) = &first {
        let second = Words { rest: words.rest }.next();
        let object = match &second {
            Some(Token::Word(object)) => object.to_ascii_lowercase(),
            _ => String::new(),
        };
        let verb = verb.to_ascii_lowercase();
        match (verb.as_str(), object.as_str()) {
            ("create" | "drop", "index") => {
                words.next();
                let name = match words.next() {
                    Some(Token::Word(name)) => name.to_owned(),
                    Some(Token::Quoted(name)) => name.to_owned(),
                    // grafeo will say what is wrong with it.
                    _ => String::new(),
                };
                return Ok(if verb == "create" {
                    Statement::CreateIndex { name }
                } else {
                    Statement::DropIndex { name }
                });
            }
            ("create", "constraint") => return Err(Error::Schema { statement: "CREATE CONSTRAINT" }),
            ("drop", "constraint") => return Err(Error::Schema { statement: "DROP CONSTRAINT" }),
            ("alter", _) => return Err(Error::Schema { statement: "ALTER" }),
            _ => {}
        }
    }
    check_functions(query)?;
    Ok(Statement::Data { labels: changes_labels(query) })
}

/// Whether there is a colon right in a `SET` or `REMOVE`, and not deeper in brackets.
fn changes_labels(query: &str) -> bool {
    let mut depth = 0_usize;
    // How deep the clause is that we are in.
    let mut changing = None;
    let mut qualified = false;
    for token in (Words { rest: query }) {
        match token {
            Token::Word(word) if !qualified => {
                let is = |keyword: &str| word.eq_ignore_ascii_case(keyword);
                if is("set") || is("remove") {
                    changing = Some(depth);
                } else if changing == Some(depth) && CLAUSES.iter().any(|clause| is(clause)) {
                    changing = None;
                }
            }
            Token::Symbol('(' | '[' | '{') => depth += 1,
            Token::Symbol(')' | ']' | '}') => {
                depth = depth.saturating_sub(1);
                changing = changing.filter(|at| *at <= depth);
            }
            Token::Symbol(':') if changing == Some(depth) => return true,
            _ => {}
        }
        qualified = matches!(token, Token::Symbol('.'));
    }
    false
}

fn check_functions(query: &str) -> Result<()> {
    let mut words = Words { rest: query };
    // The name before the current token, with its qualifiers, if the token is directly behind a name.
    let mut name: Option<String> = None;
    let mut qualified = false;
    let mut loading = false;
    while let Some(token) = words.next() {
        match token {
            Token::Word(word) | Token::Quoted(word) => {
                let word = word.to_ascii_lowercase();
                if loading && word == "csv" {
                    return Err(Error::LoadCsv);
                }
                loading = word == "load";
                name = match name.take() {
                    Some(before) if qualified => Some(format!("{before}.{word}")),
                    _ => Some(word),
                };
                qualified = false;
                continue;
            }
            // The second of two dots is a range's, `list[1..size(list)]`: what follows is no part of a name.
            Token::Symbol('.') if !qualified => {
                qualified = true;
                continue;
            }
            Token::Symbol('(') => {
                if let Some(name) = name.take() {
                    let without_argument =
                        matches!(Words { rest: words.rest }.next(), Some(Token::Symbol(')')));
                    check_function(name, without_argument)?;
                }
            }
            Token::Symbol(_) | Token::Text => {}
        }
        loading = false;
        qualified = false;
        name = None;
    }
    Ok(())
}

fn check_function(name: String, without_argument: bool) -> Result<()> {
    let known = |list: &[&str]| list.contains(&name.as_str());
    if known(KEYWORDS) || known(FUNCTIONS) || (known(CLOCKS) && !without_argument) {
        Ok(())
    } else if known(VOLATILE) || known(CLOCKS) {
        Err(Error::NotDeterministic { function: name })
    } else {
        Err(Error::UnknownFunction { function: name })
    }
}

enum Token<'a> {
    /// A name or a number.
    Word(&'a str),
    /// A name in backticks.
    Quoted(&'a str),
    /// A string.
    Text,
    /// Any other character.
    Symbol(char),
}

struct Words<'a> {
    rest: &'a str,
}

impl<'a> Words<'a> {
    /// Cuts the first `len` bytes off.
    fn take(&mut self, len: usize) -> &'a str {
        let (taken, rest) = self.rest.split_at_checked(len).unwrap_or((self.rest, ""));
        self.rest = rest;
        taken
    }

    /// Cuts everything up to and including `end`.
    fn take_past(&mut self, end: &str) -> &'a str {
        let inside = self.rest.find(end).unwrap_or(self.rest.len());
        let taken = self.take(inside);
        self.take(end.len());
        taken
    }

    /// Cuts a string, whose opening quote is gone.
    fn take_text(&mut self, quote: char) {
        let mut escaped = false;
        let end = self.rest.char_indices().find(|&(_, c)| {
            let found = c == quote && !escaped;
            escaped = c == '\\' && !escaped;
            found
        });
        self.take(end.map_or(self.rest.len(), |(at, c)| at + c.len_utf8()));
    }
}

impl<'a> Iterator for Words<'a> {
    type Item = Token<'a>;

    fn next(&mut self) -> Option<Token<'a>> {
        loop {
            self.rest = self.rest.trim_start();
            if self.rest.starts_with("//") {
                self.take_past("\n");
            } else if self.rest.starts_with("/*") {
                self.take_past("*/");
            } else {
                break;
            }
        }
        let first = self.rest.chars().next()?;
        let is_word = |c: char| c.is_alphanumeric() || c == '_';
        Some(match first {
            '`' => {
                self.take(1);
                Token::Quoted(self.take_past("`"))
            }
            '\'' | '"' => {
                self.take(1);
                self.take_text(first);
                Token::Text
            }
            // A parameter's name is no function's.
            '$' => {
                self.take(1);
                let len = self.rest.find(|c| !is_word(c)).unwrap_or(self.rest.len());
                self.take(len);
                Token::Symbol('$')
            }
            c if is_word(c) => {
                let len = self.rest.find(|c| !is_word(c)).unwrap_or(self.rest.len());
                Token::Word(self.take(len))
            }
            c => {
                self.take(c.len_utf8());
                Token::Symbol(c)
            }
        })
    }
}
