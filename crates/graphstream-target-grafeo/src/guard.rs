//! Looking at a statement before grafeo runs it: index statements, other schema statements, functions.
//!
//! What a statement does to the graphs of others is what the writer's guard looks at ([`graphstream_replay::guard`]), whose tokens and
//! functions these are. Here it is what grafeo itself would make of it without a word. grafeo parses it afterwards.

use std::collections::HashMap;

use graphstream_replay::guard::{Dialect, Function, Token, TokenKind, Tokens, folded, is_keyword};

use crate::{Error, Result};

/// The tokens that mean something.
#[derive(Clone)]
struct Words<'a>(Tokens<'a>);

impl<'a> Words<'a> {
    fn of(query: &'a str) -> Self {
        Self(Tokens::new(query, Dialect::Grafeo))
    }

    /// The next one, which stays.
    fn peek(&self) -> Option<Token<'a>> {
        self.clone().next()
    }
}

impl<'a> Iterator for Words<'a> {
    type Item = Token<'a>;

    fn next(&mut self) -> Option<Token<'a>> {
        let means_something =
            |token: &Token<'_>| !matches!(token.kind, TokenKind::Space | TokenKind::Comment);
        self.0.by_ref().map_while(|token| token.ok()).find(means_something)
    }
}

fn is_name(token: &Token<'_>) -> bool {
    matches!(token.kind, TokenKind::Word | TokenKind::Quoted)
}

/// What a statement is to this adapter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Statement {
    /// Anything that runs in a transaction.
    Data {
        /// It sets or removes labels.
        labels: bool,
        /// It writes a property's value elsewhere: `SET a.x = b.y`, `CREATE ({x: b.y})`.
        copies: bool,
        /// It follows relationships over several steps: `-[:KNOWS*1..3]->`, `shortestPath(...)`.
        paths: bool,
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
    let mut tokens = Tokens::new(query, Dialect::Grafeo);
    if let Some(Err(source)) = tokens.find(|token| token.is_err()) {
        return Err(Error::Unreadable { offset: tokens.offset(), source });
    }
    let mut words = Words::of(query);
    let keyword = |token: Option<Token<'_>>| match token {
        Some(token) if token.kind == TokenKind::Word => folded(token.text),
        _ => String::new(),
    };
    let (verb, object) = (keyword(words.next()), keyword(words.next()));
    match (verb.as_str(), object.as_str()) {
        ("create" | "drop", "index") => {
            // Without a name grafeo will say what is wrong with it.
            let name = words.next().filter(is_name).map_or_else(String::new, |name| name.name().into_owned());
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
    check_functions(query)?;
    Ok(Statement::Data {
        labels: changes_labels(query),
        copies: copies_properties(query),
        paths: follows_paths(query),
    })
}

/// Whether there is a colon right in a `SET` or `REMOVE`, and not deeper in brackets.
fn changes_labels(query: &str) -> bool {
    let mut depth = 0_usize;
    // How deep the clause is that we are in.
    let mut changing = None;
    let mut qualified = false;
    for token in Words::of(query) {
        match token.kind {
            TokenKind::Word if !qualified => {
                if token.is_word("set") || token.is_word("remove") {
                    changing = Some(depth);
                } else if changing == Some(depth) && CLAUSES.iter().any(|clause| token.is_word(clause)) {
                    changing = None;
                }
            }
            TokenKind::Symbol => match token.text {
                "(" | "[" | "{" => depth += 1,
                ")" | "]" | "}" => {
                    depth = depth.saturating_sub(1);
                    changing = changing.filter(|at| *at <= depth);
                }
                ":" if changing == Some(depth) => return true,
                _ => {}
            },
            _ => {}
        }
        qualified = token.is_symbol('.');
    }
    false
}

/// Whether there is a name with a point right behind `=` or `:`, as it is. Comparisons are among them; that is only slower.
fn copies_properties(query: &str) -> bool {
    let mut words = Words::of(query);
    // The rows of a parameter are no nodes: `UNWIND $rows AS row CREATE ({id: row.id})`.
    let row = row_of_parameter(query);
    let mut value_begins = false;
    while let Some(token) = words.next() {
        value_begins = match token.kind {
            TokenKind::Symbol => {
                token.is_symbol('=') || token.is_symbol(':') || value_begins && token.is_symbol('(')
            }
            TokenKind::Word | TokenKind::Quoted if value_begins => {
                let mut behind = words.clone();
                if behind.next().is_some_and(|token| token.is_symbol('.'))
                    && row.as_deref() != Some(&*token.name())
                {
                    // The property, and what is done with it: computing reads it as it should be.
                    behind.next();
                    let computes = |token: Token<'_>| "+-*/%^".contains(token.text);
                    if !behind.next().is_some_and(computes) {
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

/// Whether there is a star in square brackets, or a shortest path. Products in lists are among them; that is only slower.
fn follows_paths(query: &str) -> bool {
    let mut brackets = 0_usize;
    Words::of(query).any(|token| match token.text {
        "[" => {
            brackets += 1;
            false
        }
        "]" => {
            brackets = brackets.saturating_sub(1);
            false
        }
        "*" => brackets > 0,
        _ => is_name(&token) && matches!(folded(&token.name()).as_str(), "shortestpath" | "allshortestpaths"),
    })
}

fn row_of_parameter(query: &str) -> Option<String> {
    let mut words = Words::of(query);
    words.next().filter(|token| token.is_word("unwind"))?;
    words.next().filter(|token| token.kind == TokenKind::Parameter)?;
    words.next().filter(|token| token.is_word("as"))?;
    words.next().filter(is_name).map(|token| token.name().into_owned())
}

fn check_functions(query: &str) -> Result<()> {
    let mut words = Words::of(query);
    // The name before the current token, with its qualifiers, if the token is directly behind a name.
    let mut name: Option<String> = None;
    let mut qualified = false;
    let mut loading = false;
    while let Some(token) = words.next() {
        if is_name(&token) {
            if loading && token.is_word("csv") {
                return Err(Error::LoadCsv);
            }
            loading = token.is_word("load");
            let word = folded(&token.name());
            name = match name.take() {
                Some(before) if qualified => Some(format!("{before}.{word}")),
                _ => Some(word),
            };
            qualified = false;
            continue;
        }
        // The second of two dots is a range's, `list[1..size(list)]`: what follows is no part of a name.
        if token.is_symbol('.') && !qualified {
            qualified = true;
            continue;
        }
        if token.is_symbol('(')
            && let Some(name) = name.take()
        {
            let has_arguments = !words.peek().is_some_and(|token| token.is_symbol(')'));
            check_function(name, has_arguments)?;
        }
        loading = false;
        qualified = false;
        name = None;
    }
    Ok(())
}

fn check_function(function: String, has_arguments: bool) -> Result<()> {
    if is_keyword(&function) {
        return Ok(());
    }
    match Function::of(&function, has_arguments, Dialect::Grafeo) {
        Some(Function::Plain | Function::Aggregate | Function::Collecting) => Ok(()),
        // grafeo has none.
        None | Some(Function::Uuid | Function::Sequence) => Err(Error::UnknownFunction { function }),
        Some(_) => Err(Error::NotDeterministic { function }),
    }
}
