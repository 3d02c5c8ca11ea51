//! The order of the rules, and what each says.

use super::*;

const LOCAL: &str = "127.0.0.1";

fn egress(openness: Openness, allow: &str, deny: &str) -> Egress {
    let rules = |text| parse_all(text).expect("rules");
    Egress { openness, allow: rules(allow), deny: rules(deny), ..Egress::default() }
}

/// Whether a host with one address may be reached.
fn goes(egress: &Egress, host: &str, address: &str, port: u16) -> Result<(), String> {
    let address = address.parse().expect(address);
    let checked = egress.check_host(false, host, port);
    checked.and_then(|()| egress.check_address(host, address, port)).map_err(|refusal| refusal.to_string())
}

#[test]
fn by_default_private_networks_and_the_internet_are_reached() {
    let open = Egress::default();
    for address in [LOCAL, "10.1.2.3", "fd00::1", "8.8.8.8"] {
        assert_eq!(goes(&open, "h", address, 8080), Ok(()), "{address}");
    }
    let public = egress(Openness::Public, "", "");
    assert_eq!(goes(&public, "h", "8.8.8.8", 80), Ok(()));
    let refusal = goes(&public, "h", "10.1.2.3", 80).expect_err("it is private");
    assert!(
        refusal.contains("10.1.2.3 (of h) is a private address, which CALLBACK_POLICY=public"),
        "{refusal}"
    );
    let listed = egress(Openness::Listed, "8.8.8.8", "");
    assert_eq!(goes(&listed, "h", "8.8.8.8", 80), Ok(()));
    assert!(goes(&listed, "h", "8.8.4.4", 80).is_err_and(|text| text.contains("not in CALLBACK_ALLOW")));
}

#[test]
fn what_is_allowed_lifts_the_policy_but_neither_a_denial_nor_what_is_never_reached() {
    let rules = egress(
        Openness::Public,
        "lms.school, 10.0.0.0/8:8443, 169.254.0.0/16, *:6379",
        "10.9.0.0/16, bad.school",
    );
    assert_eq!(goes(&rules, "lms.school", "192.168.0.9", 80), Ok(()));
    assert_eq!(goes(&rules, "LMS.school.", "192.168.0.9", 80), Ok(()));
    assert_eq!(goes(&rules, "h", "10.1.1.1", 8443), Ok(()));
    assert!(goes(&rules, "h", "10.1.1.1", 80).is_err());
    assert!(
        goes(&rules, "h", "10.9.1.1", 8443).is_err_and(|text| text.contains("CALLBACK_DENY (10.9.0.0/16)"))
    );
    assert!(goes(&rules, "bad.school", "8.8.8.8", 80).is_err_and(|text| text.contains("(bad.school)")));
    let never = goes(&rules, "lms.school", "169.254.169.254", 80).expect_err("never");
    assert!(never.contains("169.254.169.254 (of lms.school) is a link-local address"), "{never}");
    assert!(
        goes(&rules, "h", LOCAL, 6379)
            .is_err_and(|text| text.contains("port 6379 of 127.0.0.1 (of h) is Redis's"))
    );
}

#[test]
fn ports_of_redis_and_docker_are_refused_within_ones_own_networks() {
    for port in [6379, 2375, 2376] {
        assert!(goes(&Egress::default(), "h", "10.0.0.5", port).is_err(), "{port}");
        assert!(goes(&Egress::default(), "h", "::ffff:127.0.0.1", port).is_err(), "{port}");
        assert_eq!(goes(&Egress::default(), "h", "8.8.8.8", port), Ok(()), "{port}");
    }
    assert!(goes(&Egress::default(), "h", "8.8.8.8", 0).is_err());
}

#[test]
fn names_of_metadata_services_are_refused_whatever_they_resolve_to() {
    for host in ["metadata.google.internal", "Metadata.Google.Internal.", "instance-data", "metadata"] {
        assert!(goes(&egress(Openness::Private, "*", ""), host, "8.8.8.8", 80).is_err(), "{host}");
    }
    assert_eq!(goes(&Egress::default(), "metadata.example.org", "8.8.8.8", 80), Ok(()));
}

#[test]
fn plain_http_is_refused_on_request() {
    let strict = Egress { https_only: true, ..Egress::default() };
    assert_eq!(strict.check_host(false, "h", 80), Err(Refusal::NotHttps));
    assert_eq!(strict.check_host(true, "h", 443), Ok(()));
}

#[test]
fn an_address_that_is_the_host_itself_is_named_once() {
    let text = goes(&egress(Openness::Public, "", ""), LOCAL, LOCAL, 80).expect_err("private");
    assert!(text.starts_with("127.0.0.1 is a loopback address"), "{text}");
    let text = goes(&Egress::default(), "[fe80::1]", "fe80::1", 80).expect_err("link-local");
    assert!(text.starts_with("fe80::1 is a link-local address"), "{text}");
}
