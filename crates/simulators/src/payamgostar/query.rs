//! What a filter of `find` says about one object (payamgostar sheet §2.4): operands, operators, terms and orders.

use super::{error::Refusal, fields::Shape, store::Object, time};
use chrono::NaiveDateTime;
use rust_decimal::Decimal;
use serde_json::Value;
use std::{cmp::Ordering, ops::Bound, str::FromStr};
use uuid::Uuid;

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Operand {
    Id,
    Modified,
    Created,
    TypeCode,
    State,
    Member(&'static str, Shape),
    UserKey(String),
    Nothing,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Operator {
    Equals,
    Greater,
    GreaterOrEqual,
    In,
    Less,
    LessOrEqual,
    NotEqual,
    NotIn,
    StartsWith,
    Contains,
    EndsWith,
}

impl Operator {
    /// The numbers of sheet §2.4; those the vendor's own client leaves out are refused.
    pub(super) fn numbered(number: usize) -> Result<Self, Refusal> {
        Ok(match number {
            0 => Self::Equals,
            1 => Self::Greater,
            2 => Self::GreaterOrEqual,
            3 => Self::In,
            4 => Self::Less,
            5 => Self::LessOrEqual,
            6 => Self::NotEqual,
            7 => Self::NotIn,
            11 => Self::StartsWith,
            12 => Self::Contains,
            13 => Self::EndsWith,
            _ => return Err(Refusal::field("operator", "There is no such operator.")),
        })
    }
}

pub(super) struct Term {
    pub(super) and: bool,
    pub(super) operand: Operand,
    pub(super) operator: Operator,
    pub(super) value: String,
    pub(super) leafs: Vec<Term>,
    pub(super) negated: bool,
}

impl Term {
    pub(super) fn bounds_time(&self) -> bool {
        matches!(self.operator, Operator::Greater | Operator::GreaterOrEqual | Operator::Less | Operator::LessOrEqual)
    }

    fn holds(&self, object: &Object) -> bool {
        let own = matches!(self.operand, Operand::Nothing) || self.compare(object);
        let inner = self.leafs.is_empty() || (holds(&self.leafs, object) != self.negated);
        own && inner
    }

    fn compare(&self, object: &Object) -> bool {
        let equals = |value: &str| self.operand.ordering(object, value) == Ordering::Equal;
        let among = || self.value.split(',').any(|value| equals(value.trim()));
        match self.operator {
            Operator::Equals => equals(&self.value),
            Operator::NotEqual => !equals(&self.value),
            Operator::Greater => self.operand.ordering(object, &self.value) == Ordering::Greater,
            Operator::GreaterOrEqual => self.operand.ordering(object, &self.value) != Ordering::Less,
            Operator::Less => self.operand.ordering(object, &self.value) == Ordering::Less,
            Operator::LessOrEqual => self.operand.ordering(object, &self.value) != Ordering::Greater,
            Operator::In => among(),
            Operator::NotIn => !among(),
            Operator::StartsWith => self.operand.text(object).starts_with(&self.value),
            Operator::Contains => self.operand.text(object).contains(&self.value),
            Operator::EndsWith => self.operand.text(object).ends_with(&self.value),
        }
    }
}

/// Terms are read from left to right, without precedence.
pub(super) fn holds(terms: &[Term], object: &Object) -> bool {
    let mut terms = terms.iter();
    let first = terms.next().is_none_or(|term| term.holds(object));
    terms.fold(first, |so_far, term| if term.and { so_far && term.holds(object) } else { so_far || term.holds(object) })
}

impl Operand {
    fn text(&self, object: &Object) -> String {
        match self {
            Self::Id => object.id.to_string(),
            Self::Modified => time::emit(object.modified),
            Self::Created => time::emit(object.created),
            Self::TypeCode => object.type_code.to_string(),
            Self::State => object.state.to_string(),
            Self::Member(name, _) => match object.members.get(name) {
                Some(Value::String(text)) => text.clone(),
                Some(other) => other.to_string(),
                None => String::new(),
            },
            Self::UserKey(key) => {
                let rows = object.members.get("extendedProperties").and_then(Value::as_array);
                let row = rows.into_iter().flatten().find(|row| row["userKey"] == key.as_str());
                row.and_then(|row| row["value"].as_str()).unwrap_or_default().to_owned()
            }
            Self::Nothing => String::new(),
        }
    }

    /// How the object's value stands to `value`.
    fn ordering(&self, object: &Object, value: &str) -> Ordering {
        let as_time = |time: NaiveDateTime| time::parse(value).map_or(Ordering::Greater, |value| time.cmp(&value));
        match self {
            Self::Modified => as_time(object.modified),
            Self::Created => as_time(object.created),
            Self::Id => object.id.to_string().as_str().cmp(value.to_ascii_lowercase().as_str()),
            Self::Member(name, Shape::Text | Shape::Blank) => object.text(name).cmp(value),
            Self::Member(_, Shape::Date) => time::parse(&self.text(object)).map_or(Ordering::Less, as_time),
            Self::Member(_, Shape::Guid) => self.text(object).as_str().cmp(value.to_ascii_lowercase().as_str()),
            _ => {
                let own = self.text(object);
                match (Decimal::from_str(&own), Decimal::from_str(value)) {
                    (Ok(own), Ok(value)) => own.cmp(&value),
                    _ => own.as_str().cmp(value),
                }
            }
        }
    }
}

/// The order of two found objects; objects that are alike keep the order of their creation.
pub(super) fn sequence(orders: &[(Operand, bool)], a: &Object, b: &Object) -> Ordering {
    for (operand, descending) in orders {
        let order = match operand {
            Operand::Modified => a.modified.cmp(&b.modified),
            Operand::Created => a.created.cmp(&b.created),
            _ => operand.ordering(a, &operand.text(b)),
        };
        if order != Ordering::Equal {
            return if *descending { order.reverse() } else { order };
        }
    }
    a.rank.cmp(&b.rank)
}

/// One end of a range in the modify-date index.
pub(super) type Edge = Bound<(NaiveDateTime, u64, Uuid)>;

/// The part of the modify-date index a conjunction can match at all.
pub(super) fn modified_range(terms: &[Term]) -> (Edge, Edge) {
    let (mut low, mut high) = (Bound::Unbounded, Bound::Unbounded);
    for term in terms.iter().filter(|term| term.operand == Operand::Modified) {
        let Some(at) = time::parse(&term.value) else { continue };
        let (first, last) = ((at, u64::MIN, Uuid::nil()), (at, u64::MAX, Uuid::max()));
        match term.operator {
            Operator::GreaterOrEqual => low = later(low, Bound::Included(first)),
            Operator::Greater => low = later(low, Bound::Excluded(last)),
            Operator::LessOrEqual => high = earlier(high, Bound::Included(last)),
            Operator::Less => high = earlier(high, Bound::Excluded(first)),
            _ => {}
        }
    }
    match (&low, &high) {
        (Bound::Included(from) | Bound::Excluded(from), Bound::Included(to) | Bound::Excluded(to)) if from >= to => {
            // Nothing can match; a range that starts behind its end is not allowed to be asked for.
            let nothing = (NaiveDateTime::MIN, u64::MIN, Uuid::nil());
            (Bound::Included(nothing), Bound::Excluded(nothing))
        }
        _ => (low, high),
    }
}

fn later(a: Edge, b: Edge) -> Edge {
    if edge(&a) > edge(&b) { a } else { b }
}

fn earlier(a: Edge, b: Edge) -> Edge {
    match (edge(&a), edge(&b)) {
        (Some(x), Some(y)) if x < y => a,
        _ => b,
    }
}

fn edge(bound: &Edge) -> Option<(NaiveDateTime, u64, Uuid)> {
    match bound {
        Bound::Included(at) | Bound::Excluded(at) => Some(*at),
        Bound::Unbounded => None,
    }
}
