//! What the benchmark was asked for.

use std::path::PathBuf;

pub const USAGE: &str = "\
cargo xtask bench [--quick] [--only PART,..] [--out FILE]

  --quick       small numbers, about a minute: shows that everything works, the figures mean little
  --only PARTS  some of: accept, settle, latency, rescan, import, growth
  --out FILE    write the JSON result there instead of to the standard output";

/// One part of the benchmark; each stands alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    Accept,
    Settle,
    Latency,
    Rescan,
    Import,
    Growth,
}

impl Part {
    const ALL: [Self; 6] = [Self::Accept, Self::Settle, Self::Latency, Self::Rescan, Self::Import, Self::Growth];

    pub fn name(self) -> &'static str {
        match self {
            Self::Accept => "accept",
            Self::Settle => "settle",
            Self::Latency => "latency",
            Self::Rescan => "rescan",
            Self::Import => "import",
            Self::Growth => "growth",
        }
    }
}

pub struct Args {
    pub quick: bool,
    pub parts: Vec<Part>,
    pub out: Option<PathBuf>,
}

impl Args {
    pub fn read(given: Vec<String>) -> Result<Self, String> {
        let mut args = Self { quick: false, parts: Part::ALL.to_vec(), out: None };
        let mut given = given.into_iter();
        while let Some(option) = given.next() {
            let mut value = || given.next().ok_or_else(|| format!("{option} needs a value"));
            match option.as_str() {
                "--quick" => args.quick = true,
                "--only" => args.parts = value()?.split(',').map(part).collect::<Result<_, _>>()?,
                "--out" => args.out = Some(value()?.into()),
                _ => return Err(format!("{option} is not known")),
            }
        }
        Ok(args)
    }

    /// The number for a full run, or the one for a quick one.
    pub fn pick<T>(&self, full: T, quick: T) -> T {
        if self.quick { quick } else { full }
    }
}

fn part(name: &str) -> Result<Part, String> {
    Part::ALL.into_iter().find(|part| part.name() == name.trim()).ok_or_else(|| format!("there is no part {name}"))
}
