//! Which addresses receivers may have: public ones, and those in networks that the settings allow, without those that they refuse. Every
//! connection is checked, after the name was resolved, so that no request reaches what only this installation's network can reach (rule S4).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// A network in CIDR notation, such as `10.0.0.0/8`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Network {
    address: IpAddr,
    prefix: u32,
}

/// Networks of IPv4 that are not public, by IANA's registry of special-purpose addresses; multicast; and those that are reserved.
const NOT_PUBLIC_V4: [Network; 15] = [
    v4([0, 0, 0, 0], 8),
    v4([10, 0, 0, 0], 8),
    v4([100, 64, 0, 0], 10),
    v4([127, 0, 0, 0], 8),
    v4([169, 254, 0, 0], 16),
    v4([172, 16, 0, 0], 12),
    v4([192, 0, 0, 0], 24),
    v4([192, 0, 2, 0], 24),
    v4([192, 88, 99, 0], 24),
    v4([192, 168, 0, 0], 16),
    v4([198, 18, 0, 0], 15),
    v4([198, 51, 100, 0], 24),
    v4([203, 0, 113, 0], 24),
    v4([224, 0, 0, 0], 4),
    v4([240, 0, 0, 0], 4),
];

/// The network of IPv6 addresses that are public, apart from [`NOT_PUBLIC_V6`]. Loopback, link-local and unique local addresses, multicast and
/// those that translate IPv4 ones are outside.
const PUBLIC_V6: Network = v6([0x2000, 0], 3);
/// Networks within [`PUBLIC_V6`] for tunnels, which lead to any IPv4 address, for protocols and for documentation.
const NOT_PUBLIC_V6: [Network; 4] =
    [v6([0x2001, 0], 23), v6([0x2001, 0x0db8], 32), v6([0x2002, 0], 16), v6([0x3fff, 0], 20)];

const fn v4([a, b, c, d]: [u8; 4], prefix: u32) -> Network {
    Network { address: IpAddr::V4(Ipv4Addr::new(a, b, c, d)), prefix }
}

const fn v6([a, b]: [u16; 2], prefix: u32) -> Network {
    Network { address: IpAddr::V6(Ipv6Addr::new(a, b, 0, 0, 0, 0, 0, 0)), prefix }
}

/// The text is no network.
#[derive(Debug, thiserror::Error)]
#[error("notification.webhooks.{0}: {1:?} is no network in CIDR notation, such as 10.0.0.0/8 or fd00::/8")]
pub(crate) struct InvalidNetwork(&'static str, String);

impl Network {
    fn parse(text: &str) -> Option<Self> {
        let (address, prefix) = text.trim().split_once('/')?;
        let network = Self { address: address.parse().ok()?, prefix: prefix.parse().ok()? };
        (network.prefix <= bits(network.address).0).then_some(network)
    }

    /// Reads the networks of a setting.
    fn parse_all(setting: &'static str, texts: &[String]) -> Result<Vec<Self>, InvalidNetwork> {
        let parse = |text: &String| Self::parse(text).ok_or_else(|| InvalidNetwork(setting, text.clone()));
        texts.iter().map(parse).collect()
    }

    fn contains(&self, address: IpAddr) -> bool {
        let ((size, network), (other_size, address)) = (bits(self.address), bits(address));
        size == other_size && (network ^ address).checked_shr(size - self.prefix).unwrap_or(0) == 0
    }
}

/// The number of bits of an address, and the bits.
fn bits(address: IpAddr) -> (u32, u128) {
    match address {
        IpAddr::V4(address) => (32, u128::from(u32::from(address))),
        IpAddr::V6(address) => (128, u128::from(address)),
    }
}

fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(_) => !NOT_PUBLIC_V4.iter().any(|network| network.contains(address)),
        IpAddr::V6(_) => PUBLIC_V6.contains(address) && !NOT_PUBLIC_V6.iter().any(|network| network.contains(address)),
    }
}

/// The addresses that receivers may have.
#[derive(Clone, Debug)]
pub(crate) struct ReceiverNetworks {
    allowed: Vec<Network>,
    refused: Vec<Network>,
}

impl ReceiverNetworks {
    /// Public addresses, and those in the networks `allowed`, but none in the networks `refused`.
    pub(crate) fn try_new(allowed: &[String], refused: &[String]) -> Result<Self, InvalidNetwork> {
        Ok(Self {
            allowed: Network::parse_all("allowed_networks", allowed)?,
            refused: Network::parse_all("refused_networks", refused)?,
        })
    }

    /// Returns whether a receiver may have this address. An IPv4 address in the form of IPv6 is that IPv4 address.
    pub(crate) fn allow(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        let is_in = |networks: &[Network]| networks.iter().any(|network| network.contains(address));
        !is_in(&self.refused) && (is_public(address) || is_in(&self.allowed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allows(networks: &[&str], address: &str) -> bool {
        allows_without(networks, &[], address)
    }

    fn allows_without(allowed: &[&str], refused: &[&str], address: &str) -> bool {
        let [allowed, refused] = [allowed, refused]
            .map(|networks| networks.iter().map(|network| (*network).to_owned()).collect::<Vec<String>>());
        ReceiverNetworks::try_new(&allowed, &refused).unwrap().allow(address.parse().unwrap())
    }

    #[test]
    fn s4_no_receiver_has_an_address_that_is_not_public() {
        for address in [
            "0.0.0.0",
            "10.1.2.3",
            "100.64.0.1",
            "100.127.255.255",
            "127.0.0.1",
            "127.255.255.254",
            "169.254.169.254",
            "172.16.0.1",
            "172.31.255.255",
            "192.168.1.1",
            "198.19.0.1",
            "224.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "::ffff:127.0.0.1",
            "::ffff:10.0.0.1",
            "::127.0.0.1",
            "64:ff9b::7f00:1",
            "2001:db8::1",
            "2001::1",
            "2002:7f00:1::1",
            "fc00::1",
            "fd12:3456::1",
            "fe80::1",
            "fec0::1",
            "ff02::1",
        ] {
            assert!(!allows(&[], address), "{address}");
        }
        for address in ["1.1.1.1", "100.128.0.1", "172.32.0.1", "192.169.0.1", "8.8.8.8", "2606:4700::1111", "2a00::1"]
        {
            assert!(allows(&[], address), "{address}");
        }
    }

    #[test]
    fn s4_the_settings_allow_networks_and_no_others() {
        assert!(allows(&["127.0.0.0/8"], "127.0.0.1") && allows(&["127.0.0.0/8"], "::ffff:127.0.0.1"));
        assert!(allows(&["fd00::/8"], "fd12::1") && allows(&["::1/128"], "::1") && allows(&["0.0.0.0/0"], "10.0.0.1"));
        assert!(!allows(&["127.0.0.0/8"], "10.0.0.1") && !allows(&["0.0.0.0/0"], "::1"));
        for wrong in ["", "10.0.0.0", "10.0.0.0/33", "::/129", "localhost/8", "10.0.0.0/x", "10.0.0.0/-1"] {
            assert!(ReceiverNetworks::try_new(&[wrong.to_owned()], &[]).is_err(), "{wrong}");
            assert!(ReceiverNetworks::try_new(&[], &[wrong.to_owned()]).is_err(), "{wrong}");
        }
    }

    #[test]
    fn s4_a_refused_network_is_refused_though_it_is_public_or_allowed() {
        assert!(!allows_without(&[], &["8.8.0.0/16"], "8.8.8.8") && allows_without(&[], &["8.8.0.0/16"], "8.9.8.8"));
        assert!(!allows_without(&["10.0.0.0/8"], &["10.1.0.0/16"], "::ffff:10.1.2.3"));
        assert!(allows_without(&["10.0.0.0/8"], &["10.1.0.0/16"], "10.2.0.1"));
    }
}
