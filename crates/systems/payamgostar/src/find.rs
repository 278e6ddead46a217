//! Filtered lists (`find`), paged without trusting the page numbers.

use crate::client::PayamgostarClient;
use crate::lenient::{LocalTime, camel_case};
use crate::wire::ObjectKind;
use chrono::{DateTime, Utc};
use serde_json::{Value, json};
use std::collections::HashSet;
use tandem_core::Fault;

/// Names for [`Query`] and [`Order`]. Property names must be PascalCase here, unlike everywhere else:
/// camelCase made the CRM answer 500 (sheet §2.4).
pub mod field {
    pub const MODIFY_DATE: &str = "ModifyDate";
    pub const CUSTOMER_NUMBER: &str = "CustomerNumber";
    pub const REF_ID: &str = "RefId";
    pub const NUMBER: &str = "Number";
    pub const IDENTITY_ID: &str = "IdentityId";
}

/// The operators proven to exist in the vendor's client (sheet §2.4).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operator {
    Equals = 0,
    GreaterThan = 1,
    GreaterThanOrEqual = 2,
    In = 3,
    LessThan = 4,
    LessThanOrEqual = 5,
    NotEqual = 6,
    NotIn = 7,
    TextStartsWith = 11,
    TextContains = 12,
    TextEndsWith = 13,
}

/// One condition; several are joined by "and".
#[derive(Clone, PartialEq, Eq)]
pub struct Query {
    /// A PascalCase property name (see [`field`]) or a custom field's user key, sent as it stands.
    pub field: String,
    pub operator: Operator,
    /// Always a text on the wire.
    pub value: String,
}

impl Query {
    pub fn new(field: impl Into<String>, operator: Operator, value: impl Into<String>) -> Self {
        Self { field: field.into(), operator, value: value.into() }
    }

    /// Changed at or after this moment of the CRM's clock (sheet §2.5, assumed to be filterable).
    pub fn changed_since(at: DateTime<Utc>) -> Self {
        Self::new(field::MODIFY_DATE, Operator::GreaterThanOrEqual, LocalTime::for_query(at))
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Order {
    pub field: String,
    pub descending: bool,
}

/// What to look for.
#[derive(Clone, PartialEq, Eq)]
pub struct Find {
    pub kind: ObjectKind,
    /// Code of one CRM type (`person`, `PI_5`); one call lists one type.
    pub type_key: String,
    pub queries: Vec<Query>,
    pub orders: Vec<Order>,
    /// Rows per call. 100; the largest the CRM allows is unknown, 500 is assumed safe (sheet §6).
    pub page_size: u32,
}

impl Find {
    pub fn new(kind: impl Into<ObjectKind>, type_key: impl Into<String>) -> Self {
        Self { kind: kind.into(), type_key: type_key.into(), queries: Vec::new(), orders: Vec::new(), page_size: 100 }
    }

    pub fn query(mut self, query: Query) -> Self {
        self.queries.push(query);
        self
    }

    pub fn ascending(mut self, field: impl Into<String>) -> Self {
        self.orders.push(Order { field: field.into(), descending: false });
        self
    }

    pub(crate) fn body(&self, page: u32) -> Value {
        let queries: Vec<Value> = self
            .queries
            .iter()
            .map(|query| json!({"logicalOperator": 0, "operator": query.operator as u8, "field": query.field, "value": query.value}))
            .collect();
        let orders: Vec<Value> = self
            .orders
            .iter()
            .map(|order| json!({"field": order.field, "order": u8::from(order.descending)}))
            .collect();
        json!({"typeKey": self.type_key, "queries": queries, "orders": orders, "selectFields": null, "pageNumber": page, "pageSize": self.page_size.max(1)})
    }
}

/// One page as it came.
pub(crate) struct Page {
    pub(crate) rows: Vec<Value>,
    pub(crate) total: Option<u64>,
}

/// Pages of a [`Find`], each row once.
///
/// Whether the first page is 0 or 1 is not certain (sheet §2.4). Pages are asked for from 1 on until one
/// brings nothing new or everything announced is collected; if rows are missing then, page 0 is asked for
/// too. So the rows of page 0 may come last: take a watermark only after the last page.
pub struct FindPages {
    client: PayamgostarClient,
    find: Find,
    next: Next,
    seen: HashSet<String>,
    collected: u64,
    total: Option<u64>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Next {
    Page(u32),
    Zero,
    Done,
}

impl FindPages {
    pub(crate) fn new(client: PayamgostarClient, find: Find) -> Self {
        Self { client, find, next: Next::Page(1), seen: HashSet::new(), collected: 0, total: None }
    }

    /// The next rows not seen before, as whole objects with camelCase names; `None` after the last ones.
    /// Rows without an id are left out.
    ///
    /// # Errors
    /// Those of any read. After an error the same page is asked for again.
    pub async fn next_page(&mut self) -> Result<Option<Vec<Value>>, Fault> {
        loop {
            let number = match self.next {
                Next::Page(number) => number,
                Next::Zero => 0,
                Next::Done => return Ok(None),
            };
            let page = self.client.find_page(&self.find, number).await?;
            self.total = page.total.or(self.total);
            let fresh = self.unseen(page.rows);
            self.advance(number, !fresh.is_empty());
            if !fresh.is_empty() {
                return Ok(Some(fresh));
            }
        }
    }

    fn unseen(&mut self, rows: Vec<Value>) -> Vec<Value> {
        let mut fresh = Vec::with_capacity(rows.len());
        for row in rows.into_iter().map(camel_case) {
            match row.get("crmId").and_then(Value::as_str).map(str::to_lowercase) {
                Some(id) => {
                    if !self.seen.insert(id) {
                        continue;
                    }
                    fresh.push(row);
                }
                None => tracing::warn!(type_key = %self.find.type_key, "a row of a CRM list has no id and is left out"),
            }
            self.collected += 1;
        }
        fresh
    }

    fn advance(&mut self, asked: u32, brought_new: bool) {
        let complete = self.total.is_some_and(|total| self.collected >= total);
        self.next = match self.next {
            _ if complete => Next::Done,
            Next::Page(_) if brought_new && asked < u32::MAX => Next::Page(asked + 1),
            Next::Page(_) => Next::Zero,
            Next::Zero | Next::Done => Next::Done,
        };
    }
}
