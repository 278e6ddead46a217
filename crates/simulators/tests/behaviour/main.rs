//! The simulators against their API sheets, over real HTTP. Each test names the behaviour; the number in its comment
//! is the point of the sheet's section 7.

mod control;
mod crm;
mod crm_webhooks;
mod faults;
mod finance;
mod finance_invoices;
mod size;
mod support;
