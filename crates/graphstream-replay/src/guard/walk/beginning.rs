//! What kind of statement it is, by its first words, and what CALL calls.

use super::scope::Rows;
use super::{Mode, Walk};
use crate::guard::functions::Function;
use crate::guard::{Dialect, Reason, Refusal, Token, TokenKind, folded};

impl<'a> Walk<'a> {
    /// Looks at the first words without taking them.
    pub(super) fn begin(&mut self) -> Result<(), Refusal> {
        let Some(first) = self.reader.peek(0) else {
            return match self.unreadable() {
                Some(refusal) => Err(refusal),
                None => Err(self.refuse_at(self.query.len(), "the end", Reason::Empty)),
            };
        };
        let second = self.reader.peek(1);
        let verb = if first.kind == TokenKind::Word { folded(first.text) } else { String::new() };
        let object = match second {
            Some(second) if second.kind == TokenKind::Word => folded(second.text),
            _ => String::new(),
        };
        let tables = self.options.dialect != Dialect::Grafeo;
        let names_path = self.reader.sees_symbol(2, '=');
        let both = |verb: &str| format!("{} {}", verb.to_uppercase(), object.to_uppercase());
        let refuse = |words: &str, reason| Err(self.refuse_at(first.offset, words, reason));
        match verb.as_str() {
            "match" | "optional" | "unwind" | "with" | "return" | "merge" | "call" | "foreach" | "set"
            | "delete" | "remove" => {}
            "detach" if object == "delete" => {}
            "create" => {
                match object.as_str() {
                    // A pattern: `CREATE (n)`, `CREATE p = (n)`.
                    _ if object.is_empty() || names_path => {}
                    "node" | "rel" if tables => self.mode = Mode::Schema,
                    "sequence" | "type" if tables => self.mode = Mode::Names,
                    "macro" if tables => self.mode = Mode::MacroHead,
                    "index" => self.mode = Mode::Names,
                    "constraint" => return refuse("CREATE CONSTRAINT", Reason::OutsideTransaction),
                    "graph" => return refuse("CREATE GRAPH", Reason::Session),
                    _ => return refuse(&both("create"), Reason::UnknownStatement),
                }
            }
            "drop" => match object.as_str() {
                "table" | "sequence" | "type" | "macro" if tables => self.mode = Mode::Names,
                "index" => self.mode = Mode::Names,
                "constraint" => return refuse("DROP CONSTRAINT", Reason::OutsideTransaction),
                "graph" => return refuse("DROP GRAPH", Reason::Session),
                _ => return refuse(&both("drop"), Reason::UnknownStatement),
            },
            "alter" if object == "table" && tables => self.mode = Mode::Schema,
            "alter" if object == "current" => {
                return refuse("ALTER CURRENT GRAPH", Reason::OutsideTransaction);
            }
            "comment" if object == "on" && tables => self.mode = Mode::Names,
            "explain" | "profile" => return refuse(&verb.to_uppercase(), Reason::Plan),
            "begin" | "commit" | "rollback" | "checkpoint" => {
                return refuse(&verb.to_uppercase(), Reason::Transaction);
            }
            "use" => return refuse("USE", Reason::Session),
            "copy" | "load" | "export" | "import" | "attach" | "detach" | "install" | "uninstall"
            | "update" | "force" => return refuse(&verb.to_uppercase(), Reason::Outside),
            _ => {
                // A string in that place may be anything.
                let words = match first.kind {
                    TokenKind::Word => first.text,
                    _ => first.text.get(..1).unwrap_or_default(),
                };
                return refuse(words, Reason::UnknownStatement);
            }
        }
        Ok(())
    }

    /// Behind CALL: a query in braces, a setting, or a procedure, whose name is taken.
    pub(super) fn call(&mut self, word: Token<'a>) -> Result<(), Refusal> {
        let mut name = String::new();
        while let Some(part) = self.reader.peek(0) {
            let is_name = matches!(part.kind, TokenKind::Word | TokenKind::Quoted);
            if !is_name && !part.is_symbol('.') {
                break;
            }
            name.push_str(&folded(&part.name()));
            self.reader.next();
        }
        if name.is_empty() {
            // `CALL { ... }`, `CALL (n) { ... }`
            return Ok(());
        }
        let words = format!("CALL {name}");
        if self.reader.sees_symbol(0, '=') {
            return Err(self.refuse(word, &words, Reason::Session));
        }
        if self.options.allows(&name) {
            if let Some(scope) = self.scopes.last_mut() {
                scope.sees(Rows::Found);
            }
            return Ok(());
        }
        let reason = match name.as_str() {
            "create_fts_index" | "drop_fts_index" | "create_vector_index" | "drop_vector_index" => {
                Reason::OutsideTransaction
            }
            "project_graph" | "project_graph_cypher" | "drop_projected_graph" => Reason::Session,
            _ => match Function::of(&name, true, Dialect::Any) {
                Some(Function::Surroundings) => Reason::Surroundings,
                _ => Reason::Procedure,
            },
        };
        Err(self.refuse(word, &words, reason))
    }
}
