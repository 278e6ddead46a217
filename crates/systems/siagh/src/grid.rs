//! `dataRows`: the lines of a pre-invoice as a JSON text, with exactly the mixed types of the vendor's
//! sample (sheet §2.6).

use rust_decimal::Decimal;
use serde_json::{Map, Number, Value, json};
use std::fmt;
use std::str::FromStr;
use tandem_core::Fault;

/// Fraction digits a quantity may have (assumed, sheet §6).
const QUANTITY_SCALE: u32 = 3;

/// One line. Amounts are whole Rial.
#[derive(Debug, Clone, PartialEq)]
pub struct PreInvoiceRow {
    /// `codekala`: must exist in Siagh.
    pub goods_code: String,
    /// `nameunit`: the Persian name, `عدد` for pieces.
    pub unit: String,
    /// Above zero, at most three fraction digits.
    pub quantity: Decimal,
    /// Unit price before VAT; above zero.
    pub price: Decimal,
    /// `mabtakhfif`: of the whole row; zero or more.
    pub discount: Decimal,
}

/// `_In_Suid`: 32 upper-case hexadecimal digits that name one save. Derive it from what is saved, so that the
/// same save has the same name every time (sheet §2.6). The row ids follow from it.
#[derive(Clone, PartialEq, Eq)]
pub struct Suid([u8; 16]);

impl Suid {
    /// The first half of a digest over the record's id and content.
    pub fn from_digest(digest: &[u8; 32]) -> Self {
        let mut bytes = [0; 16];
        bytes.copy_from_slice(&digest[..16]);
        Self(bytes)
    }

    /// Reads back what [`Display`](fmt::Display) wrote; `None` for anything but 32 hexadecimal digits.
    pub fn parse(text: &str) -> Option<Self> {
        hex::decode(text).ok()?.try_into().ok().map(Self)
    }

    /// `__uid` of a line: 8 hexadecimal digits, different for every line of one save.
    pub fn row(&self, index: usize) -> String {
        let [a, b, c, d, ..] = self.0;
        let number = u32::try_from(index % (u32::MAX as usize)).unwrap_or_default();
        format!("{:08x}", u32::from_be_bytes([a, b, c, d]).wrapping_add(number))
    }
}

impl fmt::Display for Suid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode_upper(self.0))
    }
}

impl fmt::Debug for Suid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Suid({self})")
    }
}

/// The text of the member `dataRows`.
///
/// # Errors
/// Permanent `siagh.bad_row`, naming the line, for no lines, an empty goods code, and amounts that are not
/// positive, have a fraction of a Rial, or more than three digits of quantity. Nothing is rounded.
pub fn data_rows(rows: &[PreInvoiceRow], suid: &Suid) -> Result<String, Fault> {
    if rows.is_empty() {
        return Err(Fault::permanent("siagh.bad_row", "a pre-invoice needs at least one line"));
    }
    let data: Vec<Value> =
        rows.iter().enumerate().map(|(index, row)| row.columns(index, suid)).collect::<Result<_, _>>()?;
    Ok(json!([{"name": "dbgrid1", "entity": "sl_rizsanad", "keyField": "coderiz", "data": data}]).to_string())
}

impl PreInvoiceRow {
    fn columns(&self, index: usize, suid: &Suid) -> Result<Value, Fault> {
        self.check().map_err(|why| Fault::permanent("siagh.bad_row", format!("line {}: {why}", index + 1)))?;
        let quantity = Value::Number(plain(self.quantity));
        let mut columns = Map::new();
        let uid = Value::from(suid.row(index));
        columns.insert("__uid".to_owned(), json!({"oldValue": uid, "newValue": uid}));
        columns.insert("_status".to_owned(), json!({"oldValue": "inserted", "newValue": "inserted"}));
        for (name, value) in [
            ("codekala", Value::from(self.goods_code.as_str())),
            ("nameunit", Value::from(self.unit.as_str())),
            ("qty", quantity.clone()),
            ("mabtakhfif", Value::Number(plain(self.discount))),
            ("vazn", Value::from("0")),
            ("hajm", Value::from("0")),
            ("price", Value::Number(plain(self.price))),
            ("radif", Value::from((index + 1).to_string())),
            ("finalqty", quantity),
            ("takhfif", Value::Null),
            ("sumamelinc", Value::Null),
            ("sumameldec", Value::Null),
        ] {
            columns.insert(name.to_owned(), json!({"oldValue": null, "newValue": value}));
        }
        Ok(Value::Object(columns))
    }

    fn check(&self) -> Result<(), &'static str> {
        let scale = |amount: Decimal| amount.normalize().scale();
        if self.goods_code.trim().is_empty() {
            return Err("it has no goods code");
        }
        if self.quantity <= Decimal::ZERO || scale(self.quantity) > QUANTITY_SCALE {
            return Err("its quantity must be above zero and have at most 3 fraction digits");
        }
        if self.price <= Decimal::ZERO || scale(self.price) > 0 {
            return Err("its price must be above zero and whole Rial");
        }
        if self.discount < Decimal::ZERO || scale(self.discount) > 0 {
            return Err("its discount must not be negative and must be whole Rial");
        }
        Ok(())
    }
}

/// A JSON number without exponent and without trailing zeros.
fn plain(amount: Decimal) -> Number {
    Number::from_str(&amount.normalize().to_string()).expect("a decimal's text is a JSON number")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn suid() -> Suid {
        Suid::parse("A1B2C3D4000000000000000000000000").unwrap()
    }

    fn row() -> PreInvoiceRow {
        PreInvoiceRow {
            goods_code: "500100001".into(),
            unit: "عدد".into(),
            quantity: Decimal::new(20_000, 4),
            price: Decimal::new(10_000_000, 2),
            discount: Decimal::new(0, 2),
        }
    }

    /// sheet §2.6, to the letter but for the line breaks
    const SHEET: &str = r#"[{"name":"dbgrid1","entity":"sl_rizsanad","keyField":"coderiz","data":[
 {"__uid":{"oldValue":"a1b2c3d4","newValue":"a1b2c3d4"},
  "_status":{"oldValue":"inserted","newValue":"inserted"},
  "codekala":{"oldValue":null,"newValue":"500100001"},
  "nameunit":{"oldValue":null,"newValue":"عدد"},
  "qty":{"oldValue":null,"newValue":2},
  "mabtakhfif":{"oldValue":null,"newValue":0},
  "vazn":{"oldValue":null,"newValue":"0"},
  "hajm":{"oldValue":null,"newValue":"0"},
  "price":{"oldValue":null,"newValue":100000},
  "radif":{"oldValue":null,"newValue":"1"},
  "finalqty":{"oldValue":null,"newValue":2},
  "takhfif":{"oldValue":null,"newValue":null},
  "sumamelinc":{"oldValue":null,"newValue":null},
  "sumameldec":{"oldValue":null,"newValue":null}}]}]"#;

    #[test]
    fn one_line_is_the_sheets_example_to_the_letter() {
        let sheet: String = SHEET.lines().map(str::trim_start).collect();
        assert_eq!(data_rows(&[row()], &suid()).unwrap(), sheet);
    }

    #[test]
    fn numbers_have_no_exponent_and_no_trailing_zeros() {
        for (amount, text) in [("1000000000000.000", "1000000000000"), ("2.500", "2.5"), ("0.00", "0"), ("10", "10")] {
            assert_eq!(plain(amount.parse().unwrap()).to_string(), text);
        }
    }

    #[test]
    fn a_save_and_its_lines_are_named_by_the_digest_alone() {
        let suid = Suid::from_digest(&[0xff; 32]);
        assert_eq!(suid.to_string(), "F".repeat(32));
        assert_eq!(suid.row(0), "ffffffff");
        assert_eq!(suid.row(1), "00000000");
        assert_eq!(Suid::parse(&suid.to_string()), Some(suid));
        assert_eq!(Suid::parse("A1B2C3D4-0000-0000-0000-000000000000"), None);
    }

    #[test]
    fn amounts_siagh_can_not_hold_are_refused_naming_the_line() {
        for bad in [
            PreInvoiceRow { price: Decimal::new(15, 1), ..row() },
            PreInvoiceRow { price: Decimal::ZERO, ..row() },
            PreInvoiceRow { quantity: Decimal::new(1, 4), ..row() },
            PreInvoiceRow { discount: Decimal::NEGATIVE_ONE, ..row() },
            PreInvoiceRow { goods_code: " ".into(), ..row() },
        ] {
            let fault = data_rows(&[row(), bad], &suid()).unwrap_err();
            assert_eq!(fault.code, "siagh.bad_row");
            assert!(fault.message.starts_with("line 2: "), "{}", fault.message);
        }
        assert!(data_rows(&[], &suid()).is_err());
    }
}
