//! The tokens that mean something, with a look at those to come.

use std::collections::VecDeque;

use crate::guard::{Dialect, Token, TokenKind, Tokens, Unreadable};

/// Tokens without space and comments.
pub(super) struct Reader<'a> {
    tokens: Tokens<'a>,
    ahead: VecDeque<Token<'a>>,
    /// Why there are no more, and where.
    pub(super) failed: Option<(usize, Unreadable)>,
}

impl<'a> Reader<'a> {
    pub(super) fn new(query: &'a str, dialect: Dialect) -> Self {
        Self { tokens: Tokens::new(query, dialect), ahead: VecDeque::new(), failed: None }
    }

    /// The token after `skipped` others, which stay.
    pub(super) fn peek(&mut self, skipped: usize) -> Option<Token<'a>> {
        while self.ahead.len() <= skipped {
            match self.tokens.next()? {
                Ok(token) if matches!(token.kind, TokenKind::Space | TokenKind::Comment) => {}
                Ok(token) => self.ahead.push_back(token),
                Err(unreadable) => {
                    self.failed = Some((self.tokens.offset(), unreadable));
                    return None;
                }
            }
        }
        self.ahead.get(skipped).copied()
    }

    pub(super) fn next(&mut self) -> Option<Token<'a>> {
        self.peek(0);
        self.ahead.pop_front()
    }

    pub(super) fn sees_symbol(&mut self, skipped: usize, symbol: char) -> bool {
        self.peek(skipped).is_some_and(|token| token.is_symbol(symbol))
    }

    pub(super) fn sees_word(&mut self, skipped: usize, keyword: &str) -> bool {
        self.peek(skipped).is_some_and(|token| token.is_word(keyword))
    }
}
