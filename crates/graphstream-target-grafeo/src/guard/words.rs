//! Cutting a statement into words.

pub(super) enum Token<'a> {
    /// A name or a number.
    Word(&'a str),
    /// A name in backticks.
    Quoted(&'a str),
    /// A string.
    Text,
    /// Any other character.
    Symbol(char),
}

pub(super) struct Words<'a> {
    pub(super) rest: &'a str,
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
