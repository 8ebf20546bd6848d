//! A database of the predecessor in a store.

use graphstream::replication::predecessor::{CheckedObject, ObjectState, Predecessor};

use super::Problem;
use super::walk::{Row, Sink};
use crate::failure::Failure;
use crate::store::{self, StoreUrl};

pub(super) fn verify(url: &StoreUrl, directory: &str, sink: &mut Sink<'_>) -> Result<(), Failure> {
    store::runtime()?.block_on(async {
        let source = Predecessor::new(store::open_to_read(url).await?, "", directory);
        let survey = source.survey().await?;
        let others = survey.others.clone();
        let mut printed = Ok(());
        source
            .verify(survey, |object| {
                if printed.is_ok() {
                    printed = sink(row(object));
                }
            })
            .await?;
        printed?;
        others.iter().try_for_each(|key| {
            let text = format!("{key} is no segment");
            sink(Row { problem: Some(Problem::other("unknown_name", text, key.as_str())), ..Row::leftover() })
        })
    })
}

fn row(object: &CheckedObject) -> Row {
    let key = object.key.as_ref().map(ToString::to_string);
    let mut row = match &object.state {
        ObjectState::Bad(error) => {
            Row::bad(if object.key.is_none() { "gap" } else { "damaged" }, Failure::from(error))
        }
        ObjectState::Duplicate => {
            let key = key.clone().unwrap_or_default();
            let text = format!("{key} holds nothing that others don't hold, and the same");
            Row { problem: Some(Problem::other("duplicate", text, &key)), ..Row::leftover() }
        }
        ObjectState::Torn(offset) => {
            let text = format!("it ends in a torn tail after sequence {}", object.last);
            let key = key.clone().unwrap_or_default();
            let mut problem = Problem::other("torn_tail", text, &key);
            problem.at(*offset);
            Row { status: "torn", problem: Some(problem), is_segment: true, ..Row::leftover() }
        }
        _ => Row { status: "ok", is_segment: true, ..Row::leftover() },
    };
    row.file = key;
    if object.first > 0 {
        row.first_sequence = Some(object.first);
        row.last_sequence = Some(object.last).filter(|last| *last > 0);
    }
    row.entries = object.entries;
    row.bytes = if object.entries > 0 { object.bytes } else { 0 };
    row.chain_hash = object.chain_hash.map(|hash| hash.to_string());
    row
}
