//! The command line as it was typed: parsed, or refused as every other error is, and without the credentials that a URL may carry.

use std::ffi::OsString;

use clap::Parser;
use clap::error::ErrorKind;

use crate::cli::Cli;
use crate::exit::Code;
use crate::failure::{Failure, Kind};
use crate::terminal::Palette;

/// Parses the arguments. `Err` is the end of the process: --help or --version was printed, or what is wrong.
pub(crate) fn parse() -> Result<Cli, Code> {
    let args: Vec<OsString> = std::env::args_os().collect();
    let error = match Cli::try_parse_from(&args) {
        Ok(cli) => return Ok(cli),
        Err(error) => error,
    };
    if !error.use_stderr() {
        // A reader that has gone needs no help any more.
        let _ = error.print();
        return Err(Code::Ok);
    }
    let whole_help = error.kind() == ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand;
    if !whole_help && args.iter().any(|arg| arg == "--json") {
        failure(&error).report(true);
        return Err(Code::Usage);
    }
    use std::io::Write;
    let text = error.render();
    let text = if Palette::stderr().is_on() { text.ansi().to_string() } else { text.to_string() };
    let _ = write!(std::io::stderr().lock(), "{}", without_credentials(&text));
    Err(Code::Usage)
}

/// The error as programs get it: the paragraph that says what is wrong, in one line.
fn failure(error: &clap::Error) -> Failure {
    let text = without_credentials(&error.render().to_string());
    let said = text.split("\n\n").next().unwrap_or_default();
    let said = said.lines().map(str::trim).collect::<Vec<_>>().join(" ");
    Failure::new(Kind::Usage, said.strip_prefix("error: ").unwrap_or(&said))
}

/// Takes out of every URL what may be a secret: user and password, and the query.
fn without_credentials(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, url)) = rest.split_once("://") {
        shown.push_str(before);
        shown.push_str("://");
        let end = url.find(|c: char| c.is_whitespace() || matches!(c, '\'' | '"')).unwrap_or(url.len());
        let (url, after) = url.split_at(end);
        let (path, query) = url.split_once('?').map_or((url, ""), |(path, _)| (path, "?..."));
        let (user, path) = path.rsplit_once('@').map_or(("", path), |(_, path)| ("...@", path));
        shown.extend([user, path, query]);
        rest = after;
    }
    shown.push_str(rest);
    shown
}

#[cfg(test)]
mod tests {
    use super::without_credentials;

    #[test]
    fn k01_urls_are_shown_without_what_may_be_secret() {
        for (text, shown) in [
            ("'s3://key:secret@bucket/a' is", "'s3://...@bucket/a' is"),
            ("s3://b/a?token=secret", "s3://b/a?..."),
            ("a://x@y b://p/q@r?s 'c://'", "a://...@y b://...@r?... 'c://'"),
            ("no url @ all?", "no url @ all?"),
            ("file:///srv/store", "file:///srv/store"),
        ] {
            assert_eq!(without_credentials(text), shown);
        }
    }
}
