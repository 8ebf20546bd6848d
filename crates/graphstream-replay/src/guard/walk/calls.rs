//! Functions: what they are, and what takes their place.

use super::scope::Rows;
use super::{Mode, Walk};
use crate::guard::functions::Function;
use crate::guard::plan::{Edit, Value};
use crate::guard::{Clock, Dialect, EDITS_MAX, Reason, Refusal, Token};

impl<'a> Walk<'a> {
    /// A function is called: `call` begins its name, `name` is all of it in lower case. The bracket comes next.
    pub(super) fn function(&mut self, call: Token<'a>, name: &str) -> Result<(), Refusal> {
        if self.options.allows(name) {
            return Ok(());
        }
        let has_arguments = !self.reader.sees_symbol(1, ')');
        let Some(function) = Function::of(name, has_arguments, self.options.dialect) else {
            return Err(self.refuse(call, name, Reason::UnknownFunction));
        };
        let in_macro = matches!(self.mode, Mode::MacroHead | Mode::Macro);
        let reason = match function {
            Function::Plain => return Ok(()),
            Function::Sequence if self.mode == Mode::Schema => return Ok(()),
            Function::Aggregate => {
                if let Some(scope) = self.scopes.last_mut() {
                    scope.groups();
                }
                return Ok(());
            }
            Function::Collecting => return self.collect(call, name),
            _ if in_macro => Reason::Macro,
            _ if self.mode == Mode::Schema => Reason::Default,
            Function::Clock(clock) => match self.clock(clock, has_arguments) {
                Some(value) => return self.replace(call, name, value),
                None => Reason::Clock,
            },
            Function::Uuid => match self.uuid() {
                Ok(value) => return self.replace(call, name, value),
                Err(reason) => reason,
            },
            Function::Sequence => {
                let found = self.scopes.last().is_none_or(|scope| scope.rows == Rows::Found);
                if !found && self.scopes.len() == 1 {
                    return Ok(());
                }
                Reason::SequencePerRow
            }
            Function::Random => Reason::Random,
            Function::InternalId => Reason::InternalId,
            Function::Surroundings => Reason::Surroundings,
        };
        Err(self.refuse(call, name, reason))
    }

    /// The entry's timestamp in place of the clock, wherever it is read: it is the same for the whole statement.
    fn clock(&self, clock: Clock, has_arguments: bool) -> Option<Value> {
        // Its Python binding takes no times of day.
        let bound = self.options.dialect != Dialect::Ladybug || clock != Clock::LocalTime;
        (bound && !has_arguments && !self.tables).then_some(Value::Clock(clock))
    }

    /// The entry's UUID, where it is surely read once.
    fn uuid(&self) -> Result<Value, Reason> {
        let once = self.scopes.len() == 1
            && self.scopes.last().is_some_and(|scope| scope.rows == Rows::One)
            && !self.frames.iter().any(|frame| frame.repeats);
        if !once || self.tables {
            Err(Reason::UuidPerRow)
        } else if self.plan.edits.iter().any(|edit| matches!(edit.value, Value::Uuid | Value::UuidText)) {
            Err(Reason::SecondUuid)
        } else {
            Ok(Value::Uuid)
        }
    }

    fn replace(&mut self, call: Token<'a>, name: &str, value: Value) -> Result<(), Refusal> {
        if self.plan.edits.len() >= EDITS_MAX {
            return Err(self.refuse(call, call.text, Reason::TooManyCalls));
        }
        // `()`: the brackets go with the name.
        self.reader.next();
        let end = self.reader.next().map_or(self.query.len(), |bracket| bracket.end());
        let value = match value {
            // What grafeo has for UUIDs is text, and so is what Cypher's own function gives.
            Value::Uuid if self.options.dialect == Dialect::Grafeo => Value::UuidText,
            Value::Uuid if self.options.dialect == Dialect::Any && name != "gen_random_uuid" => {
                Value::UuidText
            }
            value => value,
        };
        self.plan.edits.push(Edit { start: call.offset, end, value });
        Ok(())
    }
}
