//! One pass over a statement's tokens: brackets, clauses, functions.
//!
//! ```text
//!   begin: first words ──▶ query | schema | macro | refused
//!   each token
//!     ( [ {  ) ] }   frames: what is in brackets, and whether it is computed once
//!     keyword        scopes: how many rows come, in which order; what is written
//!     name (         functions: nothing, an edit, or refused
//! ```
//! It knows where names and expressions stand as far as that takes, and no more: what it lets pass, the database parses afterwards.

mod beginning;
mod calls;
mod reader;
mod scope;

use self::reader::Reader;
use self::scope::{Rows, Scope};
use super::functions::{hides_order, is_keyword};
use super::plan::Plan;
use super::{DEPTH_MAX, GuardOptions, Place, Reason, Refusal, Token, TokenKind, folded};

/// Says how a statement is made safe to replay.
pub(super) fn walk(query: &str, options: &GuardOptions) -> Result<Plan, Refusal> {
    let mut walk = Walk {
        query,
        options,
        reader: Reader::new(query, options.dialect),
        mode: Mode::Query,
        frames: Vec::new(),
        scopes: vec![Scope::new(Rows::One)],
        writes: false,
        pending: None,
        opens_foreach: false,
        tables: false,
        default: None,
        plan: Plan::default(),
    };
    walk.begin()?;
    walk.run()?;
    Ok(walk.plan)
}

/// What is being read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mode {
    Query,
    /// Names and types.
    Names,
    /// Tables: names and types, with expressions behind DEFAULT, or a query behind AS.
    Schema,
    /// `CREATE MACRO name(...)`: a name and its parameters.
    MacroHead,
    /// What a macro computes.
    Macro,
}

/// An open bracket.
#[derive(Debug, Clone, Copy)]
struct Frame {
    closes: char,
    kind: FrameKind,
    /// What is in it may be computed several times.
    repeats: bool,
    /// It holds the argument of a function that doesn't show the order of a list.
    hides_order: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum FrameKind {
    Plain,
    /// The arguments of a function.
    Call,
    /// `CAST(x AS DECIMAL(18, 3))`: what is in it are types.
    Type,
    /// `{ MATCH ... }`, with a scope of its own.
    Query,
    /// `FOREACH (x IN list |`
    ForEachHead,
    /// What FOREACH does for each, with a scope of its own.
    ForEach,
}

struct Walk<'a> {
    query: &'a str,
    options: &'a GuardOptions,
    reader: Reader<'a>,
    mode: Mode,
    frames: Vec<Frame>,
    scopes: Vec<Scope>,
    writes: bool,
    /// Refused as soon as something is written.
    pending: Option<Refusal>,
    opens_foreach: bool,
    /// `CREATE NODE TABLE ... AS`: all its rows are written.
    tables: bool,
    /// Behind DEFAULT, in so many brackets.
    default: Option<usize>,
    plan: Plan,
}

/// How a bracket is opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Opened<'n> {
    Alone,
    Type,
    Call(&'n str),
}

impl<'a> Walk<'a> {
    fn run(&mut self) -> Result<(), Refusal> {
        let mut behind: Option<Token<'a>> = None;
        // The name so far, with what qualifies it, and where it begins.
        let mut name = String::new();
        let mut first: Option<Token<'a>> = None;
        while let Some(token) = self.reader.next() {
            let joins = behind.is_some_and(|behind| behind.is_symbol('.')) && !name.is_empty();
            match token.kind {
                TokenKind::Word | TokenKind::Quoted => {
                    if !joins {
                        name.clear();
                        first = Some(token);
                    }
                    name.push_str(&folded(&token.name()));
                    self.word(token, behind, (first.unwrap_or(token), &name))?;
                }
                TokenKind::Symbol => {
                    let behind_name = behind
                        .is_some_and(|behind| matches!(behind.kind, TokenKind::Word | TokenKind::Quoted));
                    if token.is_symbol('.') && behind_name {
                        name.push('.');
                    } else {
                        name.clear();
                    }
                    self.symbol(token, behind)?;
                }
                TokenKind::Parameter => {
                    name.clear();
                    self.plan.sees_parameter(&token.name());
                }
                _ => name.clear(),
            }
            behind = Some(token);
        }
        if let Some(refusal) = self.unreadable() {
            return Err(refusal);
        }
        match self.frames.last() {
            Some(frame) => {
                Err(self.refuse_at(self.query.len(), &format!("no {}", frame.closes), Reason::Unbalanced))
            }
            None => Ok(()),
        }
    }

    /// `called` is what the name is with its qualifiers, and where that begins.
    fn word(
        &mut self,
        token: Token<'a>,
        behind: Option<Token<'a>>,
        called: (Token<'a>, &str),
    ) -> Result<(), Refusal> {
        let (first, name) = called;
        let is_bare = token.kind == TokenKind::Word && !behind.is_some_and(|behind| behind.is_symbol('.'));
        if is_bare && self.keyword(token, behind)? {
            return Ok(());
        }
        // A parameter that is written with a space: `$ x`.
        if behind.is_some_and(|behind| behind.is_symbol('$')) {
            self.plan.sees_parameter(&token.name());
            return Ok(());
        }
        if is_bare && name == "collect" && self.reader.sees_symbol(0, '{') {
            // `COLLECT { MATCH ... }`
            return Err(self.refuse(token, "COLLECT", Reason::UnorderedCollect));
        }
        if !self.reader.sees_symbol(0, '(') || (is_bare && is_keyword(name)) {
            return Ok(());
        }
        let in_call = self.frames.last().is_some_and(|frame| frame.kind == FrameKind::Call);
        let is_type = self.frames.iter().any(|frame| frame.kind == FrameKind::Type)
            || in_call && behind.is_some_and(|behind| behind.is_word("as"));
        let opened = match self.mode {
            _ if is_type => Opened::Type,
            Mode::Names => Opened::Alone,
            Mode::Schema if self.default.is_none() => Opened::Alone,
            Mode::MacroHead if self.frames.is_empty() => Opened::Alone,
            _ => {
                self.function(first, name)?;
                Opened::Call(name)
            }
        };
        match self.reader.peek(0) {
            // It may be gone together with the name.
            Some(bracket) if bracket.is_symbol('(') => {
                self.reader.next();
                self.open(bracket, opened)
            }
            _ => Ok(()),
        }
    }

    /// What a bare word means where it stands; whether that is all it does.
    fn keyword(&mut self, token: Token<'a>, behind: Option<Token<'a>>) -> Result<bool, Refusal> {
        let is_behind = |symbols: &[char]| {
            behind.is_some_and(|behind| symbols.iter().any(|symbol| behind.is_symbol(*symbol)))
        };
        if token.is_word("load") && (self.reader.sees_word(0, "csv") || self.reader.sees_word(0, "from")) {
            return Err(self.refuse(token, "LOAD", Reason::Outside));
        }
        if let Some(frame) = self.frames.last_mut()
            && token.is_word("in")
        {
            frame.repeats = true;
        }
        match self.mode {
            Mode::Schema => {
                if token.is_word("default") {
                    self.default = self.default.or(Some(self.frames.len()));
                } else if token.is_word("as") && self.frames.is_empty() {
                    if !self.sees_clause() {
                        return Err(self.refuse(token, "AS", Reason::UnknownStatement));
                    }
                    // All its rows are written.
                    (self.mode, self.tables, self.writes) = (Mode::Query, true, true);
                }
                Ok(false)
            }
            Mode::MacroHead => {
                if token.is_word("as") && self.frames.is_empty() {
                    self.mode = Mode::Macro;
                }
                Ok(false)
            }
            Mode::Macro | Mode::Names => Ok(false),
            Mode::Query => {
                let at_clause = self
                    .frames
                    .last()
                    .is_none_or(|frame| matches!(frame.kind, FrameKind::Query | FrameKind::ForEach));
                // A label, a name that is given. (`5! SET` is a factorial before a clause.)
                let is_name = is_behind(&[':', '|', '&', '$']) && !self.begins_query(behind)
                    || behind.is_some_and(|behind| behind.is_word("as")) && !self.tables;
                if at_clause && !is_name {
                    self.clause(token, behind)?;
                }
                Ok(false)
            }
        }
    }

    /// The bar of FOREACH is followed by a clause; any other by a name.
    fn begins_query(&self, behind: Option<Token<'a>>) -> bool {
        behind.is_some_and(|behind| behind.is_symbol('|'))
            && self.frames.last().is_some_and(|frame| frame.kind == FrameKind::ForEach)
    }

    fn symbol(&mut self, token: Token<'a>, behind: Option<Token<'a>>) -> Result<(), Refusal> {
        match token.text {
            "(" | "[" | "{" => self.open(token, Opened::Alone),
            ")" | "]" | "}" => self.close(token),
            "|" => {
                if let Some(frame) = self.frames.last_mut() {
                    if frame.kind == FrameKind::ForEachHead {
                        frame.kind = FrameKind::ForEach;
                        self.scopes.push(Scope::new(Rows::Found));
                    } else if frame.kind != FrameKind::ForEach {
                        frame.repeats = true;
                    }
                }
                Ok(())
            }
            ">" if behind.is_some_and(|behind| behind.is_symbol('-')) => {
                // The arrow of a function without a name, or that of a pattern.
                if let Some(frame) = self.frames.last_mut() {
                    frame.repeats = true;
                }
                Ok(())
            }
            "," => {
                self.default = self.default.filter(|depth| *depth < self.frames.len());
                Ok(())
            }
            ";" => self.end(),
            _ => Ok(()),
        }
    }

    /// Behind the statement nothing may come.
    fn end(&mut self) -> Result<(), Refusal> {
        while let Some(token) = self.reader.next() {
            if !token.is_symbol(';') {
                return Err(self.refuse(token, "a second statement", Reason::SeveralStatements));
            }
        }
        Ok(())
    }

    fn open(&mut self, bracket: Token<'a>, opened: Opened<'_>) -> Result<(), Refusal> {
        if self.frames.len() >= DEPTH_MAX {
            return Err(self.refuse(bracket, bracket.text, Reason::TooDeep));
        }
        let foreach = std::mem::take(&mut self.opens_foreach);
        let (closes, kind) = match bracket.text {
            "(" if foreach => (')', FrameKind::ForEachHead),
            "(" => match opened {
                Opened::Alone => (')', FrameKind::Plain),
                Opened::Type => (')', FrameKind::Type),
                Opened::Call(_) => (')', FrameKind::Call),
            },
            "[" => (']', FrameKind::Plain),
            _ if self.opens_query() => {
                let rows = self.scopes.last().map_or(Rows::Found, |scope| scope.rows);
                self.scopes.push(Scope::new(rows));
                ('}', FrameKind::Query)
            }
            _ => ('}', FrameKind::Plain),
        };
        let hides_order = matches!(opened, Opened::Call(name) if hides_order(name));
        self.frames.push(Frame { closes, kind, repeats: false, hides_order });
        Ok(())
    }

    /// Whether a brace is followed by a clause, and not by a key.
    fn opens_query(&mut self) -> bool {
        self.mode == Mode::Query && self.sees_clause() && !self.reader.sees_symbol(1, ':')
    }

    fn sees_clause(&mut self) -> bool {
        const CLAUSES: &[&str] = &[
            "call", "create", "delete", "detach", "foreach", "load", "match", "merge", "optional", "remove",
            "return", "set", "unwind", "with",
        ];
        let word = self.reader.peek(0).filter(|token| token.kind == TokenKind::Word);
        word.is_some_and(|word| CLAUSES.iter().any(|clause| word.is_word(clause)))
    }

    fn close(&mut self, bracket: Token<'a>) -> Result<(), Refusal> {
        let popped = self.frames.pop();
        self.default = self.default.filter(|depth| *depth <= self.frames.len());
        match popped {
            Some(frame) if bracket.is_symbol(frame.closes) => {
                if matches!(frame.kind, FrameKind::Query | FrameKind::ForEach)
                    && let Some(inner) = self.scopes.pop()
                    && let Some(scope) = self.scopes.last_mut()
                    && frame.kind == FrameKind::Query
                {
                    scope.sees(inner.rows);
                }
                Ok(())
            }
            _ => Err(self.refuse(bracket, bracket.text, Reason::Unbalanced)),
        }
    }

    fn unreadable(&self) -> Option<Refusal> {
        let (offset, unreadable) = self.reader.failed?;
        let first = self.query.get(offset..).and_then(|rest| rest.chars().next());
        let words = first.map_or_else(String::new, |first| first.escape_debug().to_string());
        Some(self.refuse_at(offset, &words, Reason::Unreadable(unreadable)))
    }

    fn refuse(&self, token: Token<'a>, words: &str, reason: Reason) -> Refusal {
        self.refuse_at(token.offset, words, reason)
    }

    fn refuse_at(&self, offset: usize, words: &str, reason: Reason) -> Refusal {
        const WORDS_MAX: usize = 60;
        let mut shown = String::new();
        for c in words.chars().take(WORDS_MAX) {
            // A name in backticks may hold what a terminal obeys.
            if c.is_control() { shown.extend(c.escape_default()) } else { shown.push(c) }
        }
        if words.chars().nth(WORDS_MAX).is_some() {
            shown.push_str("...");
        }
        Refusal { place: Place::of(self.query, offset), words: shown, reason }
    }
}
