//! What a statement does and which labels it names, by its tokens. For looking, not for deciding: a statement that can't be read to its
//! end counts as what was read of it.

use crate::guard::{Dialect, Token, TokenKind, Tokens};

/// What a statement does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum StatementKind {
    /// Makes nodes or relationships: CREATE, INSERT.
    Create,
    /// Makes what is not there: MERGE.
    Merge,
    /// Changes properties or labels: SET, REMOVE.
    Set,
    /// Takes away nodes or relationships: DELETE.
    Delete,
    /// Changes tables, types, indexes: CREATE NODE TABLE, ALTER, DROP.
    Schema,
}

/// What was read of a statement.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Statement {
    /// Everything that it does, each once.
    pub kinds: Vec<StatementKind>,
    /// Labels, relationship types and tables in the order of their first mention, each once.
    pub labels: Vec<String>,
}

/// What may stand behind CREATE when it makes no node.
const SCHEMA_WORDS: [&str; 16] = [
    "node",
    "rel",
    "relationship",
    "edge",
    "table",
    "index",
    "constraint",
    "unique",
    "vector",
    "fulltext",
    "text",
    "type",
    "sequence",
    "macro",
    "graph",
    "schema",
];

impl Statement {
    /// Reads a statement, in one pass.
    #[must_use]
    pub fn read(query: &str) -> Self {
        let mut this = Self::default();
        let meant = |token: &Token<'_>| !matches!(token.kind, TokenKind::Space | TokenKind::Comment);
        let tokens: Vec<_> = Tokens::new(query, Dialect::Any).map_while(Result::ok).filter(meant).collect();
        let mut brackets = Vec::new();
        let mut at = 0;
        while let Some(token) = tokens.get(at) {
            let before = at.checked_sub(1).and_then(|before| tokens.get(before));
            let after = tokens.get(at + 1);
            at += 1;
            match token.kind {
                TokenKind::Symbol => match token.text {
                    "(" | "[" | "{" => brackets.push(token.text),
                    ")" | "]" | "}" => drop(brackets.pop()),
                    ":" if brackets.last() != Some(&"{") => at = this.labels(&tokens, at),
                    _ => {}
                },
                TokenKind::Word if !is_name(before, after) => {
                    if let Some(kind) = kind(token, before, after) {
                        this.does(kind);
                    }
                    if token.is_word("table") {
                        this.table(tokens.get(at..).unwrap_or_default());
                    }
                }
                _ => {}
            }
        }
        this
    }

    fn does(&mut self, kind: StatementKind) {
        if !self.kinds.contains(&kind) {
            self.kinds.push(kind);
        }
    }

    fn names(&mut self, token: &Token<'_>) {
        let name = token.name();
        if !self.labels.iter().any(|label| *label == name) {
            self.labels.push(name.into_owned());
        }
    }

    /// The labels behind a colon: `:A`, `:A|B`, `:A&!B`. Where they end.
    fn labels(&mut self, tokens: &[Token<'_>], mut at: usize) -> usize {
        let mut joined = true;
        while let Some(token) = tokens.get(at) {
            match token.kind {
                TokenKind::Word | TokenKind::Quoted if joined => {
                    self.names(token);
                    joined = false;
                }
                TokenKind::Symbol if matches!(token.text, "|" | "&" | "!" | ":") => {
                    joined = true;
                }
                _ => break,
            }
            at += 1;
        }
        at
    }

    /// `TABLE [IF [NOT] EXISTS] name`.
    fn table(&mut self, behind: &[Token<'_>]) {
        let skipped = ["if", "not", "exists", "group"];
        let name = behind.iter().find(|token| !skipped.iter().any(|word| token.is_word(word)));
        if let Some(name) = name.filter(|name| matches!(name.kind, TokenKind::Word | TokenKind::Quoted)) {
            self.names(name);
        }
    }
}

/// Whether a word stands where a name does: `n.set`, `{delete: 1}`.
fn is_name(before: Option<&Token<'_>>, after: Option<&Token<'_>>) -> bool {
    before.is_some_and(|before| before.is_symbol('.')) || after.is_some_and(|after| after.is_symbol(':'))
}

fn kind(token: &Token<'_>, before: Option<&Token<'_>>, after: Option<&Token<'_>>) -> Option<StatementKind> {
    let behind = |words: &[&str]| after.is_some_and(|after| words.iter().any(|word| after.is_word(word)));
    Some(match () {
        // MERGE ... ON CREATE SET ...
        () if token.is_word("create") && before.is_some_and(|before| before.is_word("on")) => return None,
        () if token.is_word("create") && (behind(&SCHEMA_WORDS) || behind(&["or"])) => StatementKind::Schema,
        () if token.is_word("create") || token.is_word("insert") => StatementKind::Create,
        () if token.is_word("merge") => StatementKind::Merge,
        () if token.is_word("set") || token.is_word("remove") => StatementKind::Set,
        () if token.is_word("delete") => StatementKind::Delete,
        () if token.is_word("alter") || token.is_word("drop") => StatementKind::Schema,
        () => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::StatementKind::{Create, Delete, Merge, Schema, Set};
    use super::*;

    #[test]
    fn statements_are_what_their_clauses_do() {
        for (query, kinds, labels) in [
            ("CREATE (:Person {id: $id})", &[Create][..], &["Person"][..]),
            ("create (a:A:B)-[:KNOWS]->(:`Two Words`)", &[Create], &["A", "B", "KNOWS", "Two Words"]),
            ("INSERT (:Person {set: 1, delete: 2})", &[Create], &["Person"]),
            (
                "MERGE (p:Person {id: 1}) ON CREATE SET p.n = 1 ON MATCH SET p.n = 2",
                &[Merge, Set],
                &["Person"],
            ),
            ("MATCH (n:Person|City) DETACH DELETE n", &[Delete], &["Person", "City"]),
            ("MATCH (n)-[r:A|:B|C]->() DELETE r", &[Delete], &["A", "B", "C"]),
            ("MATCH (n) WHERE n:Old SET n:New REMOVE n:Old", &[Set], &["Old", "New"]),
            ("MATCH (n) SET n.merge = 'CREATE (:X)' // DELETE :Y", &[Set], &[]),
            ("CREATE NODE TABLE IF NOT EXISTS Person(id INT64, PRIMARY KEY(id))", &[Schema], &["Person"]),
            ("CREATE REL TABLE Knows(FROM Person TO Person)", &[Schema], &["Knows"]),
            ("CREATE INDEX FOR (n:Person) ON (n.id)", &[Schema], &["Person"]),
            ("DROP TABLE `Old One`", &[Schema], &["Old One"]),
            ("ALTER TABLE Person ADD age INT64", &[Schema], &["Person"]),
            ("RETURN 1", &[], &[]),
            ("", &[], &[]),
            // What can be read of it.
            ("CREATE (:A {t: 'never ends", &[Create], &["A"]),
        ] {
            let found = Statement::read(query);
            assert_eq!(found.kinds, kinds, "{query}");
            assert_eq!(found.labels, labels, "{query}");
        }
    }
}
