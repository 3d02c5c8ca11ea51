//! `doctor` where callbacks go by a proxy: whether there is a way to it, what goes by it, and where it ends.

use super::doctor::Found;
use super::{asked, nobody};
use crate::support::connect_proxy::{ConnectProxy, Reply};
use crate::support::redis::RedisServer;

#[tokio::test(flavor = "multi_thread")]
async fn the_way_by_a_proxy_is_followed_and_what_it_refuses_is_told_with_what_to_do() {
    let server = RedisServer::start(&["--appendonly", "yes"]);
    let redis = server.port().to_string();
    let doctor = async |callback: &str, more: &[(&str, &str)]| {
        let environment = [more, &[("REDIS_PORT", redis.as_str())]].concat();
        let found =
            Found::of(&asked(&["doctor", "notifier", "--json", "--callback", callback], &environment).await);
        assert!(!found.text.contains("canary"), "{}", found.text);
        found
    };
    let proxy = ConnectProxy::start(|asked, _| match asked.target.as_str() {
        "10.99.0.9:80" => Reply::Say("HTTP/1.1 403 Forbidden\r\n\r\n"),
        _ => Reply::Connect,
    })
    .await;
    let receiver = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = receiver.local_addr().expect("bound").port();
    let url = format!("http://u:canary@127.0.0.1:{}", proxy.port);
    let set = [("CALLBACK_PROXY", url.as_str()), ("CALLBACK_NO_PROXY", "lms.school")];

    let found = doctor(&format!("http://10.99.0.1:{port}/"), &set).await;
    assert_eq!(
        (found.code, found.verdict("proxy"), found.verdict("callback")),
        (Some(0), "ok", "ok"),
        "{}",
        found.text
    );
    for told in [
        format!("http://10.99.0.1:{port} takes connections at 10.99.0.1 by the proxy {}", proxy.url()),
        format!("callbacks go by the proxy {}, which takes connections, but not to lms.school", proxy.url()),
    ] {
        assert!(found.text.contains(&told), "{told}: {}", found.text);
    }
    assert_eq!(proxy.targets(), [format!("10.99.0.1:{port}")]);

    doctor("http://10.99.0.9/", &set).await.fails("callback", "403 Forbidden", "CALLBACK_NO_PROXY");
    doctor("http://169.254.169.254/", &set).await.fails(
        "callback",
        "which no callback may reach",
        "never reached",
    );
    doctor("http://no-such-host.invalid/", &set).await.fails(
        "callback",
        "cannot be found",
        "no proxy is asked for names",
    );
    let direct = doctor(&format!("http://127.0.0.1:{port}/"), &set).await;
    assert_eq!(direct.verdict("callback"), "ok", "{}", direct.text);
    assert!(!direct.text.contains("127.0.0.1 by the proxy"), "{}", direct.text);
    assert_eq!(proxy.targets().len(), 2);

    let gone = format!("http://u:canary@127.0.0.1:{}", nobody());
    let found = doctor("http://10.99.0.1/", &[("CALLBACK_PROXY", &gone)]).await;
    found.fails("proxy", "cannot be reached", "CALLBACK_PROXY");
    found.fails("callback", "cannot be reached", "CALLBACK_PROXY");
    let some = doctor("http://127.0.0.1/", &[("CALLBACK_PROXY", "environment"), ("https_proxy", &url)]).await;
    assert!(some.text.contains("callbacks by https go by the proxy"), "{}", some.text);
    assert!(some.text.contains("callbacks by plain http go directly"), "{}", some.text);
    let wrong = doctor("http://127.0.0.1/", &[("CALLBACK_PROXY", "socks5://u:canary@h:1")]).await;
    wrong.fails(
        "value",
        "CALLBACK_PROXY (environment variable CALLBACK_PROXY): it must begin with http://",
        "64",
    );
}
