//! Many random histories; each is checked at its end. A failing seed can be run again by its number.

use tandem_flows::{Setup, soup};

async fn seeds(from: u64, to: u64) {
    for seed in from..to {
        println!("seed {seed}");
        soup(Setup::default(), seed, 60).await;
    }
}

#[tokio::test]
async fn random_histories_end_in_step_part_one() {
    seeds(0, 8).await;
}

#[tokio::test]
async fn random_histories_end_in_step_part_two() {
    seeds(8, 16).await;
}
