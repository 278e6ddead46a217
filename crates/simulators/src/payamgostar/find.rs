//! The two list calls: the zero-based `identity/search` and the one-based `find` with filters
//! (payamgostar sheet §2.2, §2.4, §7.5).

use super::{
    crm::Crm,
    error::Refusal,
    fields::{self, Shape},
    kind::Kind,
    query::{Operand, Operator, Term, holds, modified_range, sequence},
    render::{Rendered, View},
    store::Object,
    time,
};
use crate::stage::json::{member, text};
use serde::Serialize;
use serde_json::{Map, Value};
use std::ops::Bound;
use uuid::Uuid;

/// Rows of `identity/search` when the caller names no size; the sheet knows no default.
const USUAL_PAGE: usize = 50;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct LightIdentity<'a> {
    identity_id: Uuid,
    nick_name: &'a str,
    customer_no: &'a str,
}

#[derive(Serialize)]
struct Found<'a> {
    data: Vec<Rendered<'a>>,
    total: usize,
}

impl Crm {
    pub(crate) fn search_identities(&self, body: &Map<String, Value>) -> Result<Vec<u8>, Refusal> {
        let page = integer(body, "pageNumber")?.unwrap_or(0);
        let size = self.page_size(body)?;
        let term = text(body, "searchTerm").unwrap_or_default();
        let kind = match integer(body, "identityType")? {
            None => None,
            // The vendor's enumeration; others say the opposite (sheet §2.2).
            Some(1) => Some(Kind::Organization),
            Some(2) => Some(Kind::Person),
            Some(_) => return Err(Refusal::field("identityType", "There is no such identity type.")),
        };
        let skip = page.saturating_mul(size);
        let everything = term.is_empty() && kind.is_none();
        let all = self.store.identities();
        let ids = if everything { all.get(skip..).unwrap_or_default() } else { all };
        let rows = ids
            .iter()
            .filter_map(|id| self.store.get(*id))
            .filter(|object| object.is_readable())
            .filter(|object| kind.is_none_or(|kind| object.kind == kind))
            .filter(|object| {
                term.is_empty()
                    || object.text("nickName").contains(term)
                    || object.text("customerNumber").contains(term)
            })
            .skip(if everything { 0 } else { skip })
            .take(size)
            .map(|object| LightIdentity {
                identity_id: object.id,
                nick_name: object.text("nickName"),
                customer_no: object.text("customerNumber"),
            })
            .collect::<Vec<_>>();
        Ok(serde_json::to_vec(&rows).expect("rows have string keys only"))
    }

    pub(crate) fn find(&self, kind: Kind, body: &Map<String, Value>) -> Result<Vec<u8>, Refusal> {
        let type_key = text(body, "typeKey").unwrap_or_default();
        if !type_key.is_empty() && self.store.types.get(type_key).is_none_or(|item| item.seed.kind != kind) {
            return Err(Refusal::field("typeKey", "There is no such type."));
        }
        let page = integer(body, "pageNumber")?.unwrap_or(1);
        let first = page.checked_sub(1).ok_or_else(|| Refusal::field("pageNumber", "Pages are counted from 1."))?;
        let size = self.page_size(body)?;
        let terms = self.terms(kind, body, "queries", "logicalOperator")?;
        let orders = self.orders(kind, body)?;
        let (total, objects) = self.page(kind, type_key, &terms, &orders, first.saturating_mul(size), size);
        let data = objects.into_iter().map(|object| self.rendered(object, View::default())).collect();
        Ok(serde_json::to_vec(&Found { data, total }).expect("objects have string keys only"))
    }

    fn page_size(&self, body: &Map<String, Value>) -> Result<usize, Refusal> {
        let size = integer(body, "pageSize")?.unwrap_or(USUAL_PAGE);
        if size == 0 || size > self.settings().largest_page {
            return Err(Refusal::field("pageSize", "The page size is out of range."));
        }
        Ok(size)
    }

    fn page(
        &self,
        kind: Kind,
        type_key: &str,
        terms: &[Term],
        orders: &[(Operand, bool)],
        skip: usize,
        size: usize,
    ) -> (usize, Vec<&Object>) {
        let conjunctive = terms.iter().all(|term| term.and && term.leafs.is_empty());
        let range = if conjunctive { modified_range(terms) } else { (Bound::Unbounded, Bound::Unbounded) };
        let by_time = matches!(orders, [(Operand::Modified, false)]);
        let one_type =
            type_key.is_empty() || self.store.types.values().filter(|item| item.seed.kind == kind).count() == 1;
        let only_time = terms.iter().all(|term| term.operand == Operand::Modified && term.bounds_time());
        let index = self.store.modified_index(kind);
        if conjunctive && by_time && one_type && only_time && !self.outbox.hides() {
            // The polling case: everything is in the index, nothing needs to be looked at but the page itself.
            let matching = || index.into_iter().flat_map(|index| index.range(range));
            let rows = matching().skip(skip).take(size).filter_map(|(_, _, id)| self.store.get(*id)).collect();
            return (matching().count(), rows);
        }
        let wanted = |object: &&Object| {
            object.kind == kind
                && object.is_readable()
                && (type_key.is_empty() || &*object.type_code == type_key)
                && holds(terms, object)
        };
        let indexed = if conjunctive { terms.iter().find_map(|term| self.candidates(term)) } else { None };
        let mut objects: Vec<&Object> = match indexed {
            Some(ids) => ids.iter().filter_map(|id| self.store.get(*id)).filter(wanted).collect(),
            None => {
                let ids = index.into_iter().flat_map(|index| index.range(range));
                ids.filter_map(|(_, _, id)| self.store.get(*id)).filter(wanted).collect()
            }
        };
        objects.sort_by(|a, b| sequence(orders, a, b));
        (objects.len(), objects.into_iter().skip(skip).take(size).collect())
    }

    /// The few objects an equality on an indexed member leaves.
    fn candidates(&self, term: &Term) -> Option<&[Uuid]> {
        match (&term.operand, term.operator, term.value.as_str()) {
            (Operand::Member(name, _), Operator::Equals, value) if !value.is_empty() => self.store.having(name, value),
            _ => None,
        }
    }

    fn terms(&self, kind: Kind, group: &Map<String, Value>, list: &str, glue: &str) -> Result<Vec<Term>, Refusal> {
        let rows = match member(group, list) {
            None | Some(Value::Null) => return Ok(Vec::new()),
            Some(Value::Array(rows)) => rows,
            Some(_) => return Err(Refusal::field(list, "has a value of the wrong type")),
        };
        let objects =
            rows.iter().map(|row| row.as_object().ok_or_else(|| Refusal::field(list, "has a row that is no object")));
        objects.map(|row| self.term(kind, row?, glue)).collect()
    }

    fn term(&self, kind: Kind, row: &Map<String, Value>, glue: &str) -> Result<Term, Refusal> {
        let and = match integer(row, glue)?.unwrap_or(0) {
            0 => true,
            1 => false,
            _ => return Err(Refusal::field(glue, "There is no such logical operator.")),
        };
        let leafs = self.terms(kind, row, "leafs", "logicalOperator")?;
        let negated = member(row, "leafNegate").and_then(Value::as_bool).unwrap_or(false);
        let field = text(row, "field").unwrap_or_default();
        let operand = if field.is_empty() && !leafs.is_empty() { Operand::Nothing } else { self.operand(kind, field)? };
        let operator = Operator::numbered(integer(row, "operator")?.unwrap_or(0))?;
        let value = match member(row, "value") {
            None | Some(Value::Null) => String::new(),
            Some(Value::String(value)) => value.clone(),
            Some(_) => return Err(Refusal::field("value", "must be a text")),
        };
        if matches!(operand, Operand::Modified | Operand::Created | Operand::Member(_, Shape::Date))
            && time::parse(&value).is_none()
        {
            return Err(Refusal::field(field, "is not a local date"));
        }
        Ok(Term { and, operand, operator, value, leafs, negated })
    }

    fn orders(&self, kind: Kind, body: &Map<String, Value>) -> Result<Vec<(Operand, bool)>, Refusal> {
        let Some(rows) = member(body, "orders").and_then(Value::as_array) else { return Ok(Vec::new()) };
        let objects = rows.iter().filter_map(Value::as_object);
        objects
            .map(|row| {
                let descending = integer(row, "order")?.unwrap_or(0) == 1;
                Ok((self.operand(kind, text(row, "field").unwrap_or_default())?, descending))
            })
            .collect()
    }

    /// A property in PascalCase or a known user key; everything else crashes the server (sheet §2.4).
    fn operand(&self, kind: Kind, name: &str) -> Result<Operand, Refusal> {
        let operand = match name {
            "CrmId" => Operand::Id,
            "IdentityId" if kind.is_identity() => Operand::Id,
            "ModifyDate" => Operand::Modified,
            "CreatDate" => Operand::Created,
            "CrmObjectTypeCode" => Operand::TypeCode,
            "BillableObjectStateIndex" if !kind.is_identity() => Operand::State,
            _ => match fields::named(kind, name) {
                Some(field) if is_pascal_of(field.name, name) => Operand::Member(field.name, field.shape),
                _ if self.store.user_keys.contains(name) => Operand::UserKey(name.to_owned()),
                _ => return Err(Refusal::Crash),
            },
        };
        Ok(operand)
    }
}

fn is_pascal_of(camel: &str, name: &str) -> bool {
    name.starts_with(|first: char| first.is_ascii_uppercase()) && camel[1..] == name[1..]
}

fn integer(body: &Map<String, Value>, name: &str) -> Result<Option<usize>, Refusal> {
    match member(body, name) {
        None | Some(Value::Null) => Ok(None),
        Some(value) => {
            let number = value.as_u64().and_then(|number| usize::try_from(number).ok());
            number.map(Some).ok_or_else(|| Refusal::field(name, "must be a whole number"))
        }
    }
}
