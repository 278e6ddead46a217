//! `tandem hash-password`: the form in which Siagh takes a password (siagh sheet §1).
//!
//! The password is read from the terminal without showing it, or from the standard input; never from an argument,
//! where every user of the machine could read it.

use crate::exit::Ended;
use crate::show;
use crate::wiring::Start;
use anyhow::{Context as _, bail};
use std::io::{IsTerminal, Read};

pub fn run(start: &Start) -> anyhow::Result<Ended> {
    let password = read()?;
    if password.is_empty() {
        bail!("no password was given");
    }
    let hash = siagh::hash_password(&password);
    if start.json {
        show::json(&serde_json::json!({ "finance_password": hash }))?;
    } else {
        show::line(hash);
    }
    Ok(Ended::Done)
}

fn read() -> anyhow::Result<String> {
    if std::io::stdin().is_terminal() {
        let terminal = console::Term::stderr();
        terminal.write_str("Password (not shown): ").context("can't write to the terminal")?;
        return terminal.read_secure_line().context("can't read from the terminal");
    }
    let mut bytes = Vec::new();
    std::io::stdin().read_to_end(&mut bytes).context("can't read the standard input")?;
    let mut text =
        String::from_utf8(bytes).map_err(|_| anyhow::anyhow!("the password on the standard input is not UTF-8"))?;
    // What `echo` and editors put at the end; a password may end with anything else.
    if text.ends_with('\n') {
        text.pop();
        if text.ends_with('\r') {
            text.pop();
        }
    }
    Ok(text)
}
