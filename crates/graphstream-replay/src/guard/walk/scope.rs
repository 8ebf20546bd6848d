//! How many rows a clause runs for, and whether they come in an order that a replay would find again.

use super::Walk;
use crate::guard::{Dialect, Reason, Refusal, Token, TokenKind};

/// The rows before a clause.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Rows {
    /// None or one.
    One,
    /// Those of a list, in its order.
    Listed,
    /// Any number, as the database finds them.
    Found,
}

/// A query, or one in braces inside it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Scope {
    pub(super) rows: Rows,
    /// The rows it begins with, as every branch of a UNION does.
    start: Rows,
    /// The last clause is WITH or RETURN.
    projects: bool,
    /// It has an ORDER BY.
    ordered: bool,
    /// The rows before the MERGE that the last clause is.
    merges: Option<Rows>,
    /// ON was read: what follows belongs to the MERGE.
    on: bool,
}

impl Scope {
    pub(super) fn new(rows: Rows) -> Self {
        Self { rows, start: rows, projects: false, ordered: false, merges: None, on: false }
    }

    pub(super) fn sees(&mut self, rows: Rows) {
        self.rows = self.rows.max(rows);
    }

    /// Rows are made one of, or one for each group: their order is nobody's any more.
    pub(super) fn groups(&mut self) {
        if self.projects && self.rows != Rows::One {
            self.rows = Rows::Found;
        }
    }

    /// Whether rows are in an order that was asked for.
    pub(super) fn is_ordered(&self) -> bool {
        self.ordered
    }

    fn begin(&mut self) {
        if self.merges.take().is_some() {
            // It may have found any number.
            self.rows = Rows::Found;
        }
        self.on = false;
        self.projects = false;
    }

    fn project(&mut self) {
        self.begin();
        self.projects = true;
        self.ordered = false;
    }
}

impl<'a> Walk<'a> {
    /// A keyword where a clause may begin. `behind` is the token before it.
    pub(super) fn clause(&mut self, word: Token<'a>, behind: Option<Token<'a>>) -> Result<(), Refusal> {
        let after_on = behind.is_some_and(|behind| behind.is_word("on"));
        let Some(scope) = self.scopes.last_mut() else { return Ok(()) };
        match crate::guard::folded(word.text).as_str() {
            "match" if after_on && scope.on => scope.sees(Rows::Found),
            "create" if after_on && scope.on => scope.rows = scope.merges.unwrap_or(scope.rows),
            "set" if scope.on => scope.on = false,
            "match" => {
                scope.begin();
                (scope.rows, scope.ordered) = (Rows::Found, false);
            }
            "unwind" => {
                scope.begin();
                scope.sees(Rows::Listed);
                scope.ordered = false;
            }
            "with" | "return" => scope.project(),
            "distinct" => scope.groups(),
            "order" if self.reader.sees_word(0, "by") => scope.ordered = true,
            "limit" | "skip" | "offset" => self.limit(word)?,
            "union" => *scope = Scope::new(scope.start),
            "on" => scope.on = scope.merges.is_some(),
            "merge" => {
                scope.begin();
                scope.merges = Some(scope.rows);
                self.write()?;
            }
            "create" | "set" | "delete" | "detach" | "remove" => {
                scope.begin();
                self.write()?;
            }
            "foreach" => {
                scope.begin();
                self.opens_foreach = true;
                self.write()?;
            }
            "call" => {
                scope.begin();
                self.call(word)?;
            }
            "transactions" if behind.is_some_and(|behind| behind.is_word("in")) => {
                return Err(self.refuse(word, "IN TRANSACTIONS", Reason::Transaction));
            }
            _ => {}
        }
        Ok(())
    }

    /// Something is written from here on: of the rows there are.
    fn write(&mut self) -> Result<(), Refusal> {
        self.writes = true;
        self.pending.take().map_or(Ok(()), Err)
    }

    fn limit(&mut self, word: Token<'a>) -> Result<(), Refusal> {
        // Otherwise it is a name.
        const NO_VALUE: &[&str] = &["and", "as", "in", "is", "or", "order", "set", "where"];
        let begins_value = self.reader.peek(0).is_some_and(|next| match next.kind {
            TokenKind::Number | TokenKind::Parameter | TokenKind::Quoted => true,
            TokenKind::Word => !NO_VALUE.iter().any(|word| next.is_word(word)),
            // `offset(id(n))` is a function.
            _ => next.is_symbol('(') && !word.is_word("offset") || next.is_symbol('$'),
        });
        let Some(scope) = self.scopes.last() else { return Ok(()) };
        if !begins_value || scope.ordered || scope.rows == Rows::One {
            return Ok(());
        }
        let (name, found) = (word.text.to_uppercase(), scope.rows == Rows::Found);
        if self.writes && !self.tables {
            return Err(self.refuse(word, &name, Reason::LimitBehindWrite));
        }
        if found { self.hold(word, &name, Reason::UnorderedLimit) } else { Ok(()) }
    }

    /// A list is made of the rows.
    pub(super) fn collect(&mut self, call: Token<'a>, name: &str) -> Result<(), Refusal> {
        let sorted = self.frames.last().is_some_and(|frame| frame.hides_order);
        let Some(scope) = self.scopes.last_mut() else { return Ok(()) };
        // LadybugDB collects with several threads, also what is ordered.
        let in_order = self.options.dialect == Dialect::Grafeo && scope.is_ordered();
        let free = scope.rows == Rows::Found && !sorted && !in_order;
        scope.groups();
        if free { self.hold(call, name, Reason::UnorderedCollect) } else { Ok(()) }
    }

    /// Refused if something is written afterwards, or everything is.
    fn hold(&mut self, at: Token<'a>, words: &str, reason: Reason) -> Result<(), Refusal> {
        let refusal = self.refuse(at, words, reason);
        if self.tables {
            return Err(refusal);
        }
        self.pending.get_or_insert(refusal);
        Ok(())
    }
}
