//! The reference tables a pre-invoice is checked against (siagh sheet §2.5, §7.11).

use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// A good that can be sold.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Good {
    /// `codekala`.
    pub code: String,
    pub name: String,
    /// Unit name in Persian, such as `عدد`.
    #[serde(default = "piece")]
    pub unit: String,
    /// Price before VAT, used instead of the sent one when the server re-prices.
    #[serde(with = "rust_decimal::serde::arbitrary_precision", default)]
    pub list_price: Decimal,
}

fn piece() -> String {
    "عدد".to_owned()
}

impl Good {
    /// A good counted in pieces.
    pub fn new(code: &str, name: &str, list_price: impl Into<Decimal>) -> Self {
        Self { code: code.to_owned(), name: name.to_owned(), unit: piece(), list_price: list_price.into() }
    }
}

/// A table of codes other than goods.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Table {
    SaleModels,
    SalesCentres,
    Intermediaries,
    PaymentKinds,
    SaleKinds,
}

/// All reference tables of one site.
#[derive(Debug, Clone)]
pub(crate) struct Tables {
    pub(crate) goods: BTreeMap<String, Good>,
    codes: BTreeMap<Table, BTreeSet<String>>,
}

impl Default for Tables {
    /// The codes the sheet names as existing on the real site; no goods.
    fn default() -> Self {
        let numbers = |last: u32| (1..=last).map(|code| code.to_string()).collect();
        let codes = BTreeMap::from([
            (Table::SaleModels, numbers(6)),
            (Table::SalesCentres, numbers(6)),
            (Table::Intermediaries, BTreeSet::from(["31".to_owned()])),
            (Table::PaymentKinds, numbers(7)),
            (Table::SaleKinds, numbers(6)),
        ]);
        Self { goods: BTreeMap::new(), codes }
    }
}

impl Tables {
    pub(crate) fn has(&self, table: Table, code: &str) -> bool {
        self.codes.get(&table).is_some_and(|codes| codes.contains(code))
    }

    pub(crate) fn set(&mut self, table: Table, codes: impl IntoIterator<Item = String>) {
        self.codes.insert(table, codes.into_iter().collect());
    }
}
