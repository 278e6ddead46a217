//! The log of a process: one set-up, text for people or JSON for collectors.
//!
//! A panic is logged with its place only. Its message may carry whatever the code had in hand, a name or a phone number
//! among it, and is left out on purpose.

use std::io::IsTerminal;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::fmt::writer::BoxMakeWriter;
use tracing_subscriber::util::SubscriberInitExt;

/// How a line looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Format {
    /// One readable line per event; coloured on a terminal.
    #[default]
    Text,
    /// One JSON object per line.
    Json,
}

/// Why logging could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    #[error("the log filter {filter:?} is not usable: {why}")]
    Filter { filter: String, why: String },
    #[error("logging was set up already")]
    Twice,
}

/// Sets up logging to standard error for the whole process, and the panic hook.
///
/// `filter` is a level (`info`) or directives (`info,tandem_engine=debug`).
///
/// # Errors
/// When the filter can't be read, or when a log was set up before.
pub fn init(format: Format, filter: &str) -> Result<(), LogError> {
    init_to(format, filter, std::io::stderr().is_terminal(), BoxMakeWriter::new(std::io::stderr))
}

/// As [`init`], writing somewhere else: for tests and for programs that own standard error.
///
/// # Errors
/// As [`init`].
pub fn init_to<W>(format: Format, filter: &str, colour: bool, writer: W) -> Result<(), LogError>
where
    W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
{
    // The broker's client reports each try to connect as an error of its own; the lanes say once that the broker is away. A
    // filter that names it overrides this.
    let filter = EnvFilter::try_new(format!("lapin=off,{}{filter}", quiet_beside(filter)))
        .map_err(|why| LogError::Filter { filter: filter.to_owned(), why: why.to_string() })?;
    let lines = tracing_subscriber::fmt().with_env_filter(filter).with_writer(writer);
    let set = match format {
        Format::Text => lines.with_ansi(colour).finish().try_init(),
        Format::Json => lines.json().flatten_event(true).finish().try_init(),
    };
    set.map_err(|_| LogError::Twice)?;
    log_panics();
    Ok(())
}

/// At `info` the log is the life of our own processes; what the web server and the database's libraries tell of theirs is
/// noise beside it. Whoever asks for less gets less of them too, whoever asks for more gets all, and a filter that names
/// them overrides this.
fn quiet_beside(filter: &str) -> &'static str {
    let at_info = filter.split(',').any(|directive| directive.trim().eq_ignore_ascii_case("info"));
    if at_info { "actix=warn,sea_orm=warn,sqlx=warn," } else { "" }
}

fn log_panics() {
    std::panic::set_hook(Box::new(|panic| {
        let place = panic.location().map_or_else(|| "an unknown place".to_owned(), ToString::to_string);
        tracing::error!(%place, "a panic; its message is left out because it may carry data");
    }));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unreadable_filter_is_named_in_the_error() {
        let error = init_to(Format::Text, "info,=what=", false, std::io::sink).unwrap_err();
        assert!(error.to_string().contains("info,=what="), "{error}");
    }
}
