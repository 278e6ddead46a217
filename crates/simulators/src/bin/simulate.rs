//! Runs one simulator by hand: `simulate payamgostar --api 127.0.0.1:9101 --control 127.0.0.1:9102`.

use std::{env, net::SocketAddr, process::ExitCode};
use tandem_simulators::{
    company::Company,
    payamgostar::{self, PayamgostarSim},
    siagh::{self, SiaghSim},
};

const USAGE: &str =
    "usage: simulate payamgostar|siagh [--api HOST:PORT] [--control HOST:PORT] [--quick] [--company CONTACTS]";

struct Wanted {
    system: String,
    api: SocketAddr,
    control: SocketAddr,
    quick: bool,
    contacts: usize,
}

fn wanted(mut args: impl Iterator<Item = String>) -> Result<Wanted, String> {
    let system = args.next().ok_or(USAGE)?;
    let (api, control) = match system.as_str() {
        "payamgostar" => (9101, 9102),
        "siagh" => (9111, 9112),
        _ => return Err(USAGE.to_owned()),
    };
    let local = |port: u16| SocketAddr::from(([127, 0, 0, 1], port));
    let mut wanted = Wanted { system, api: local(api), control: local(control), quick: false, contacts: 0 };
    while let Some(option) = args.next() {
        if option == "--quick" {
            wanted.quick = true;
            continue;
        }
        let value = args.next().ok_or_else(|| format!("{option} needs a value\n{USAGE}"))?;
        let address = || value.parse().map_err(|_| format!("{value} is not HOST:PORT"));
        match option.as_str() {
            "--api" => wanted.api = address()?,
            "--control" => wanted.control = address()?,
            "--company" => wanted.contacts = value.parse().map_err(|_| format!("{value} is not a number"))?,
            _ => return Err(format!("{option} is not known\n{USAGE}")),
        }
    }
    Ok(wanted)
}

async fn run(wanted: Wanted) -> Result<(), String> {
    let company = Company::generate(1, wanted.contacts);
    let failed = |error: std::io::Error| format!("the simulator does not start: {error}");
    if wanted.system == "payamgostar" {
        let settings = if wanted.quick { payamgostar::Settings::quick() } else { payamgostar::Settings::default() };
        let simulator = PayamgostarSim::start_on(settings, wanted.api, wanted.control).await.map_err(failed)?;
        company.seed_payamgostar(&simulator.admin()).map_err(|refused| refused.to_string())?;
        serve(&simulator.api_url(), &simulator.control_url()).await;
        simulator.stop().await;
    } else {
        let settings = if wanted.quick { siagh::Settings::quick() } else { siagh::Settings::default() };
        let simulator = SiaghSim::start_on(settings, wanted.api, wanted.control).await.map_err(failed)?;
        company.seed_siagh(&simulator.admin());
        serve(&simulator.api_url(), &simulator.control_url()).await;
        simulator.stop().await;
    }
    Ok(())
}

async fn serve(api: &str, control: &str) {
    println!("API      {api}\ncontrol  {control}\nCtrl-C ends it.");
    // Without a signal handler the process simply ends on Ctrl-C.
    let _ = tokio::signal::ctrl_c().await;
}

#[tokio::main]
async fn main() -> ExitCode {
    let done = match wanted(env::args().skip(1)) {
        Ok(wanted) => run(wanted).await,
        Err(message) => Err(message),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("{message}");
            ExitCode::FAILURE
        }
    }
}
