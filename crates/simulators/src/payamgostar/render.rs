//! How an object looks on the wire (payamgostar sheet §2.7, §2.9, §2.10).

use super::{fields, kind::ItemType, store::Object, time};
use serde::ser::{Serialize, SerializeMap, Serializer};
use uuid::Uuid;

/// The optional parts of a read.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct View {
    pub(crate) previews: bool,
}

/// An object with its type, ready to be written.
pub(crate) struct Rendered<'a> {
    pub(crate) object: &'a Object,
    pub(crate) item_type: &'a ItemType,
    /// The one user everything is done by.
    pub(crate) actor: Uuid,
    /// Display name of the identity a quote or invoice belongs to.
    pub(crate) identity_name: Option<&'a str>,
    pub(crate) view: View,
}

#[derive(serde::Serialize)]
struct Preview<'a> {
    name: &'a str,
}

impl Serialize for Rendered<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let object = self.object;
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("crmId", &object.id)?;
        for field in fields::of(object.kind) {
            match object.members.get(field.name) {
                Some(value) => map.serialize_entry(field.name, value)?,
                None => map.serialize_entry(field.name, &fields::absent(field.shape))?,
            }
        }
        self.serialize_type(&mut map)?;
        map.serialize_entry("creatDate", &time::emit(object.created))?;
        map.serialize_entry("modifyDate", &time::emit(object.modified))?;
        if object.kind.is_identity() {
            self.serialize_identity(&mut map)?;
        } else {
            self.serialize_billable(&mut map)?;
        }
        self.serialize_actors(&mut map)?;
        map.end()
    }
}

impl Rendered<'_> {
    fn serialize_type<M: SerializeMap>(&self, map: &mut M) -> Result<(), M::Error> {
        map.serialize_entry("crmObjectTypeCode", &*self.object.type_code)?;
        map.serialize_entry("crmObjectTypeName", &None::<&str>)?;
        map.serialize_entry("crmObjectTypeIndex", &self.object.kind.type_index())?;
        map.serialize_entry("crmObjectTypeId", &self.item_type.id)
    }

    fn serialize_identity<M: SerializeMap>(&self, map: &mut M) -> Result<(), M::Error> {
        map.serialize_entry("identityId", &self.object.id)?;
        for name in ["identityTypeName", "sourceTypeName", "colorName", "classification", "stage"] {
            map.serialize_entry(name, &None::<&str>)?;
        }
        map.serialize_entry("balance", &fields::absent(fields::Shape::Decimal(2)))
    }

    fn serialize_billable<M: SerializeMap>(&self, map: &mut M) -> Result<(), M::Error> {
        map.serialize_entry("billableObjectState", &None::<&str>)?;
        map.serialize_entry("billableObjectStateIndex", &self.object.state)?;
        map.serialize_entry("identityIdPreview", &self.preview(self.identity_name))
    }

    fn serialize_actors<M: SerializeMap>(&self, map: &mut M) -> Result<(), M::Error> {
        map.serialize_entry("processLifePaths", &[(); 0])?;
        map.serialize_entry("color", &None::<&str>)?;
        for (id, preview) in [
            ("creatorId", "creatorIdPreview"),
            ("modifierId", "modifierIdPreview"),
            ("assignedToId", "assignedToIdPreview"),
        ] {
            map.serialize_entry(id, &self.actor)?;
            map.serialize_entry(preview, &self.preview(Some("service")))?;
        }
        Ok(())
    }

    fn preview<'a>(&self, name: Option<&'a str>) -> Option<Preview<'a>> {
        name.filter(|_| self.view.previews).map(|name| Preview { name })
    }
}
