//! Where settings come from: `tandem.toml`, `.env`, the environment; later ones win. `NAME_FILE` reads a value from a file.
//!
//! Nothing here knows what a value means. The process environment is read, never changed.

use super::problem::{Problem, did_you_mean};
use super::table::{self, OF_THE_TESTS, Setting, WITHOUT_MEANING};
use secrecy::SecretString;
use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

/// Where a value was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// A line of the settings file or of `.env`.
    File(PathBuf),
    Environment,
    /// The file that `NAME_FILE` names.
    Secret(PathBuf),
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => write!(f, "{}", path.display()),
            Self::Environment => f.write_str("environment"),
            Self::Secret(path) => write!(f, "file {}", path.display()),
        }
    }
}

/// One value, unread. Every value is kept as a secret until its setting says that it is none.
#[derive(Debug, Clone)]
pub struct Value {
    pub text: SecretString,
    pub source: Source,
}

/// Everything that was set, by setting.
#[derive(Debug, Default)]
pub struct Raw {
    pub values: BTreeMap<&'static str, Value>,
    /// Remarks that are no reason to stop.
    pub notes: Vec<String>,
    /// What is probably a mistake, and still no reason to stop.
    pub warnings: Vec<String>,
    /// A file, or the rest of one, could not be read: what is not set may stand there.
    pub unread: bool,
    pub problems: Vec<Problem>,
}

#[cfg(test)]
impl Raw {
    /// As if the environment held these.
    pub fn of(values: &[(&'static str, &str)]) -> Self {
        let value = |text: &str| Value { text: SecretString::from(text), source: Source::Environment };
        Self { values: values.iter().map(|(name, text)| (*name, value(text))).collect(), ..Self::default() }
    }
}

/// Where to look.
#[derive(Debug, Default)]
pub struct Places {
    /// The settings file that was asked for by `--config`.
    pub config: Option<PathBuf>,
    /// The folder in which `tandem.toml` and `.env` are looked for.
    pub folder: PathBuf,
    pub environment: Vec<(String, String)>,
}

impl Places {
    /// The current folder and this process's environment. Names and values that are not Unicode are left out.
    pub fn of_this_process(config: Option<PathBuf>) -> Self {
        let environment =
            std::env::vars_os().filter_map(|(k, v)| Some((k.into_string().ok()?, v.into_string().ok()?))).collect();
        Self { config, folder: PathBuf::from("."), environment }
    }

    fn config_file(&self) -> Option<(PathBuf, bool)> {
        let named = || {
            self.environment
                .iter()
                .find(|(k, v)| k == "TANDEM_CONFIG" && !v.trim().is_empty())
                .map(|(_, v)| PathBuf::from(v.trim()))
        };
        match self.config.clone().or_else(named) {
            Some(path) => Some((path, true)),
            None => Some((self.folder.join("tandem.toml"), false)),
        }
    }
}

/// Reads all sources.
pub fn read(places: &Places) -> Raw {
    let mut raw = Raw::default();
    let mut layers = Layers::default();
    if let Some((path, required)) = places.config_file() {
        read_toml(&path, required, &mut layers, &mut raw);
    }
    read_dotenv(&places.folder.join(".env"), &mut layers, &mut raw);
    for (name, value) in &places.environment {
        layers.put(name, value, &Source::Environment, &mut raw);
    }
    layers.resolve(&mut raw);
    raw
}

/// What the sources said, later ones over earlier ones, before `NAME_FILE` is followed.
#[derive(Default)]
struct Layers {
    direct: BTreeMap<&'static str, Value>,
    by_file: BTreeMap<&'static str, Value>,
}

impl Layers {
    /// Takes a name and its value from `.env` or the environment. Empty counts as not set.
    fn put(&mut self, name: &str, value: &str, source: &Source, raw: &mut Raw) {
        if WITHOUT_MEANING.iter().any(|known| name.starts_with(known)) && matches!(source, Source::File(_)) {
            raw.notes.push(format!("{name} in {source} has no meaning for Tandem and is ignored"));
            return;
        }
        let by_file = name.strip_suffix("_FILE").and_then(table::find);
        let Some(setting) = table::find(name).or(by_file) else {
            if name.starts_with("TANDEM_") && !OF_THE_TESTS.iter().any(|known| name.starts_with(known)) {
                raw.problems.push(Problem::new(name, unknown(name, value)));
            } else if matches!(source, Source::File(_))
                && let Some(meant) = nearest(name)
            {
                raw.warnings.push(format!("{name} in {source} is no setting and is ignored; did you mean {meant}?"));
            }
            return;
        };
        if setting.name == "TANDEM_CONFIG" && *source != Source::Environment {
            raw.problems
                .push(Problem::new(name, format!("can't be set in {source}; it is read from the environment only")));
            return;
        }
        self.set(setting, by_file.is_some(), value, source);
    }

    fn set(&mut self, setting: &'static Setting, by_file: bool, value: &str, source: &Source) {
        let layer = if by_file { &mut self.by_file } else { &mut self.direct };
        if value.trim().is_empty() {
            layer.remove(setting.name);
        } else {
            layer.insert(setting.name, Value { text: SecretString::from(value), source: source.clone() });
        }
    }

    /// Follows every `NAME_FILE`.
    fn resolve(self, raw: &mut Raw) {
        use secrecy::ExposeSecret;
        raw.values = self.direct;
        for (name, value) in self.by_file {
            if raw.values.contains_key(name) {
                raw.problems.push(Problem::new(name, format!("{name} and {name}_FILE are both set; keep one of them")));
                continue;
            }
            let path = PathBuf::from(value.text.expose_secret().trim());
            match std::fs::read_to_string(&path) {
                Ok(text) => {
                    let text = text.strip_suffix('\n').unwrap_or(&text);
                    let text = text.strip_suffix('\r').unwrap_or(text);
                    if text.trim().is_empty() {
                        raw.problems.push(Problem::new(
                            format!("{name}_FILE"),
                            format!("the file {} is empty", path.display()),
                        ));
                    } else {
                        raw.values.insert(name, Value { text: SecretString::from(text), source: Source::Secret(path) });
                    }
                }
                Err(error) => raw.problems.push(Problem::new(
                    format!("{name}_FILE"),
                    format!("can't read {}: {}", path.display(), plain(&error)),
                )),
            }
        }
    }
}

fn unknown(name: &str, value: &str) -> String {
    let names = table::all().map(|s| s.name);
    if name.ends_with("_SERVICE_HOST") || name.ends_with("_SERVICE_PORT") || value.starts_with("tcp://") {
        return "is no setting; it looks like a Kubernetes service link: set `enableServiceLinks: false` on the pod"
            .to_owned();
    }
    match did_you_mean(name, names) {
        Some(meant) => format!("is no setting; did you mean {meant}?"),
        None => "is no setting; `tandem settings` lists them all".to_owned(),
    }
}

/// The setting that a name without TANDEM_ was probably meant to be, that beginning forgotten or a letter wrong.
fn nearest(name: &str) -> Option<String> {
    let (stem, file) = name.strip_suffix("_FILE").map_or((name, ""), |stem| (stem, "_FILE"));
    let meant = did_you_mean(stem, names_and_short_names()).and_then(find_short)?;
    Some(format!("{}{file}", meant.name))
}

fn names_and_short_names() -> impl Iterator<Item = &'static str> {
    table::all().flat_map(|s| [s.name, s.name.strip_prefix("TANDEM_").unwrap_or(s.name)])
}

/// An I/O error in one line.
fn plain(error: &std::io::Error) -> String {
    match error.kind() {
        std::io::ErrorKind::NotFound => "there is no such file".to_owned(),
        std::io::ErrorKind::PermissionDenied => "permission denied".to_owned(),
        std::io::ErrorKind::InvalidData => "it is not UTF-8 text".to_owned(),
        _ => error.to_string(),
    }
}

fn read_dotenv(path: &Path, layers: &mut Layers, raw: &mut Raw) {
    let source = Source::File(path.to_owned());
    let lines = match dotenvy::from_path_iter(path) {
        Ok(lines) => lines,
        Err(error) if error.not_found() => return,
        Err(dotenvy::Error::Io(error)) => {
            raw.unread = true;
            raw.problems.push(Problem::new(path.display().to_string(), format!("can't be read: {}", plain(&error))));
            return;
        }
        Err(_) => {
            raw.unread = true;
            raw.problems.push(Problem::new(path.display().to_string(), "can't be read"));
            return;
        }
    };
    for line in lines {
        match line {
            Ok((name, value)) => layers.put(&name, &value, &source, raw),
            // A folder, or no text.
            Err(dotenvy::Error::Io(error)) => {
                raw.unread = true;
                raw.problems
                    .push(Problem::new(path.display().to_string(), format!("can't be read: {}", plain(&error))));
                return;
            }
            Err(error) => {
                raw.unread = true;
                let place = place_in_file(path, &error).map_or("a line".to_owned(), |number| format!("line {number}"));
                raw.problems.push(Problem::new(
                    path.display().to_string(),
                    format!("{place} is no NAME=value (a value with spaces or # needs quotes)"),
                ));
                return;
            }
        }
    }
}

/// The number of the line that an error is about. The error's own text repeats the line or what stands behind its `=`, and
/// a password may stand in it.
fn place_in_file(path: &Path, error: &dotenvy::Error) -> Option<usize> {
    let dotenvy::Error::LineParse(text, _) = error else { return None };
    let end_of_line = text.lines().next()?.trim();
    let file = std::fs::read_to_string(path).ok()?;
    let is_meant = |line: &str| !line.trim_start().starts_with('#') && line.trim_end().ends_with(end_of_line);
    file.lines().position(is_meant).map(|at| at + 1)
}

fn read_toml(path: &Path, required: bool, layers: &mut Layers, raw: &mut Raw) {
    let shown = path.display().to_string();
    let text = match std::fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound && !required => return,
        Err(error) => {
            raw.unread = true;
            raw.problems.push(Problem::new(shown, format!("can't be read: {}", plain(&error))));
            return;
        }
    };
    match text.parse::<toml::Table>() {
        Ok(table) => read_toml_table("", &table, &Source::File(path.to_owned()), layers, &mut raw.problems),
        Err(error) => {
            // `message` names what was expected; the full text would repeat the line, and a password may stand in it.
            let line = error.span().map_or(0, |span| text[..span.start.min(text.len())].lines().count().max(1));
            raw.unread = true;
            raw.problems
                .push(Problem::new(shown, format!("line {line} is no TOML: {}", error.message().replace('\n', " "))));
        }
    }
}

/// `[siagh] number_prefix` is TANDEM_SIAGH_NUMBER_PREFIX, `[crm] password` is CRM_PASSWORD: the path's parts joined by
/// `_`, in capitals, with or without the `TANDEM_`.
fn read_toml_table(path: &str, table: &toml::Table, source: &Source, layers: &mut Layers, problems: &mut Vec<Problem>) {
    for (key, value) in table {
        let name =
            if path.is_empty() { key.to_ascii_uppercase() } else { format!("{path}_{}", key.to_ascii_uppercase()) };
        if let toml::Value::Table(inner) = value {
            read_toml_table(&name, inner, source, layers, problems);
            continue;
        }
        let (stem, by_file) = match name.strip_suffix("_FILE") {
            Some(stem) if find_short(&name).is_none() => (stem, true),
            _ => (name.as_str(), false),
        };
        let Some(setting) = find_short(stem).filter(|s| s.name != "TANDEM_CONFIG") else {
            let hint = did_you_mean(&name, names_and_short_names())
                .map_or("`tandem settings` lists them all".to_owned(), |meant| format!("did you mean {meant}?"));
            problems.push(Problem::new(name, format!("in {source} is no setting; {hint}")));
            continue;
        };
        match text_of(value) {
            Some(text) => layers.set(setting, by_file, &text, source),
            None => problems.push(Problem::new(
                setting.name,
                format!("in {source} is neither text, number, true/false nor a list of them"),
            )),
        }
    }
}

fn find_short(name: &str) -> Option<&'static Setting> {
    table::find(name).or_else(|| table::find(&format!("TANDEM_{name}")))
}

fn text_of(value: &toml::Value) -> Option<String> {
    match value {
        toml::Value::String(text) => Some(text.clone()),
        toml::Value::Integer(number) => Some(number.to_string()),
        toml::Value::Float(number) => Some(number.to_string()),
        toml::Value::Boolean(flag) => Some(flag.to_string()),
        toml::Value::Array(items) => items.iter().map(text_of).collect::<Option<Vec<_>>>().map(|items| items.join(",")),
        toml::Value::Datetime(_) | toml::Value::Table(_) => None,
    }
}
