//! What a process that appends was given and what it acknowledged, through many lives on one journal; and the comparison with what
//! the journal holds.
//!
//! ```text
//!  lines    1 2 3 4 5 6 │ 7 8 9 10 │ 11 12 ...      each life (│) goes on with the next number
//!  acks     1 2 3       │ 4 5      │                sequences, in the order of the lines
//!  journal  1 2 3 4     │ 7 8 9    │ 11 12          of each life a beginning, with everything acknowledged
//! ```

use std::collections::BTreeMap;
use std::error::Error;
use std::fmt;

/// The log that the parent of such a process keeps. A line is a number of the test's own; a sequence is the journal's.
#[derive(Debug, Default)]
pub struct AckLog {
    /// The first line of each life, ascending.
    lives: Vec<u64>,
    /// The last line that was sent.
    lines: u64,
    /// The line of each sequence that was acknowledged.
    acked: BTreeMap<u64, u64>,
    /// The lines that are known to be on disk, in the order of their sequences.
    settled: Vec<u64>,
}

impl AckLog {
    /// A process has been started: the next line is its first.
    pub fn start_life(&mut self) {
        self.lives.push(self.lines + 1);
    }

    /// So many lines were sent, or perhaps sent. Returns the last one's number.
    pub fn send(&mut self, lines: u64) -> u64 {
        self.lines += lines;
        self.lines
    }

    /// A sequence was acknowledged for a line.
    pub fn acknowledge(&mut self, sequence: u64, line: u64) {
        self.acked.insert(sequence, line);
    }

    /// How many sequences were acknowledged.
    #[must_use]
    pub fn acknowledged(&self) -> usize {
        self.acked.len()
    }

    /// Compares with what a journal shows, as (sequence, line) in its order.
    ///
    /// # Errors
    /// The first thing that must not be: a hole, a duplicate, another order, an entry that nobody has sent, an acknowledged entry
    /// that is missing or another one, a change in what was settled.
    pub fn check(&self, shown: &[(u64, u64)]) -> Result<(), Broken> {
        let mut lives = self.lives.iter().copied().peekable();
        let mut before = 0;
        for ((sequence, line), place) in shown.iter().copied().zip(1..) {
            if sequence != place {
                return Err(Broken::Sequence { sequence, expected: place });
            }
            if line > self.lines {
                return Err(Broken::Phantom { sequence, line });
            }
            while lives.next_if(|start| *start < line).is_some() {}
            let follows = before > 0 && line == before + 1;
            // A life that left nothing may be in between.
            let starts = lives.next_if_eq(&line).is_some() && line > before;
            if !follows && !starts {
                return Err(Broken::Order { sequence, line, before });
            }
            before = line;
        }
        let at = |sequence: u64| {
            let place = usize::try_from(sequence).ok()?.checked_sub(1)?;
            shown.get(place).map(|(_, line)| *line)
        };
        for (sequence, line) in &self.acked {
            if at(*sequence) != Some(*line) {
                return Err(Broken::Lost { sequence: *sequence, line: *line, found: at(*sequence) });
            }
        }
        for (line, sequence) in self.settled.iter().zip(1..) {
            if at(sequence) != Some(*line) {
                return Err(Broken::Undone { sequence, line: *line, found: at(sequence) });
            }
        }
        Ok(())
    }

    /// What is shown now was read from the disk itself, not from memory that a power cut empties: it must never be undone.
    pub fn settle(&mut self, shown: &[(u64, u64)]) {
        self.settled = shown.iter().map(|(_, line)| *line).collect();
    }
}

/// How a journal contradicts the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Broken {
    /// A hole or a duplicate.
    Sequence {
        /// What stands there.
        sequence: u64,
        /// What belongs there.
        expected: u64,
    },
    /// An entry that nobody has sent.
    Phantom {
        /// Where it stands.
        sequence: u64,
        /// What it says.
        line: u64,
    },
    /// Not the line that follows in this life, nor the first one of a later life.
    Order {
        /// Where it stands.
        sequence: u64,
        /// What it says.
        line: u64,
        /// The line that stands before it; 0 if there is none.
        before: u64,
    },
    /// An acknowledged entry is not where it was acknowledged.
    Lost {
        /// What was acknowledged.
        sequence: u64,
        /// The line that it was acknowledged for.
        line: u64,
        /// The line that stands there.
        found: Option<u64>,
    },
    /// An entry that was on disk is not there any more.
    Undone {
        /// Where it was.
        sequence: u64,
        /// Its line.
        line: u64,
        /// The line that stands there.
        found: Option<u64>,
    },
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let instead = |found: &Option<u64>| match found {
            Some(line) => format!("line {line} stands there"),
            None => "the journal ends before it".to_owned(),
        };
        match self {
            Self::Sequence { sequence, expected } => {
                write!(f, "a hole or a duplicate: sequence {sequence} stands where {expected} belongs")
            }
            Self::Phantom { sequence, line } => {
                write!(f, "nobody has sent line {line}, which stands at sequence {sequence}")
            }
            Self::Order { sequence, line, before } => {
                write!(
                    f,
                    "lost, doubled or out of order: line {line} at sequence {sequence} follows line {before}"
                )
            }
            Self::Lost { sequence, line, found } => {
                write!(f, "line {line} was acknowledged as sequence {sequence}: {}", instead(found))
            }
            Self::Undone { sequence, line, found } => {
                write!(f, "line {line} was on disk as sequence {sequence}: {}", instead(found))
            }
        }
    }
}

impl Error for Broken {}

#[cfg(test)]
mod tests {
    use super::{AckLog, Broken};

    /// Two lives of five lines; 1, 2 and 6 acknowledged.
    fn log() -> AckLog {
        let mut log = AckLog::default();
        log.start_life();
        log.send(5);
        log.acknowledge(1, 1);
        log.acknowledge(2, 2);
        log.start_life();
        log.send(5);
        log.acknowledge(4, 6);
        log
    }

    fn shown(lines: &[u64]) -> Vec<(u64, u64)> {
        (1..).zip(lines.iter().copied()).collect()
    }

    #[test]
    fn beginnings_of_lives_with_all_that_was_acknowledged_are_fine() {
        for lines in [&[1, 2, 3, 6][..], &[1, 2, 3, 6, 7, 8, 9, 10]] {
            assert_eq!(log().check(&shown(lines)), Ok(()), "{lines:?}");
        }
        let mut idle = log();
        idle.start_life();
        idle.start_life();
        idle.send(2);
        assert_eq!(idle.check(&shown(&[1, 2, 3, 6, 11])), Ok(()));
    }

    #[test]
    fn everything_else_is_named() {
        let order = |sequence, line, before| Broken::Order { sequence, line, before };
        let lost = |sequence, line, found| Broken::Lost { sequence, line, found };
        for (lines, broken) in [
            (&[][..], lost(1, 1, None)),
            (&[1, 2, 3], lost(4, 6, None)),
            (&[1, 2, 3, 4, 6], lost(4, 6, Some(4))),
            (&[1, 2, 4, 6], order(3, 4, 2)),
            (&[2], order(1, 2, 0)),
            (&[1, 2, 3, 7], order(4, 7, 3)),
            (&[1, 2, 2], order(3, 2, 2)),
            (&[1, 2, 1], order(3, 1, 2)),
            (&[1, 2, 3, 6, 1], order(5, 1, 6)),
            (&[1, 2, 3, 6, 6], order(5, 6, 6)),
            (&[1, 2, 3, 6, 7, 8, 9, 10, 11], Broken::Phantom { sequence: 9, line: 11 }),
        ] {
            assert_eq!(log().check(&shown(lines)), Err(broken), "{lines:?}");
        }
        assert_eq!(
            log().check(&[(1, 1), (3, 2)]),
            Err(Broken::Sequence { sequence: 3, expected: 2 }),
            "a hole"
        );
    }

    #[test]
    fn what_was_settled_stays() {
        let mut log = log();
        log.settle(&shown(&[1, 2, 3, 6, 7]));
        assert_eq!(log.check(&shown(&[1, 2, 3, 6, 7, 8])), Ok(()));
        let undone = Broken::Undone { sequence: 5, line: 7, found: None };
        assert_eq!(log.check(&shown(&[1, 2, 3, 6])), Err(undone));
    }
}
