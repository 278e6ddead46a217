//! How a command ends: 0 done, 1 something failed, 2 wrong usage, 141 nobody reads what it prints.

use crate::settings::Problems;
use std::fmt;
use std::process::ExitCode;

/// How a command ended that could do its work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    Done,
    /// What was asked for was found out or tried, and it is not well. The command has said what.
    Failed,
    /// Nobody reads what it prints any more; it has tidied up.
    #[cfg(feature = "demo")]
    Unread,
}

impl Ended {
    pub fn done_if(well: bool) -> Self {
        if well { Self::Done } else { Self::Failed }
    }
}

/// The command can't be understood as it was given.
#[derive(Debug)]
pub struct WrongUsage(pub String);

impl fmt::Display for WrongUsage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for WrongUsage {}

/// Shorthand for an error that is the caller's.
pub fn wrong_usage(what: impl Into<String>) -> anyhow::Error {
    WrongUsage(what.into()).into()
}

/// Prints an error, one line per problem, and answers the exit code.
pub fn code(ended: anyhow::Result<Ended>) -> ExitCode {
    let error = match ended {
        Ok(Ended::Done) => return ExitCode::SUCCESS,
        Ok(Ended::Failed) => return ExitCode::from(1),
        #[cfg(feature = "demo")]
        Ok(Ended::Unread) => return ExitCode::from(crate::show::UNREAD),
        Err(error) => error,
    };
    if let Some(problems) = error.downcast_ref::<Problems>() {
        for problem in &problems.0 {
            eprintln!("error: {problem}");
        }
        return ExitCode::from(2);
    }
    let line = format!("{error:#}");
    eprintln!("error: {}", crate::show::one_line(&line));
    ExitCode::from(if error.is::<WrongUsage>() { 2 } else { 1 })
}
