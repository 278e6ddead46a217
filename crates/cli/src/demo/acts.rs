//! The show, act by act: what people do in the CRM and in finance, what goes wrong, and what Tandem makes of it.

use super::stage::{GATE_SECONDS, Stage};
use super::tell::Tell;
use anyhow::{Context as _, ensure};
use serde_json::json;
use std::time::Duration;
use tandem_bridges::siagh::{CONTACT, CUSTOMER, IMPORT, POLL, PRE_INVOICE, SIAGH, mapping};
use tandem_core::{Actor, LedgerRow, RecordKey, State, Trigger};
use tandem_engine::ScanSummary;
use tandem_simulators::company::{self, QuoteMaterial};
use tandem_simulators::payamgostar::Kind;
use tandem_simulators::siagh::{Contact, Good};
use tandem_simulators::{Arm, Fault};
use tandem_store::{Mapping, Resolution};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

/// How long one thing may take before the show counts as failed.
const PATIENCE: Duration = Duration::from_secs(120);

pub struct Acts<'a> {
    pub stage: &'a Stage,
    pub tell: &'a Tell,
}

impl Acts<'_> {
    pub async fn play(&self) -> anyhow::Result<()> {
        self.import().await.context("the initial import")?;
        self.stage.register_webhooks()?;
        self.live_edits().await.context("live edits by webhook")?;
        self.poll().await.context("edits found by the poll")?;
        self.quotes().await.context("quotes to pre-invoices")?;
        self.twice_within_the_gate().await.context("two saves within the time gate")?;
        self.lost_customer_answer().await.context("a lost answer to a new customer")?;
        self.lost_invoice_answer().await.context("a lost answer to a pre-invoice")?;
        self.dead_letter().await.context("a dead letter")?;
        Ok(())
    }

    async fn import(&self) -> anyhow::Result<()> {
        let contacts = self.stage.company.contacts.len() - 1;
        // A handful is in the CRM already, as it is on every real site: these are linked, not made again.
        for contact in self.stage.company.contacts.iter().skip(1).take(5) {
            let (kind, fields) = company::identity(contact);
            self.stage.crm.seed(kind, &fields).map_err(refused)?;
        }
        self.tell.act("1", "The initial import: every contact of the finance system becomes a customer of the CRM");
        let bar = self.tell.bar(contacts as u64, "contacts");
        self.scan(IMPORT).await?;
        let in_step = self
            .until(|_| async {
                let (in_step, open) = self.progress(CONTACT).await?;
                bar.at(in_step);
                Ok((open == 0).then_some(in_step))
            })
            .await?;
        bar.finish();
        ensure!(in_step == contacts as u64, "{in_step} of {contacts} contacts were imported");
        let customers = self.stage.crm.identity_count();
        ensure!(customers == contacts, "{contacts} contacts became {customers} customers of the CRM");
        self.tell.done(&format!("{contacts} contacts imported; 5 of them were in the CRM already and were linked"));
        Ok(())
    }

    async fn live_edits(&self) -> anyhow::Result<()> {
        self.tell
            .act("2", "The sales team edits customers; the CRM calls our webhook, and finance has it a moment later");
        for (at, identity) in self.identities().into_iter().take(8).enumerate() {
            self.stage
                .crm
                .edit(identity, &json!({"description": format!("edited live, number {at}")}))
                .map_err(refused)?;
        }
        let new = self.new_customer("شرکت تازه نمونه", "09009990001")?;
        self.settled(CUSTOMER, new).await?;
        self.quiet().await?;
        let code = self.row(CUSTOMER, new).await?.dest_id.context("the new customer has no contact")?;
        self.tell.done(&format!("8 edits and a new customer arrived by webhook; the new one is contact {code}"));
        Ok(())
    }

    async fn poll(&self) -> anyhow::Result<()> {
        self.tell.act("3", "The webhooks are lost for a while; the poll finds what they would have told");
        self.stage.webhook("person", None)?;
        self.stage.webhook("organization", None)?;
        let edited: Vec<Uuid> = self.identities().into_iter().skip(20).take(5).collect();
        let website = "https://example.test/polled";
        for identity in &edited {
            self.stage.crm.edit(*identity, &json!({ "website": website })).map_err(refused)?;
        }
        let found = self.scan(POLL).await?;
        let (seen, noticed, changed) = (found.seen, found.noticed, edited.len());
        ensure!(noticed == changed as u64, "{changed} customers were edited and the poll noticed {noticed}");
        self.quiet().await?;
        for identity in edited {
            let contact = self.contact_of(identity).await?;
            ensure!(
                contact.web_site_address.as_deref() == Some(website),
                "the edit of customer {identity} is not in finance"
            );
        }
        self.stage.register_webhooks()?;
        self.tell.done(&format!(
            "the poll looked at {seen} records; {changed} had changed and are in finance now, the others cost nothing"
        ));
        Ok(())
    }

    async fn quotes(&self) -> anyhow::Result<()> {
        self.tell.act("4", "Quotes become pre-invoices; one product is not in the code table yet");
        let missing = self.load_tables().await?;
        let quotes: Vec<Uuid> = self
            .stage
            .company
            .quotes
            .iter()
            .take(12)
            .map(|material| self.new_quote(material))
            .collect::<anyhow::Result<_>>()?;
        self.quiet().await?;
        let waiting = self.rows(PRE_INVOICE, State::NeedsMapping).await?;
        if let Some(row) = waiting.first() {
            self.tell.note(&format!("{} pre-invoices wait: {}", waiting.len(), row.reason));
        }
        self.set_mapping(mapping::GOODS, &missing.0, &missing.1).await?;
        for quote in &quotes {
            self.settled(PRE_INVOICE, *quote).await?;
        }
        self.quiet().await?;
        self.tell.done(&format!(
            "{} quotes, {} pre-invoices in finance",
            quotes.len(),
            self.stage.finance.document_count()
        ));
        Ok(())
    }

    async fn twice_within_the_gate(&self) -> anyhow::Result<()> {
        self.tell.act("5", &format!("Somebody saves twice within the time gate ({GATE_SECONDS} s here)"));
        let identity = self.identities()[30];
        let before = self.stage.finance.calls_to("#2BFDA");
        self.stage.crm.edit(identity, &json!({"description": "first save"})).map_err(refused)?;
        self.until(|_| async { Ok((self.stage.finance.calls_to("#2BFDA") > before).then_some(())) }).await?;
        self.stage.crm.edit(identity, &json!({"description": "second save"})).map_err(refused)?;
        self.stage.crm.deliveries_drained().await;
        self.quiet().await?;
        let text = self.contact_of(identity).await?.description;
        ensure!(text.as_deref() == Some("second save"), "finance has {text:?} instead of the second save");
        let writes = self.stage.finance.calls_to("#2BFDA") - before;
        self.tell.done(&format!("the second save waited for the gate and arrived: {writes} writes for two saves"));
        Ok(())
    }

    async fn lost_customer_answer(&self) -> anyhow::Result<()> {
        self.tell.act("6", "Finance makes a contact and the line drops before it can say so");
        self.stage.finance.arm(Arm::once(Fault::ResetAfterCommit).on("#2BFDA"));
        let before = self.stage.finance.contact_count();
        let identity = self.new_customer("مشتری بی‌پاسخ", "09009990002")?;
        self.settled(CUSTOMER, identity).await?;
        let made = self.stage.finance.contact_count() - before;
        ensure!(made == 1, "{made} contacts were made for one customer");
        self.tell.done("the contact was looked for, found and adopted: one contact, not two");
        Ok(())
    }

    async fn lost_invoice_answer(&self) -> anyhow::Result<()> {
        self.tell.act("7", "The same with a pre-invoice, which finance can't show: a person decides");
        self.stage.finance.arm(Arm::once(Fault::ResetAfterCommit).on("#43D81"));
        let material = self.stage.company.quotes.get(12).context("the company has too few quotes")?;
        let quote = self.new_quote(material)?;
        let row = self.until_state(PRE_INVOICE, quote, State::NeedsReview).await?;
        self.tell.note(&row.reason);
        let documents = self.stage.finance.documents();
        let mark = format!("CRM:{}", &quote.simple().to_string()[..8]);
        let document =
            documents.iter().find(|d| d.control("tozihat").contains(&mark)).context("the pre-invoice is not there")?;
        let refs = [("number".to_owned(), json!(document.number.to_string()))].into_iter().collect();
        let resolution = Resolution::Exists { dest_id: Some(document.return_code.clone().into()), refs };
        self.stage.engine.store().resolve(&row.key, &resolution, &operator(), self.stage.engine.now()).await?;
        self.settled(PRE_INVOICE, quote).await?;
        self.tell.done(&format!(
            "the operator found number {} in finance and said so; nothing was sent twice",
            document.number
        ));
        Ok(())
    }

    async fn dead_letter(&self) -> anyhow::Result<()> {
        self.tell.act("8", "A pre-invoice that finance refuses: a dead letter, mended and replayed");
        self.set_mapping(mapping::GOODS, "Product-99", "599999999").await?;
        let customer = self.identities()[40];
        let quote = self.create_quote(&json!({
            "crmObjectTypeCode": "PI_5", "identityId": customer, "subject": "کالای تازه",
            "details": [{"productCode": "Product-99", "productName": "کالای تازه", "productUnitTypeName": "عدد", "count": 2, "baseUnitPrice": 750000, "totalDiscount": 0}],
            "totalValue": 1_500_000, "discount": 0, "vat": 150_000, "vatPercent": 10, "toll": 0, "tollPercent": 0, "finalValue": 1_650_000,
        }))?;
        let row = self.until_state(PRE_INVOICE, quote, State::Dead).await?;
        self.tell.note(&format!("finance says: {}", row.reason));
        self.stage.finance.add_good(Good::new("599999999", "کالای تازه", 750_000));
        self.stage.engine.store().reopen(&[row.key], Trigger::Replay, &operator(), self.stage.engine.now()).await?;
        self.settled(PRE_INVOICE, quote).await?;
        self.tell
            .done("the accountant added the good, the operator replayed the dead letter, and the pre-invoice is there");
        Ok(())
    }
}

/// What people do.
impl Acts<'_> {
    fn identities(&self) -> Vec<Uuid> {
        let id = |object: &serde_json::Value| object["crmId"].as_str().and_then(|text| text.parse().ok());
        self.stage.crm.identities().iter().filter_map(id).collect()
    }

    fn new_customer(&self, name: &str, mobile: &str) -> anyhow::Result<Uuid> {
        let fields = json!({"nickName": name, "phoneContacts": [{"default": true, "phoneType": "Mobile", "phoneNumber": mobile}]});
        self.stage.crm.create(Kind::Organization, &fields).map_err(refused)
    }

    fn new_quote(&self, material: &QuoteMaterial) -> anyhow::Result<Uuid> {
        let number = format!("100-{}", material.customer + 1000);
        let customers = self.stage.crm.identities();
        let customer =
            customers.iter().find(|c| c["customerNumber"] == number.as_str()).and_then(|c| c["crmId"].as_str());
        let customer: Uuid = customer.with_context(|| format!("customer {number} is not in the CRM"))?.parse()?;
        self.create_quote(&material.fields(customer))
    }

    fn create_quote(&self, fields: &serde_json::Value) -> anyhow::Result<Uuid> {
        let quote = self.stage.crm.create(Kind::Quote, fields).map_err(refused)?;
        self.stage.crm.number(quote).map_err(refused)?;
        Ok(quote)
    }

    /// Loads the code tables but for one product, and answers that product's code in both systems.
    async fn load_tables(&self) -> anyhow::Result<(String, String)> {
        let of = |typ: &str, source: &str, target: &str| Mapping {
            typ: typ.to_owned(),
            source: source.to_owned(),
            target: target.to_owned(),
            note: None,
        };
        let products = &self.stage.company.products;
        let (left_out, known) = products.split_last().context("the company sells nothing")?;
        let mut tables: Vec<Mapping> =
            known.iter().map(|p| of(mapping::GOODS, &p.product_code, &p.good.code)).collect();
        tables.extend(products.iter().map(|p| of(mapping::UNIT, &p.good.unit, &p.good.unit)));
        tables.push(of(mapping::SALE_MODEL, "PI_5", "5"));
        tables.push(of(mapping::SALES_CENTRE, "PI_5", "5"));
        tables.push(of(mapping::DOCUMENT_NAME, "PI_5", "پیش فاکتور فروش نمونه"));
        self.stage.engine.store().set_mappings(&SIAGH.into(), &tables, &operator(), self.stage.engine.now()).await?;
        Ok((left_out.product_code.clone(), left_out.good.code.clone()))
    }

    async fn set_mapping(&self, typ: &str, source: &str, target: &str) -> anyhow::Result<()> {
        let one = Mapping { typ: typ.to_owned(), source: source.to_owned(), target: target.to_owned(), note: None };
        let store = self.stage.engine.store();
        let change = store.set_mappings(&SIAGH.into(), &[one], &operator(), self.stage.engine.now()).await?;
        let keys: Vec<RecordKey> = change.released.into_iter().map(|nudge| nudge.key).collect();
        Ok(store.unpublish(&keys).await?)
    }
}

/// Watching what comes of it.
impl Acts<'_> {
    async fn row(&self, kind: &str, id: Uuid) -> anyhow::Result<LedgerRow> {
        let key = RecordKey::new(SIAGH, kind, id.to_string());
        self.stage.engine.store().row(&key).await?.with_context(|| format!("{key} was never noticed"))
    }

    async fn rows(&self, kind: &str, state: State) -> anyhow::Result<Vec<LedgerRow>> {
        let filter = tandem_store::RowFilter { kind: Some(kind.into()), states: vec![state], ..Default::default() };
        Ok(self.stage.engine.store().rows(&filter).await?)
    }

    /// The contact that stands for a customer.
    async fn contact_of(&self, customer: Uuid) -> anyhow::Result<Contact> {
        let code = self.row(CUSTOMER, customer).await?.dest_id.context("the customer has no contact")?;
        let contact = self.stage.finance.contact(code.as_str().parse()?);
        contact.with_context(|| format!("contact {code} is not in finance"))
    }

    /// Runs a scan to its end.
    async fn scan(&self, job: &str) -> anyhow::Result<ScanSummary> {
        let never = CancellationToken::new();
        let found = self.stage.engine.scan(&SIAGH.into(), &job.into(), true, None, &never, &mut |_| {}).await?;
        found.with_context(|| format!("the {job} is running elsewhere"))
    }

    /// How many records of a kind are in step, and how many are neither settled nor parked.
    async fn progress(&self, kind: &str) -> anyhow::Result<(u64, u64)> {
        let counts = self.stage.engine.store().counts().await?;
        let sum = |wanted: fn(State) -> bool| {
            let of_kind = counts.iter().filter(|count| count.kind.as_str() == kind && wanted(count.state));
            of_kind.map(|count| count.count).sum::<u64>()
        };
        Ok((sum(State::is_in_step), sum(|state| matches!(state, State::Pending | State::Retrying))))
    }

    /// Until a record's work is over, and in step.
    async fn settled(&self, kind: &str, id: Uuid) -> anyhow::Result<LedgerRow> {
        self.until(|_| async {
            let row = self.stage.engine.store().row(&RecordKey::new(SIAGH, kind, id.to_string())).await?;
            Ok(row.filter(|row| row.state.is_in_step() && !row.is_open()))
        })
        .await
    }

    async fn until_state(&self, kind: &str, id: Uuid, state: State) -> anyhow::Result<LedgerRow> {
        self.until(|_| async {
            let row = self.stage.engine.store().row(&RecordKey::new(SIAGH, kind, id.to_string())).await?;
            Ok(row.filter(|row| row.state == state && !row.is_open()))
        })
        .await
    }

    /// Until all webhooks are delivered and nothing is open.
    async fn quiet(&self) -> anyhow::Result<()> {
        self.stage.crm.deliveries_drained().await;
        self.until(|_| async {
            let work = self.stage.engine.store().open_work(None, self.stage.engine.now()).await?;
            Ok((work.open == 0).then_some(()))
        })
        .await
    }

    async fn until<T, F>(&self, mut look: impl FnMut(()) -> F) -> anyhow::Result<T>
    where
        F: Future<Output = anyhow::Result<Option<T>>>,
    {
        let watch = async {
            loop {
                if let Some(found) = look(()).await? {
                    return Ok(found);
                }
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        };
        tokio::time::timeout(PATIENCE, watch)
            .await
            .with_context(|| format!("nothing came of it within {} s", PATIENCE.as_secs()))?
    }
}

fn operator() -> Actor {
    Actor::new("demo operator")
}

fn refused(refused: tandem_simulators::payamgostar::Refused) -> anyhow::Error {
    anyhow::anyhow!("the simulated CRM refused: {refused:?}")
}
