//! What the laws look at: the manifests and the text files of the workspace.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use toml::{Table, Value};

/// The whole workspace, read once.
pub struct Workspace {
    pub table: Table,
    pub crates: Vec<Crate>,
    /// Text files outside the crates: manifests, scripts, documents.
    pub texts: Vec<Source>,
}

/// One member.
pub struct Crate {
    pub name: String,
    /// Relative to the root, for example `crates/core`.
    pub folder: String,
    pub manifest: Table,
    pub sources: Vec<Source>,
}

/// One text file.
pub struct Source {
    /// Relative to the root.
    pub path: String,
    pub text: String,
}

/// One line of a manifest's dependency tables.
pub struct Dependency<'a> {
    pub name: &'a str,
    pub value: &'a Value,
    pub dev: bool,
}

const KINDS: [&str; 3] = ["dependencies", "dev-dependencies", "build-dependencies"];
const TEXTS: [&str; 8] = ["rs", "toml", "md", "yml", "yaml", "sql", "html", "sh"];
const LEFT_OUT: [&str; 3] = ["target", ".git", "node_modules"];

impl Workspace {
    pub fn load(root: &Path) -> Result<Self> {
        let table = read_manifest(&root.join("Cargo.toml"))?;
        let members = table.get("workspace").and_then(|workspace| workspace.get("members")).and_then(Value::as_array);
        let folders: Vec<String> =
            members.into_iter().flatten().filter_map(Value::as_str).map(ToOwned::to_owned).collect();
        let mut files = Vec::new();
        collect(root, root, &mut files)?;
        let mut crates = folders.iter().map(|folder| Crate::load(root, folder)).collect::<Result<Vec<_>>>()?;
        let mut texts = Vec::new();
        for source in files {
            let owner = crates.iter_mut().find(|member| source.path.starts_with(&format!("{}/", member.folder)));
            match owner {
                Some(member) if source.path.ends_with(".rs") => member.sources.push(source),
                _ => texts.push(source),
            }
        }
        Ok(Self { table, crates, texts })
    }

    /// Every file right under a crate's `tests` folder, as package and name without `.rs`.
    pub fn test_files(&self) -> Vec<(String, String)> {
        let of = |member: &Crate| {
            let start = format!("{}/tests/", member.folder);
            let names =
                member.sources.iter().filter_map(|source| source.path.strip_prefix(&start)?.strip_suffix(".rs"));
            let suites = names.filter_map(|name| name.strip_suffix("/main").or(Some(name)));
            let suites = suites.filter(|name| !name.contains('/'));
            suites.map(|name| (member.name.clone(), name.to_owned())).collect::<Vec<_>>()
        };
        self.crates.iter().flat_map(of).collect()
    }

    /// Every text file there is.
    pub fn all_texts(&self) -> impl Iterator<Item = &Source> {
        self.texts.iter().chain(self.crates.iter().flat_map(|member| &member.sources))
    }
}

impl Crate {
    fn load(root: &Path, folder: &str) -> Result<Self> {
        let manifest = read_manifest(&root.join(folder).join("Cargo.toml"))?;
        let name = manifest.get("package").and_then(|package| package.get("name")).and_then(Value::as_str);
        let name = name.with_context(|| format!("{folder}/Cargo.toml names no package"))?.to_owned();
        Ok(Self { name, folder: folder.to_owned(), manifest, sources: Vec::new() })
    }

    /// Everything this crate depends on, of every kind and for every target.
    pub fn dependencies(&self) -> Vec<Dependency<'_>> {
        let targets = self.manifest.get("target").and_then(Value::as_table);
        let targets = targets.into_iter().flat_map(|targets| targets.values()).filter_map(Value::as_table);
        let mut found = Vec::new();
        for table in std::iter::once(&self.manifest).chain(targets) {
            for kind in KINDS {
                let entries = table.get(kind).and_then(Value::as_table).into_iter().flatten();
                found.extend(entries.map(|(name, value)| Dependency { name, value, dev: kind == "dev-dependencies" }));
            }
        }
        found
    }

    /// Where to look when the manifest is wrong.
    pub fn manifest_path(&self) -> String {
        format!("{}/Cargo.toml", self.folder)
    }

    pub fn is_system(&self) -> bool {
        self.folder.starts_with("crates/systems/")
    }
}

impl Source {
    /// The lines of the product, numbered from 1, without comments: nothing of a `tests` folder, and nothing from the
    /// line on that opens a module of unit tests (which stands at the end of a file).
    pub fn product_lines(&self) -> Vec<(usize, String)> {
        if self.is_test_file() { Vec::new() } else { self.lines(true) }
    }

    /// The lines of tests, numbered from 1, without comments.
    pub fn test_lines(&self) -> Vec<(usize, String)> {
        if self.is_test_file() {
            return self.code_lines();
        }
        let product = self.lines(true).len();
        self.lines(false).split_off(product)
    }

    /// Every line, numbered from 1, without comments.
    pub fn code_lines(&self) -> Vec<(usize, String)> {
        self.lines(false)
    }

    fn is_test_file(&self) -> bool {
        self.path.contains("/tests/") || self.path.contains("/benches/") || self.path.ends_with("/tests.rs")
    }

    fn lines(&self, product_only: bool) -> Vec<(usize, String)> {
        let lines: Vec<&str> = self.text.lines().collect();
        let opens_tests = |at: usize| {
            lines[at].trim() == "#[cfg(test)]"
                && lines.get(at + 1).is_some_and(|next| next.trim_start().starts_with("mod ") && next.ends_with('{'))
        };
        let end = if product_only { (0..lines.len()).find(|&at| opens_tests(at)) } else { None };
        let kept = &lines[..end.unwrap_or(lines.len())];
        kept.iter().enumerate().map(|(at, line)| (at + 1, without_comment(line).to_owned())).collect()
    }
}

/// Cuts a `//` comment off. Text such as `"https://"` is not a comment.
fn without_comment(line: &str) -> &str {
    let comment = line.match_indices("//").find(|(at, _)| !line[..*at].ends_with(':'));
    comment.map_or(line, |(at, _)| &line[..at])
}

fn read_manifest(path: &Path) -> Result<Table> {
    let text = std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    text.parse().with_context(|| format!("{} is not valid", path.display()))
}

fn collect(root: &Path, folder: &Path, files: &mut Vec<Source>) -> Result<()> {
    let entries = std::fs::read_dir(folder).with_context(|| format!("cannot list {}", folder.display()))?;
    let mut paths: Vec<PathBuf> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
    paths.sort();
    for path in paths {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if path.is_dir() {
            if !LEFT_OUT.contains(&name.as_str()) {
                collect(root, &path, files)?;
            }
        } else if is_text(&name)
            && let Ok(text) = std::fs::read_to_string(&path)
        {
            let path = path.strip_prefix(root).unwrap_or(&path).to_string_lossy().into_owned();
            files.push(Source { path, text });
        }
    }
    Ok(())
}

fn is_text(name: &str) -> bool {
    let extension = name.rsplit_once('.').map_or("", |(_, extension)| extension);
    TEXTS.contains(&extension) || ["Dockerfile", "run", ".env.example"].contains(&name)
}

#[cfg(test)]
pub mod example {
    //! Small workspaces for the tests of the laws.

    use super::*;

    /// A workspace with one crate of this name and manifest.
    pub fn with_manifest(name: &str, manifest: &str) -> Workspace {
        let folder = match name {
            "payamgostar" | "siagh" => format!("crates/systems/{name}"),
            _ => format!("crates/{}", name.trim_start_matches("tandem-")),
        };
        let manifest = manifest.parse().unwrap();
        let member = Crate { name: name.to_owned(), folder, manifest, sources: Vec::new() };
        Workspace { table: Table::new(), crates: vec![member], texts: Vec::new() }
    }

    /// A workspace with one crate and one file, whose path is relative to the crate.
    pub fn with_source(name: &str, path: &str, text: &str) -> Workspace {
        let mut workspace = with_manifest(name, "");
        let member = &mut workspace.crates[0];
        member.sources.push(Source { path: format!("{}/{path}", member.folder), text: text.to_owned() });
        workspace
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(path: &str, text: &str) -> Source {
        Source { path: path.to_owned(), text: text.to_owned() }
    }

    #[test]
    fn unit_tests_at_the_end_of_a_file_are_not_product() {
        let file = source("crates/x/src/a.rs", "fn a() {} // note\n#[cfg(test)]\nmod tests {\n    fn b() {}\n}\n");
        assert_eq!(file.product_lines(), [(1, "fn a() {} ".to_owned())]);
        assert_eq!(file.test_lines().len(), 4);
    }

    #[test]
    fn an_address_in_a_text_is_not_a_comment() {
        assert_eq!(without_comment("let a = \"https://x\"; // y"), "let a = \"https://x\"; ");
    }

    #[test]
    fn files_and_folders_of_tests_are_suites_and_their_helpers_are_not() {
        let mut workspace = example::with_source("tandem-store", "tests/leases.rs", "");
        for path in ["tests/views/main.rs", "tests/views/rows.rs", "tests/common/mod.rs", "src/lib.rs"] {
            workspace.crates[0].sources.push(source(&format!("crates/store/{path}"), ""));
        }
        let names: Vec<String> = workspace.test_files().into_iter().map(|(_, name)| name).collect();
        assert_eq!(names, ["leases", "views"]);
    }

    #[test]
    fn dependencies_of_every_kind_and_target_are_seen() {
        let workspace = example::with_manifest(
            "tandem-x",
            "[dependencies]\na = '1'\n[dev-dependencies]\nb = '1'\n[target.'cfg(unix)'.dependencies]\nc = '1'\n",
        );
        let found: Vec<(String, bool)> =
            workspace.crates[0].dependencies().iter().map(|entry| (entry.name.to_owned(), entry.dev)).collect();
        assert_eq!(found, [("a".to_owned(), false), ("b".to_owned(), true), ("c".to_owned(), false)]);
    }
}
