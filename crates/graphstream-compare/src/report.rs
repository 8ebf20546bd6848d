//! Rows, and how they are printed.

use anyhow::Result;
use serde_json::json;

use crate::turns::Series;

/// What a ratio should be.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Goal {
    AtLeast(f64),
    AtMost(f64),
    /// It explains another row.
    None,
}

impl Goal {
    fn is_met(self, ratio: f64) -> Option<bool> {
        match self {
            Self::AtLeast(least) => Some(ratio >= least),
            Self::AtMost(most) => Some(ratio <= most),
            Self::None => None,
        }
    }

    fn text(self) -> String {
        match self {
            Self::AtLeast(least) => format!(">= {least}"),
            Self::AtMost(most) => format!("<= {most}"),
            Self::None => String::new(),
        }
    }
}

/// One comparison.
#[derive(Debug)]
pub(crate) struct Row {
    measure: &'static str,
    unit: &'static str,
    value: f64,
    against: &'static str,
    other: f64,
    ratio: f64,
    goal: Goal,
}

impl Row {
    pub(crate) fn new(
        measure: &'static str,
        unit: &'static str,
        series: &Series,
        against: (&'static str, &Series),
        goal: Goal,
    ) -> Self {
        let (against, other) = against;
        let ratio = series.ratio(other);
        Self { measure, unit, value: series.median(), against, other: other.median(), ratio, goal }
    }

    /// Against a limit that is a number.
    pub(crate) fn limited(
        measure: &'static str,
        unit: &'static str,
        value: f64,
        limit: (&'static str, f64),
        goal: Goal,
    ) -> Self {
        let (against, other) = limit;
        Self { measure, unit, value, against, other, ratio: value / other, goal }
    }
}

/// Prints a table, or JSON.
pub(crate) fn print(rows: &[Row], as_json: bool) -> Result<()> {
    if as_json {
        let rows: Vec<_> = rows
            .iter()
            .map(|row| {
                let goal = match row.goal {
                    Goal::AtLeast(least) => json!({"at_least": least}),
                    Goal::AtMost(most) => json!({"at_most": most}),
                    Goal::None => json!(null),
                };
                json!({
                    "measure": row.measure, "unit": row.unit, "value": row.value, "against": row.against,
                    "against_value": row.other, "ratio": row.ratio, "goal": goal,
                    "met": row.goal.is_met(row.ratio),
                })
            })
            .collect();
        println!("{}", serde_json::to_string_pretty(&rows)?);
        return Ok(());
    }
    println!("| measure | | against | | ratio | goal | |\n|---|---:|---|---:|---:|---:|---|");
    for row in rows {
        let met = row.goal.is_met(row.ratio).map_or("", |met| if met { "met" } else { "missed" });
        println!(
            "| {} | {} {} | {} | {} | {:.2} | {} | {met} |",
            row.measure,
            figure(row.value),
            row.unit,
            row.against,
            figure(row.other),
            row.ratio,
            row.goal.text()
        );
    }
    Ok(())
}

/// Three digits that count.
fn figure(value: f64) -> String {
    match value {
        value if value >= 1e6 => format!("{:.2} M", value / 1e6),
        value if value >= 1e4 => format!("{:.0},{:03}", (value / 1e3).floor(), value as u64 % 1000),
        value if value >= 100.0 => format!("{value:.0}"),
        value => format!("{value:.2}"),
    }
}
