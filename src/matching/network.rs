//! A client's network: an address, addresses that share their first bits, or this machine's sockets.

use core::net::IpAddr;
use serde::{Deserialize, Serialize};
use std::fmt;

/// See the module's text. Written as `10.0.0.0/8`, `10.1.2.3`, `2001:db8::/32` or `local`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Network {
    /// Unix sockets.
    Local,
    /// Addresses whose first bits are these.
    Ip {
        /// One of them.
        address: IpAddr,
        /// How many bits.
        bits: u8,
    },
}

impl Network {
    /// Reads it.
    ///
    /// # Errors
    /// What was expected.
    pub fn parse(text: &str) -> Result<Self, String> {
        if text == "local" {
            return Ok(Self::Local);
        }
        let wrong = || {
            format!(
                "expected an address, a network such as 10.0.0.0/8, or local for Unix sockets, got {text:?}"
            )
        };
        let (address, bits) = match text.split_once('/') {
            Some((address, bits)) => (address, Some(bits)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().ok().ok_or_else(wrong)?;
        let most = if address.is_ipv4() { 32 } else { 128 };
        let bits = match bits {
            None => most,
            Some(bits) => bits.parse().ok().filter(|bits| *bits <= most).ok_or_else(wrong)?,
        };
        Ok(Self::Ip { address, bits })
    }

    /// Whether a client that comes from there is meant; none is a Unix socket.
    pub fn holds(&self, client: Option<IpAddr>) -> bool {
        match (self, client.map(|ip| ip.to_canonical())) {
            (Self::Local, client) => client.is_none(),
            (Self::Ip { address: IpAddr::V4(net), bits }, Some(IpAddr::V4(ip))) => {
                let differs = net.to_bits() ^ ip.to_bits();
                differs.leading_zeros() >= u32::from(*bits)
            }
            (Self::Ip { address: IpAddr::V6(net), bits }, Some(IpAddr::V6(ip))) => {
                let differs = net.to_bits() ^ ip.to_bits();
                differs.leading_zeros() >= u32::from(*bits)
            }
            (Self::Ip { .. }, _) => false,
        }
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Local => f.write_str("local"),
            Self::Ip { address, bits } => write!(f, "{address}/{bits}"),
        }
    }
}

impl TryFrom<String> for Network {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        Self::parse(&text)
    }
}

impl From<Network> for String {
    fn from(network: Network) -> Self {
        network.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_holds_what_shares_its_bits() {
        for (network, client, holds) in [
            ("10.0.0.0/8", Some("10.200.3.4"), true),
            ("10.0.0.0/8", Some("11.0.0.1"), false),
            ("10.0.0.0/8", Some("::ffff:10.1.1.1"), true),
            ("10.1.2.3", Some("10.1.2.3"), true),
            ("10.1.2.3", Some("10.1.2.4"), false),
            ("0.0.0.0/0", Some("1.2.3.4"), true),
            ("0.0.0.0/0", Some("::1"), false),
            ("2001:db8::/32", Some("2001:db8:1::9"), true),
            ("::/0", Some("::1"), true),
            ("local", None, true),
            ("local", Some("127.0.0.1"), false),
            ("127.0.0.0/8", None, false),
        ] {
            let client = client.map(|text| text.parse().unwrap());
            assert_eq!(Network::parse(network).unwrap().holds(client), holds, "{network} {client:?}");
        }
        for wrong in ["", "10.0.0.0/33", "10.0.0/8", "::/129", "host"] {
            assert!(Network::parse(wrong).unwrap_err().contains("10.0.0.0/8"), "{wrong}");
        }
    }
}
