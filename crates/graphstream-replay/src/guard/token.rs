//! Cutting a statement into tokens: every byte of it belongs to exactly one.
//!
//! Databases differ in where some texts end. A comment that ends with `**/` goes on in LadybugDB, and one that holds a carriage return ends there in
//! some; what is behind it is a comment for one and a statement for the other. Such a text has no tokens here but an error: nobody
//! writes it by accident, and nothing can be said about what it does.

use std::borrow::Cow;

use super::Dialect;

/// What a token is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum TokenKind {
    /// White space.
    Space,
    /// A comment, with its marks.
    Comment,
    /// A name or a keyword.
    Word,
    /// A name in backticks.
    Quoted,
    /// A string, with its quotes.
    Text,
    /// A number without its sign.
    Number,
    /// A parameter, with its `$`.
    Parameter,
    /// Any other character.
    Symbol,
}

/// A piece of a statement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Token<'a> {
    /// What it is.
    pub kind: TokenKind,
    /// As it is written.
    pub text: &'a str,
    /// Where it begins, in bytes from the statement's start.
    pub offset: usize,
}

impl<'a> Token<'a> {
    /// Whether it is this character.
    #[must_use]
    pub fn is_symbol(&self, symbol: char) -> bool {
        self.kind == TokenKind::Symbol && self.text.chars().eq([symbol])
    }

    /// Whether it is this keyword, given in lower case.
    #[must_use]
    pub fn is_word(&self, keyword: &str) -> bool {
        self.kind == TokenKind::Word
            && (self.text.eq_ignore_ascii_case(keyword)
                || !self.text.is_ascii() && folded(self.text) == keyword)
    }

    /// A word, a quoted name or a parameter without its marks.
    #[must_use]
    pub fn name(&self) -> Cow<'a, str> {
        let text = self.text.strip_prefix('$').unwrap_or(self.text);
        match text.strip_prefix('`').and_then(|text| text.strip_suffix('`')) {
            Some(inside) if inside.contains("``") => Cow::Owned(inside.replace("``", "`")),
            Some(inside) => Cow::Borrowed(inside),
            None => Cow::Borrowed(text),
        }
    }

    pub(super) fn end(&self) -> usize {
        self.offset + self.text.len()
    }
}

/// A name as databases compare it: in lower case, also where that makes ASCII of something else (the long s, the Kelvin sign).
#[must_use]
pub fn folded(name: &str) -> String {
    if name.is_ascii() { name.to_ascii_lowercase() } else { name.to_uppercase().to_lowercase() }
}

/// Why a text has no tokens from somewhere on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Unreadable {
    /// A string without its end.
    #[error("a string that doesn't end")]
    OpenText,
    /// A quoted name without its end.
    #[error("a quoted name that doesn't end")]
    OpenName,
    /// A comment without its end.
    #[error("a comment that doesn't end")]
    OpenComment,
    /// A comment whose end depends on the database.
    #[error(
        "a comment that ends elsewhere in another database: no * before its */, no carriage return in it"
    )]
    Comment,
    /// A number with a letter behind it.
    #[error("a number that runs into a name: put a space between")]
    Number,
    /// A character that belongs to no token.
    #[error("a character that has no meaning here: quote names that contain it with `")]
    Character,
}

/// Characters that stand for themselves.
const SYMBOLS: &str = "()[]{}:;,.|$^%*/+-=<>!~&?";

/// The tokens of a statement. After an error there are none.
#[derive(Debug, Clone)]
pub struct Tokens<'a> {
    query: &'a str,
    at: usize,
    dialect: Dialect,
}

impl<'a> Tokens<'a> {
    /// Those of `query`.
    #[must_use]
    pub fn new(query: &'a str, dialect: Dialect) -> Self {
        Self { query, at: 0, dialect }
    }

    /// Where the next token begins, or what is wrong lies.
    #[must_use]
    pub fn offset(&self) -> usize {
        self.at
    }

    fn rest(&self) -> &'a str {
        self.query.get(self.at..).unwrap_or_default()
    }

    fn measure(&self, rest: &str, first: char) -> Result<(TokenKind, usize), Unreadable> {
        let of_word = |text: &str| text.find(|c| !is_of_word(c)).unwrap_or(text.len());
        Ok(match first {
            _ if first.is_whitespace() => {
                (TokenKind::Space, rest.find(|c: char| !c.is_whitespace()).unwrap_or(rest.len()))
            }
            '/' if rest.starts_with("//") => (TokenKind::Comment, self.line_comment(rest)?),
            '/' if rest.starts_with("/*") => (TokenKind::Comment, self.block_comment(rest)?),
            '`' => (TokenKind::Quoted, quoted(rest)?),
            '\'' | '"' => (TokenKind::Text, string(rest, first)?),
            '$' => match rest.get(1..).unwrap_or_default() {
                name if name.starts_with('`') => (TokenKind::Parameter, 1 + quoted(name)?),
                name => match of_word(name) {
                    0 => (TokenKind::Symbol, 1),
                    len => (TokenKind::Parameter, 1 + len),
                },
            },
            '0'..='9' => (TokenKind::Number, number(rest)?),
            _ if is_of_word(first) => (TokenKind::Word, of_word(rest)),
            _ if SYMBOLS.contains(first) => (TokenKind::Symbol, 1),
            _ => return Err(Unreadable::Character),
        })
    }

    fn line_comment(&self, rest: &str) -> Result<usize, Unreadable> {
        let len = rest.find('\n').unwrap_or(rest.len());
        let inside = rest.get(..len).unwrap_or_default();
        let inside = inside.strip_suffix('\r').unwrap_or(inside);
        if self.dialect != Dialect::Grafeo && inside.contains('\r') {
            return Err(Unreadable::Comment);
        }
        Ok(len)
    }

    fn block_comment(&self, rest: &str) -> Result<usize, Unreadable> {
        let inside = rest.get(2..).unwrap_or_default();
        let len = inside.find("*/").ok_or(Unreadable::OpenComment)?;
        if self.dialect != Dialect::Grafeo && inside.get(..len).is_some_and(|inside| inside.ends_with('*')) {
            return Err(Unreadable::Comment);
        }
        Ok(len + 4)
    }
}

impl<'a> Iterator for Tokens<'a> {
    type Item = Result<Token<'a>, Unreadable>;

    fn next(&mut self) -> Option<Self::Item> {
        let rest = self.rest();
        let first = rest.chars().next()?;
        Some(match self.measure(rest, first) {
            Ok((kind, len)) => {
                let token = Token { kind, text: rest.get(..len).unwrap_or(rest), offset: self.at };
                self.at += token.text.len();
                Ok(token)
            }
            Err(unreadable) => {
                self.query = self.query.get(..self.at).unwrap_or_default();
                Err(unreadable)
            }
        })
    }
}

fn is_of_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// A name in backticks; two of them stand for one.
fn quoted(rest: &str) -> Result<usize, Unreadable> {
    let mut len = 1;
    loop {
        let inside = rest.get(len..).unwrap_or_default();
        len += inside.find('`').ok_or(Unreadable::OpenName)? + 1;
        if !rest.get(len..).is_some_and(|behind| behind.starts_with('`')) {
            return Ok(len);
        }
        len += 1;
    }
}

fn string(rest: &str, quote: char) -> Result<usize, Unreadable> {
    let mut escaped = false;
    let end = rest.char_indices().skip(1).find(|&(_, c)| {
        let found = c == quote && !escaped;
        escaped = c == '\\' && !escaped;
        found
    });
    end.map(|(at, _)| at + 1).ok_or(Unreadable::OpenText)
}

/// Digits, `0x` and hexadecimal ones, `0o` and octal ones, or digits with a fraction and an exponent. Of `1..2` only the 1.
fn number(rest: &str) -> Result<usize, Unreadable> {
    let digits = |from: usize, is_digit: fn(char) -> bool| {
        let rest = rest.get(from..).unwrap_or_default();
        rest.find(|c| !is_digit(c)).unwrap_or(rest.len())
    };
    let byte = |at: usize| rest.as_bytes().get(at).copied();
    let decimal: fn(char) -> bool = |c| c.is_ascii_digit();
    let len = match (byte(0), byte(1)) {
        (Some(b'0'), Some(b'x' | b'X')) => 2 + digits(2, |c| c.is_ascii_hexdigit()),
        (Some(b'0'), Some(b'o' | b'O')) => 2 + digits(2, |c| c.is_digit(8)),
        _ => {
            let mut len = digits(0, decimal);
            if byte(len) == Some(b'.') {
                let fraction = digits(len + 1, decimal);
                len += if fraction > 0 { 1 + fraction } else { 0 };
            }
            if matches!(byte(len), Some(b'e' | b'E')) {
                let sign = usize::from(matches!(byte(len + 1), Some(b'+' | b'-')));
                let exponent = digits(len + 1 + sign, decimal);
                len += if exponent > 0 { 1 + sign + exponent } else { 0 };
            }
            len
        }
    };
    match rest.get(len..).and_then(|behind| behind.chars().next()) {
        Some(c) if is_of_word(c) => Err(Unreadable::Number),
        _ => Ok(len),
    }
}
