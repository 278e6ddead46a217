//! Who is calling: the peer, or the one that a trusted proxy names.

use ipnet::IpNet;
use std::net::IpAddr;

/// The proxies whose word is believed.
pub(crate) struct Callers {
    trusted: Vec<IpNet>,
}

impl Callers {
    pub(crate) fn new(trusted: Vec<IpNet>) -> Self {
        Self { trusted }
    }

    /// The caller's address. `forwarded` is all that `X-Forwarded-For` headers say: read from the right, where the nearest proxy
    /// wrote, and only as far as each writer is trusted. Anything unreadable in it leaves the last address that was
    /// vouched for.
    pub(crate) fn address(&self, peer: IpAddr, forwarded: &str) -> IpAddr {
        let mut caller = peer.to_canonical();
        for hop in forwarded.rsplit(',') {
            if !is_in(&self.trusted, caller) {
                break;
            }
            let Ok(address) = hop.trim().parse::<IpAddr>() else { break };
            caller = address.to_canonical();
        }
        caller
    }
}

/// Whether one of the networks holds the address.
pub(crate) fn is_in(networks: &[IpNet], address: IpAddr) -> bool {
    networks.iter().any(|network| network.contains(&address))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(trusted: &str, peer: &str, forwarded: &str) -> String {
        let trusted = trusted.split_whitespace().map(|net| net.parse().unwrap()).collect();
        Callers::new(trusted).address(peer.parse().unwrap(), forwarded).to_string()
    }

    #[test]
    fn without_a_trusted_proxy_the_peer_counts_whatever_the_header_says() {
        assert_eq!(seen("", "192.0.2.1", "10.0.0.1"), "192.0.2.1");
        assert_eq!(seen("10.0.0.0/8", "192.0.2.1", "10.0.0.1"), "192.0.2.1");
    }

    #[test]
    fn a_trusted_proxy_names_the_caller_and_what_the_caller_wrote_itself_is_not_believed() {
        assert_eq!(seen("10.0.0.0/8", "10.0.0.1", "192.0.2.7"), "192.0.2.7");
        assert_eq!(seen("10.0.0.0/8", "10.0.0.1", "203.0.113.9, 192.0.2.7, 10.0.0.2"), "192.0.2.7");
    }

    #[test]
    fn an_unreadable_or_missing_header_leaves_the_proxy_as_the_caller() {
        assert_eq!(seen("10.0.0.0/8", "10.0.0.1", ""), "10.0.0.1");
        assert_eq!(seen("10.0.0.0/8", "10.0.0.1", "unknown"), "10.0.0.1");
    }

    #[test]
    fn an_ipv4_address_in_ipv6_clothes_is_the_same_caller() {
        assert_eq!(seen("", "::ffff:192.0.2.1", ""), "192.0.2.1");
    }
}
