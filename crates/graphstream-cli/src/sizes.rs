//! Byte counts on the command line.

/// Parses `4194304`, `512KiB`, `4MiB`, `1GiB` (also `4M`).
pub(crate) fn parse(text: &str) -> Result<u64, String> {
    let expected = || "expected a number of bytes, as in 4194304 or 4MiB".to_owned();
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let factor: u64 = match unit.trim() {
        "" | "B" => 1,
        "K" | "KiB" => 1 << 10,
        "M" | "MiB" => 1 << 20,
        "G" | "GiB" => 1 << 30,
        _ => return Err(expected()),
    };
    let number: u64 = number.parse().map_err(|_| expected())?;
    number.checked_mul(factor).ok_or_else(expected)
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn sizes_have_binary_units() {
        assert_eq!(parse("4096"), Ok(4096));
        assert_eq!(parse("4MiB"), Ok(4 << 20));
        assert_eq!(parse("1G"), Ok(1 << 30));
        for bad in ["", "MiB", "-1", "4 megs", "1.5M", "18446744073709551615K"] {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }
}
