//! What an address is of: the public internet, a network of one's own, or nothing that a callback may ever reach.
//!
//! The tables follow IANA's registries of special-purpose addresses
//! (<https://www.iana.org/assignments/iana-ipv4-special-registry>, `…/iana-ipv6-special-registry`) and what clouds
//! document of their metadata services.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// What an address is of; the text says what, for a sentence that begins "it is".
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// Anybody's, on the internet.
    Public,
    /// A network of one's own, or this machine.
    Private(&'static str),
    /// Nothing that a callback may ever reach, whatever the settings.
    Never(&'static str),
}

use Reach::{Never, Private, Public};

const METADATA: &str = "a cloud's metadata service";
const RESERVED: &str = "reserved";
const DOCUMENTATION: &str = "reserved for documentation";
const LOOPBACK: &str = "a loopback address";
const OWN_NETWORK: &str = "a private address";

/// The first that an address is in counts; none is public.
const V4: &[(Ipv4Addr, u32, Reach)] = &[
    (Ipv4Addr::new(100, 100, 100, 200), 32, Never(METADATA)),
    (Ipv4Addr::new(168, 63, 129, 16), 32, Never(METADATA)),
    (Ipv4Addr::new(192, 0, 0, 192), 32, Never(METADATA)),
    (
        Ipv4Addr::new(169, 254, 0, 0),
        16,
        Never("a link-local address, where clouds have their metadata services"),
    ),
    (Ipv4Addr::new(127, 0, 0, 0), 8, Private(LOOPBACK)),
    (Ipv4Addr::new(10, 0, 0, 0), 8, Private(OWN_NETWORK)),
    (Ipv4Addr::new(172, 16, 0, 0), 12, Private(OWN_NETWORK)),
    (Ipv4Addr::new(192, 168, 0, 0), 16, Private(OWN_NETWORK)),
    (Ipv4Addr::new(100, 64, 0, 0), 10, Private("an address of a provider's shared network")),
    (Ipv4Addr::new(198, 18, 0, 0), 15, Private("an address of networks that are measured")),
    (Ipv4Addr::UNSPECIFIED, 32, Never("the unspecified address, which is this machine")),
    (Ipv4Addr::UNSPECIFIED, 8, Never(RESERVED)),
    (Ipv4Addr::new(192, 0, 0, 0), 24, Never(RESERVED)),
    (Ipv4Addr::new(192, 0, 2, 0), 24, Never(DOCUMENTATION)),
    (Ipv4Addr::new(198, 51, 100, 0), 24, Never(DOCUMENTATION)),
    (Ipv4Addr::new(203, 0, 113, 0), 24, Never(DOCUMENTATION)),
    (Ipv4Addr::new(192, 88, 99, 0), 24, Never("a 6to4 relay")),
    (Ipv4Addr::new(224, 0, 0, 0), 4, Never("a multicast address")),
    (Ipv4Addr::BROADCAST, 32, Never("the broadcast address")),
    (Ipv4Addr::new(240, 0, 0, 0), 4, Never(RESERVED)),
];

const fn v6(head: [u16; 4], tail: [u16; 4]) -> Ipv6Addr {
    Ipv6Addr::new(head[0], head[1], head[2], head[3], tail[0], tail[1], tail[2], tail[3])
}

const fn prefix(first: u16, second: u16) -> Ipv6Addr {
    v6([first, second, 0, 0], [0; 4])
}

/// The first that an address is in counts; none is reserved. What stands for an IPv4 address and may be
/// reached by it is not looked up here.
const V6: &[(Ipv6Addr, u32, Reach)] = &[
    (prefix(0xfd00, 0xec2), 32, Never(METADATA)),
    (v6([0xfd20, 0xce, 0, 0], [0, 0, 0, 0x254]), 128, Never(METADATA)),
    (v6([0xfd00, 0xc1, 0, 0], [0, 0, 0xa9fe, 0xa9fe]), 128, Never(METADATA)),
    (v6([0xfd00, 0x42, 0, 0], [0, 0, 0, 0x42]), 128, Never(METADATA)),
    (v6([0xfd00, 0xa9fe, 0xa9fe, 0], [0, 0, 0, 1]), 128, Never(METADATA)),
    (v6([0xfd00, 0x100, 0, 0], [0, 0, 0x100, 0x200]), 128, Never(METADATA)),
    (Ipv6Addr::LOCALHOST, 128, Private(LOOPBACK)),
    (Ipv6Addr::UNSPECIFIED, 128, Never("the unspecified address, which is this machine")),
    (prefix(0x64, 0xff9b), 32, Never("an address of a local translation to IPv4")),
    (Ipv6Addr::UNSPECIFIED, 8, Never("an IPv4 address in disguise, or reserved")),
    (prefix(0x2001, 0), 32, Never("a Teredo address, which holds another one")),
    (prefix(0x2001, 0), 23, Never(RESERVED)),
    (prefix(0x2001, 0xdb8), 32, Never(DOCUMENTATION)),
    (prefix(0x2002, 0), 16, Never("a 6to4 address, which holds another one")),
    (prefix(0x3fff, 0), 20, Never(DOCUMENTATION)),
    (prefix(0x2000, 0), 3, Public),
    (prefix(0xfc00, 0), 7, Private(OWN_NETWORK)),
    (prefix(0xfe80, 0), 10, Never("a link-local address")),
    (prefix(0xfec0, 0), 10, Never("a site-local address, which no longer are in use")),
    (prefix(0xff00, 0), 8, Never("a multicast address")),
];

/// What an address is of.
#[must_use]
pub fn reach(address: IpAddr) -> Reach {
    match meant(address) {
        IpAddr::V4(v4) => {
            let found = V4.iter().find(|(base, bits, _)| shares(&base.octets(), &v4.octets(), *bits));
            found.map_or(Public, |(_, _, reach)| *reach)
        }
        IpAddr::V6(v6) if is_isatap(v6) => Never("an ISATAP address, which holds another one"),
        IpAddr::V6(v6) => {
            let found = V6.iter().find(|(base, bits, _)| shares(&base.octets(), &v6.octets(), *bits));
            found.map_or(Never(RESERVED), |(_, _, reach)| *reach)
        }
    }
}

/// The address that is reached in the end: the IPv4 one within an IPv4-mapped one (the kernel unwraps it) and within
/// one of the well-known prefix for translation (RFC 6052; the network unwraps it), else the address itself.
#[must_use]
pub fn meant(address: IpAddr) -> IpAddr {
    let IpAddr::V6(v6) = address else { return address };
    if let Some(mapped) = v6.to_ipv4_mapped() {
        return mapped.into();
    }
    match v6.segments() {
        [0x64, 0xff9b, 0, 0, 0, 0, high, low] => {
            let [[a, b], [c, d]] = [high.to_be_bytes(), low.to_be_bytes()];
            Ipv4Addr::new(a, b, c, d).into()
        }
        _ => address,
    }
}

/// Whether the interface's part of an address holds an IPv4 address (RFC 5214, section 6.1).
fn is_isatap(address: Ipv6Addr) -> bool {
    matches!(address.segments(), [.., 0 | 0x200, 0x5efe, _, _])
}

/// Whether two addresses of one family agree in their first bits.
pub(super) fn shares(one: &[u8], other: &[u8], bits: u32) -> bool {
    one.len() == other.len()
        && one.iter().zip(other).zip(0_u32..).all(|((one, other), place)| {
            let left = bits.saturating_sub(place * 8).min(8);
            (one ^ other).leading_zeros() >= left
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> Reach {
        reach(text.parse().expect(text))
    }

    #[test]
    fn nobody_may_ever_reach_what_belongs_to_the_machine_its_link_or_its_cloud() {
        for text in [
            "0.0.0.0",
            "0.1.2.3",
            "169.254.169.254",
            "169.254.170.2",
            "169.254.0.1",
            "100.100.100.200",
            "168.63.129.16",
            "192.0.0.192",
            "192.0.0.9",
            "192.0.2.1",
            "198.51.100.7",
            "203.0.113.9",
            "192.88.99.1",
            "224.0.0.1",
            "239.255.255.255",
            "240.0.0.1",
            "255.255.255.255",
            "::",
            "::7f00:1",
            "::127.0.0.1",
            "::a9fe:a9fe",
            "::2",
            "::ffff:0:7f00:1",
            "::ffff:169.254.169.254",
            "64:ff9b::a9fe:a9fe",
            "64:ff9b::",
            "64:ff9b:1::7f00:1",
            "64:ff9b:1:ffff::1",
            "100::1",
            "2001::1",
            "2001:0:4136:e378:8000:63bf:3fff:fdd2",
            "2001:2::1",
            "2001:10::1",
            "2001:db8::1",
            "2002:7f00:1::",
            "2002:a9fe:a9fe::1",
            "3fff::1",
            "4000::1",
            "5f00::1",
            "fd00:ec2::254",
            "fd00:ec2::23",
            "fd20:ce::254",
            "fd00:c1::a9fe:a9fe",
            "fd00:42::42",
            "fd00:a9fe:a9fe::1",
            "fd00:100::100:200",
            "fe80::1",
            "febf::1",
            "fec0::1",
            "ff02::1",
            "ffff::",
            "2a00:1450::5efe:7f00:1",
            "fd12::200:5efe:10.0.0.1",
        ] {
            assert!(matches!(of(text), Never(_)), "{text} is {:?}", of(text));
        }
    }

    #[test]
    fn ones_own_networks_are_private_in_whatever_form_they_are_written() {
        for text in [
            "127.0.0.1",
            "127.255.255.254",
            "10.0.0.1",
            "172.16.0.1",
            "172.31.255.255",
            "192.168.1.1",
            "100.64.0.1",
            "198.18.0.1",
            "::1",
            "::ffff:127.0.0.1",
            "::ffff:10.1.2.3",
            "64:ff9b::192.168.0.1",
            "fc00::1",
            "fd12:3456::1",
        ] {
            assert!(matches!(of(text), Private(_)), "{text} is {:?}", of(text));
        }
    }

    #[test]
    fn the_rest_is_the_internet_up_to_the_last_address_of_it() {
        for text in [
            "1.1.1.1",
            "9.255.255.255",
            "11.0.0.0",
            "172.15.255.255",
            "172.32.0.0",
            "100.63.255.255",
            "100.128.0.0",
            "169.253.255.255",
            "169.255.0.0",
            "192.0.1.0",
            "198.17.255.255",
            "198.20.0.0",
            "223.255.255.255",
            "::ffff:8.8.8.8",
            "64:ff9b::808:808",
            "2001:200::1",
            "2001:4860:4860::8888",
            "2003::1",
            "2a00:1450:4001::1",
            "3ffe::1",
        ] {
            assert_eq!(of(text), Public, "{text}");
        }
    }

    #[test]
    fn bits_are_counted_exactly() {
        assert!(shares(&[0b1010_0000], &[0b1011_1111], 3) && !shares(&[0b1010_0000], &[0b1011_1111], 4));
        assert!(shares(&[1, 2], &[9, 9], 0) && shares(&[1, 2], &[1, 3], 15) && !shares(&[1, 2], &[1, 3], 16));
        assert!(!shares(&[1], &[1, 2], 0), "of two families");
    }
}
