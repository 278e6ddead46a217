//! The two documents that are made of the table: `.env.example` and `docs/settings.md`.

use super::table::{Setting, TABLE};
use std::fmt::Write;

/// `.env.example`: every setting with its help; those with a default stand as comments.
pub fn env_example() -> String {
    let mut out = String::from(
        "# Settings of Tandem. Copy this file to .env and fill in what has no default; docs/settings.md says more.\n\
         # Made by `tandem settings --env`: change the table in crates/cli/src/settings/table.rs, not this file.\n\
         # For every NAME, NAME_FILE may name a file that holds the value.\n",
    );
    for group in TABLE {
        let _ = write!(out, "\n# ---- {} ----\n", group.title);
        for setting in group.settings.iter().filter(|s| s.name != "TANDEM_CONFIG") {
            out.push('\n');
            for line in wrapped(&setting.help.replace('`', ""), 110) {
                let _ = writeln!(out, "# {line}");
            }
            let _ = writeln!(out, "{}", env_line(setting));
        }
    }
    out.push_str(COMPOSE);
    out
}

const COMPOSE: &str = "
# ---- Docker Compose only ----

# The passwords with which docker-compose.yml sets up its own PostgreSQL and RabbitMQ, made up by you (letters and
# digits). It puts DATABASE_URL and AMQP_URL together from them; Tandem itself does not read them.
#POSTGRES_PASSWORD=
#RABBITMQ_PASSWORD=
";

fn env_line(setting: &Setting) -> String {
    let asked_for = [
        "DATABASE_URL",
        "CRM_API_BASE_URL",
        "CRM_USERNAME",
        "CRM_PASSWORD",
        "FINANCE_API_BASE_URL",
        "FINANCE_USERNAME",
        "FINANCE_PASSWORD",
    ];
    let value = setting.default.unwrap_or(setting.example);
    let lead = if asked_for.contains(&setting.name) { "" } else { "#" };
    format!("{lead}{}={value}", setting.name)
}

/// `docs/settings.md`.
pub fn markdown() -> String {
    let mut out = String::from(INTRODUCTION);
    for group in TABLE {
        let _ = write!(out, "\n## {}\n\n| Name | Default | What it is |\n|---|---|---|\n", group.title);
        for setting in group.settings {
            let default = setting.default.map_or("–".to_owned(), |text| format!("`{text}`"));
            let secret = if setting.secret { " **Secret.**" } else { "" };
            let _ = writeln!(out, "| `{}` | {default} | {}{secret} |", setting.name, setting.help.replace('|', "\\|"));
        }
    }
    out.push_str(CLOSING);
    out
}

const INTRODUCTION: &str = "\
# Settings

<!-- Made by `tandem settings --markdown`: change the table in crates/cli/src/settings/table.rs, not this file. -->

Settings are read once, at the start, from these places; later ones win:

1. the defaults below;
2. `tandem.toml`: the file that `--config` or `TANDEM_CONFIG` names, else the one in the current folder, if there is one;
3. `.env` in the current folder, if there is one (with its usual quoting: single quotes keep a `$` as it is);
4. the environment.

For every `NAME` there is `NAME_FILE`: the path of a file that holds the value, with one line break at its end taken off.
`NAME` and `NAME_FILE` both set is an error, wherever they stand. An empty value counts as not set.

In `tandem.toml` a name is written in small letters, without `TANDEM_`, and may be cut at any `_` into tables:
`TANDEM_SIAGH_NUMBER_PREFIX` is `number_prefix` under `[siagh]`, `CRM_PASSWORD_FILE` is `password_file` under `[crm]`.
Lists may be TOML lists.

A name that begins with `TANDEM_` and is none of these, a value that does not fit, or a missing one that the command
needs stops the start: one line for each, naming the setting. Another name in `.env` that is nearly one of these
(`CRM_USERNAM`) is ignored with a warning; of the environment only what is listed here is looked at. `NODE_ENV` and `REDIS_...` of a seed system's `.env` are
ignored with a remark. `tandem settings` shows what holds and where it comes from; secrets are never shown, logged or
repeated in an error, and no command takes one as an argument.
";

const CLOSING: &str = "
## Migrations

On Postgres `tandem migrate` is a step of its own, before the first start and after each update; `ingest`, `worker` and
`up` stop with one line while one is pending. Several at once do no harm. On SQLite, where one machine does everything,
`tandem up` migrates by itself when it starts.

## Webhooks

Three things have to be said before a webhook is believed: `ENABLE_WEBHOOKS=true`, and either `TANDEM_WEBHOOK_TOKEN` (the
CRM calls an address that nobody else knows) or `TANDEM_WEBHOOK_ALLOW_FROM` (only the CRM's own address may call).
`tandem webhooks urls` prints the addresses to enter in the CRM. Without webhooks everything is still kept in step, by
polling.
";

fn wrapped(text: &str, width: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split_whitespace() {
        let line = lines.last_mut().expect("there is always a line");
        if !line.is_empty() && line.chars().count() + 1 + word.chars().count() > width {
            lines.push(word.to_owned());
        } else {
            if !line.is_empty() {
                line.push(' ');
            }
            line.push_str(word);
        }
    }
    lines
}
