//! Which amounts Siagh can hold (siagh sheet §6): whole Rial, quantities with at most three digits after the point.
//! Nothing is rounded; what does not fit is for a person.

use super::quote::Line;
use rust_decimal::Decimal;

pub fn check(line: &Line) -> Result<(), String> {
    let scale = |amount: Decimal| amount.normalize().scale();
    if line.quantity <= Decimal::ZERO {
        return Err(format!("its quantity is {}; it must be above zero", line.quantity.normalize()));
    }
    if scale(line.quantity) > 3 {
        return Err(format!("its quantity {} has more than three digits after the point", line.quantity.normalize()));
    }
    if line.price <= Decimal::ZERO {
        return Err(format!("its price is {}; it must be above zero", line.price.normalize()));
    }
    if scale(line.price) > 0 || scale(line.discount) > 0 {
        return Err("its price or discount has a fraction of a Rial".to_owned());
    }
    if line.discount < Decimal::ZERO || line.discount > line.price * line.quantity {
        return Err(format!("its discount of {} is not between zero and the line's sum", line.discount.normalize()));
    }
    Ok(())
}
