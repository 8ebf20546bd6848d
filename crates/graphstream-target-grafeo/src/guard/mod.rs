//! Looking at a statement before grafeo runs it: index statements, other schema statements, functions.
//!
//! This reads words, strings, comments and brackets, not Cypher: enough to see which functions a statement calls. grafeo itself
//! parses it afterwards.

mod functions;
mod words;

use std::collections::HashMap;

use functions::{CLOCKS, FUNCTIONS, KEYWORDS, VOLATILE};
use words::{Token, Words};

use crate::{Error, Result};

/// What a statement is to this adapter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Statement {
    /// Anything that runs in a transaction.
    Data {
        /// It sets or removes labels.
        labels: bool,
        /// It writes a property's value elsewhere: `SET a.x = b.y`, `CREATE ({x: b.y})`.
        copies: bool,
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

/// How many statements are remembered, and how long one may be for that.
const KNOWN_MAX: usize = 256;
const KNOWN_BYTES_MAX: usize = 4096;

/// Remembers what statements are: a journal has few texts and many parameters.
#[derive(Debug, Default)]
pub(crate) struct Guard {
    known: HashMap<String, Statement>,
}

impl Guard {
    /// Says what a statement is, or why it can't be replayed.
    pub(crate) fn inspect(&mut self, query: &str) -> Result<Statement> {
        if let Some(known) = self.known.get(query) {
            return Ok(known.clone());
        }
        let statement = inspect(query)?;
        if query.len() <= KNOWN_BYTES_MAX {
            if self.known.len() >= KNOWN_MAX {
                self.known.clear();
            }
            self.known.insert(query.to_owned(), statement.clone());
        }
        Ok(statement)
    }
}

/// Words that end a `SET` or a `REMOVE`.
const CLAUSES: &[&str] =
    &["create", "delete", "detach", "foreach", "match", "merge", "return", "union", "unwind", "with"];

fn inspect(query: &str) -> Result<Statement> {
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
    Ok(Statement::Data { labels: changes_labels(query), copies: copies_properties(query) })
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

/// Whether there is a name with a point right behind `=` or `:`, as it is. Comparisons are among them; that is only slower.
fn copies_properties(query: &str) -> bool {
    let mut words = Words { rest: query };
    // The rows of a parameter are no nodes: `UNWIND $rows AS row CREATE ({id: row.id})`.
    let row = row_of_parameter(query);
    let mut value_begins = false;
    while let Some(token) = words.next() {
        value_begins = match token {
            Token::Symbol('=' | ':') => true,
            Token::Symbol('(') => value_begins,
            Token::Word(name) | Token::Quoted(name) if value_begins => {
                let mut behind = Words { rest: words.rest };
                if matches!(behind.next(), Some(Token::Symbol('.'))) && row != Some(name) {
                    // The property, and what is done with it: computing reads it as it should be.
                    behind.next();
                    if !matches!(behind.next(), Some(Token::Symbol('+' | '-' | '*' | '/' | '%' | '^'))) {
                        return true;
                    }
                }
                false
            }
            _ => false,
        };
    }
    false
}

fn row_of_parameter(query: &str) -> Option<&str> {
    let mut words = Words { rest: query };
    let is = |token: Option<Token<'_>>, keyword: &str| matches!(token, Some(Token::Word(word)) if word.eq_ignore_ascii_case(keyword));
    if !is(words.next(), "unwind")
        || !matches!(words.next(), Some(Token::Symbol('$')))
        || !is(words.next(), "as")
    {
        return None;
    }
    match words.next() {
        Some(Token::Word(name) | Token::Quoted(name)) => Some(name),
        _ => None,
    }
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
