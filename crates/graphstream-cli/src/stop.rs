//! SIGTERM and ctrl-C: the first asks to finish what is in hand, the second ends the process at once.

use std::io;

use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

use crate::failure::{Failure, Kind};

/// Takes over both signals for the rest of the process. `on_stop` runs at the first, on a thread of its own.
pub(crate) fn listen(on_stop: impl FnOnce() + Send + 'static) -> Result<(), Failure> {
    let failed = |source: &io::Error| {
        Failure::new(Kind::Io, "signals can't be received by this process").because(source)
    };
    let mut signals = Signals::new([SIGINT, SIGTERM]).map_err(|source| failed(&source))?;
    let mut on_stop = Some(on_stop);
    std::thread::Builder::new()
        .name("signals".to_owned())
        .spawn(move || {
            for signal in signals.forever() {
                match on_stop.take() {
                    Some(on_stop) => {
                        tracing::info!(signal, "finishing what is in hand; another signal ends at once");
                        on_stop();
                    }
                    None => {
                        // Nothing is lost by it: what was acknowledged is on disk.
                        let _ = signal_hook::low_level::emulate_default_handler(signal);
                    }
                }
            }
        })
        .map_err(|source| failed(&source))?;
    Ok(())
}
