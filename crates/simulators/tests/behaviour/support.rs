//! Raw callers of both systems, and a receiver for webhooks.

use reqwest::{Client, Method, Response};
use serde_json::{Value, json};
use tandem_simulators::{payamgostar, payamgostar::PayamgostarSim, siagh, siagh::SiaghSim};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
    sync::mpsc,
};

pub fn http() -> Client {
    Client::builder().no_proxy().build().unwrap()
}

/// A CRM and a caller that is logged in.
pub struct Crm {
    pub sim: PayamgostarSim,
    pub admin: payamgostar::Admin,
    pub http: Client,
    pub token: String,
}

impl Crm {
    pub async fn quick() -> Self {
        Self::with(payamgostar::Settings::quick()).await
    }

    pub async fn with(settings: payamgostar::Settings) -> Self {
        let sim = PayamgostarSim::start(settings).await.unwrap();
        let mut crm = Self { admin: sim.admin(), sim, http: http(), token: String::new() };
        let body = crm.login("not-a-real-one").await.json::<Value>().await.unwrap();
        crm.token = body["accessToken"].as_str().unwrap_or_default().to_owned();
        crm
    }

    pub async fn login(&self, password: &str) -> Response {
        let body = json!({
            "username": "svc-sync", "password": password, "deviceId": "t", "platformType": 1, "os": "Linux",
            "osVersion": "1.0", "token": "",
        });
        self.http.post(format!("{}/api/v2/auth/login", self.sim.api_url())).json(&body).send().await.unwrap()
    }

    pub async fn send(&self, method: Method, path: &str, body: &Value) -> Response {
        let request = self.http.request(method, format!("{}{path}", self.sim.api_url()));
        request.bearer_auth(&self.token).json(body).send().await.unwrap()
    }

    /// Status and JSON (null when the body is none) of a call behind `/api/v2/crmobject/`.
    pub async fn call(&self, path: &str, body: Value) -> (u16, Value) {
        let response = self.send(Method::POST, &format!("/api/v2/crmobject/{path}"), &body).await;
        let status = response.status().as_u16();
        let text = response.text().await.unwrap();
        (status, serde_json::from_str(&text).unwrap_or_default())
    }

    pub async fn create(&self, kind: &str, body: Value) -> String {
        let (status, created) = self.call(&format!("{kind}/create"), body).await;
        assert_eq!(status, 200, "{created}");
        created["crmId"].as_str().unwrap().to_owned()
    }

    pub async fn person(&self) -> String {
        self.create("person", person()).await
    }

    pub async fn get(&self, kind: &str, id: &str) -> Value {
        let (status, object) = self.call(&format!("{kind}/get"), json!({ "id": id })).await;
        assert_eq!(status, 200, "{object}");
        object
    }
}

pub fn person() -> Value {
    json!({ "crmObjectTypeCode": "person", "firstName": "نام", "lastName": "نمونه" })
}

/// A Siagh with one good and two contacts, and a caller that is logged in.
pub struct Finance {
    pub sim: SiaghSim,
    pub admin: siagh::Admin,
    pub http: Client,
    pub session: String,
}

pub const GOOD: &str = "500100001";

impl Finance {
    pub async fn quick() -> Self {
        Self::with(siagh::Settings::quick()).await
    }

    pub async fn with(settings: siagh::Settings) -> Self {
        let sim = SiaghSim::start(settings).await.unwrap();
        let mut finance = Self { admin: sim.admin(), sim, http: http(), session: String::new() };
        finance.admin.add_good(siagh::Good::new(GOOD, "کالای نمونه", 5_200_000));
        finance.admin.seed_contact(siagh::Contact {
            code: 42,
            mobile_no: Some("09000000001".to_owned()),
            tel_no: Some("02100000001".to_owned()),
            account_party_code: Some(5_500_042),
            email: Some("a@example.test".to_owned()),
            ..siagh::Contact::organization("شرکت نمونه الف")
        });
        finance.session = finance.open_session().await;
        finance
    }

    pub async fn login(&self, hash: &str) -> Response {
        let body = json!({ "UserName": "کاربر نمونه", "Password": hash });
        self.http.post(format!("{}/GeneralApi/LoginUser", self.sim.api_url())).json(&body).send().await.unwrap()
    }

    pub async fn open_session(&self) -> String {
        let body = self.login("6A03CCD0C813FB03ECAD5A210C7D5A8E").await.json::<Value>().await.unwrap();
        body["SessionId"].as_str().unwrap_or_default().to_owned()
    }

    pub async fn send(&self, method: Method, path: &str, body: Option<&Value>) -> Response {
        let request = self.http.request(method, format!("{}{path}", self.sim.api_url()));
        let request = request.header("Authorization", &self.session);
        match body {
            Some(body) => request.json(body).send().await.unwrap(),
            None => request.send().await.unwrap(),
        }
    }

    pub async fn list(&self) -> Vec<Value> {
        self.send(Method::GET, "/api/Sgh/GEN/Gn_Web_Users/GetAll", None).await.json().await.unwrap()
    }

    pub async fn filtered(&self, filter: Value) -> Vec<Value> {
        self.send(Method::POST, "/api/Sgh/GEN/Gn_Web_Users/GetAll", Some(&filter)).await.json().await.unwrap()
    }

    pub async fn save(&self, body: &Value) -> Value {
        let response = self.send(Method::POST, "/BpmsApi/SaveFormData", Some(body)).await;
        assert_eq!(response.status(), 200);
        response.json().await.unwrap()
    }

    pub async fn save_contact(&self, controls: &str, code_main: &str) -> Value {
        self.save(&contact_form(controls, code_main)).await
    }

    pub async fn save_invoice(&self, change: impl FnOnce(&mut Invoice)) -> Value {
        let mut invoice = Invoice::default();
        change(&mut invoice);
        self.save(&invoice.form()).await
    }
}

pub fn contact_form(controls: &str, code_main: &str) -> Value {
    json!({
        "formId": "2BFDA", "ctrlValues": controls, "parameters": format!("CodeMain={code_main}"), "dataRows": "[]",
        "attachments": "[]", "postCode": "1110", "flowId": "",
    })
}

/// A pre-invoice that is accepted, to be spoilt by a test.
pub struct Invoice {
    pub controls: Vec<(&'static str, String)>,
    pub row: Value,
    pub suid: String,
}

impl Default for Invoice {
    fn default() -> Self {
        let controls = [
            ("hssanadstate", "8"),
            ("codenoeesanad", "2"),
            ("codesalemodel", "5"),
            ("salmali", "1404"),
            ("codenoeepardakht", "2"),
            ("codemarkazforush", "5"),
            ("codecontact", ""),
            ("codemoshtari", "42"),
            ("codenoeeforush", "1"),
            ("codevaseteh", "31"),
            ("tozihat", "سفارش نمونه"),
            ("namenoesanad", "پیش فاکتور فروش نمونه"),
        ];
        let new = |value: Value| json!({ "oldValue": null, "newValue": value });
        let row = json!({
            "__uid": { "oldValue": "a1b2c3d4", "newValue": "a1b2c3d4" },
            "_status": { "oldValue": "inserted", "newValue": "inserted" },
            "codekala": new(json!(GOOD)), "nameunit": new(json!("عدد")), "qty": new(json!(2)),
            "mabtakhfif": new(json!(0)), "vazn": new(json!("0")), "hajm": new(json!("0")), "price": new(json!(100_000)),
            "radif": new(json!("1")), "finalqty": new(json!(2)), "takhfif": new(json!(null)),
            "sumamelinc": new(json!(null)), "sumameldec": new(json!(null)),
        });
        let controls = controls.map(|(name, value)| (name, value.to_owned())).to_vec();
        Self { controls, row, suid: "0123456789ABCDEF0123456789ABCDEF".to_owned() }
    }
}

impl Invoice {
    pub fn set(&mut self, name: &str, value: &str) {
        self.controls.iter_mut().find(|(other, _)| *other == name).unwrap().1 = value.to_owned();
    }

    pub fn cell(&mut self, name: &str, value: Value) {
        self.row[name]["newValue"] = value;
    }

    pub fn form(&self) -> Value {
        let controls: Vec<String> =
            self.controls.iter().map(|(name, value)| format!("sl_sanad.{name}={value}")).collect();
        let rows = json!([{ "name": "dbgrid1", "entity": "sl_rizsanad", "keyField": "coderiz", "data": [self.row] }]);
        json!({
            "formId": "43D81", "ctrlValues": controls.join("|"),
            "parameters": format!("_In_EditKeys=|_In_Suid={}|nocheck=", self.suid), "dataRows": rows.to_string(),
            "attachments": "[]", "postCode": "1110", "flowId": "",
        })
    }
}

/// Settings whose clock stands at 2026-02-01 12:00 in Tehran, fiscal year 1404.
pub fn finance_1404() -> siagh::Settings {
    siagh::Settings { frozen_at: Some("2026-02-01T08:30:00Z".parse().unwrap()), ..siagh::Settings::quick() }
}

/// Keeps the heads of the requests it gets and answers them all with 200.
pub struct Receiver {
    pub address: String,
    heads: mpsc::UnboundedReceiver<String>,
}

impl Receiver {
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}/webhook/crm", listener.local_addr().unwrap());
        let (sender, heads) = mpsc::unbounded_channel();
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let sender = sender.clone();
                tokio::spawn(async move {
                    let mut read = Vec::new();
                    while stream.read_buf(&mut read).await.is_ok_and(|count| count > 0) {
                        while let Some(end) = read.windows(4).position(|window| window == b"\r\n\r\n") {
                            let head: Vec<u8> = read.drain(..end + 4).collect();
                            let _ = sender.send(String::from_utf8(head).unwrap());
                            stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").await.unwrap();
                        }
                    }
                });
            }
        });
        Self { address, heads }
    }

    pub async fn next(&mut self) -> String {
        self.heads.recv().await.unwrap()
    }

    /// `event` and `id` of the next request.
    pub async fn next_event(&mut self) -> (String, String) {
        let head = self.next().await;
        let value = |name: &str| {
            let after = head.split_once(&format!("{name}=")).unwrap().1;
            after.split(['&', ' ']).next().unwrap().to_owned()
        };
        (value("event"), value("id"))
    }

    /// How many requests came that nobody looked at.
    pub fn unread(&self) -> usize {
        self.heads.len()
    }
}
