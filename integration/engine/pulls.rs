//! Pulls from a real private registry.

use std::collections::HashMap;
use std::time::Duration;

use correction_runner::config::{DockerSettings, Endpoint, RegistryLogin};
use correction_runner::docker::{Engine, EngineError};

use super::{login, settings};
use crate::support::docker;
use crate::support::proxy::{ENGINE_SOCKET, Mode};
use crate::support::registry::{PASSWORD, Registry, USER};

fn engine_with(credentials: &[(&str, RegistryLogin)]) -> Engine {
    let credentials: HashMap<_, _> =
        credentials.iter().map(|(domain, login)| ((*domain).to_owned(), login.clone())).collect();
    let settings = settings(Endpoint::Unix(ENGINE_SOCKET.into()));
    Engine::new(&DockerSettings { credentials, ..settings }).unwrap()
}

async fn is_there(image: &str) -> bool {
    docker::command(&["image", "ls", "-q", image]).await.lines().count() == 1
}

#[tokio::test(flavor = "multi_thread")]
async fn the_right_credentials_pull_and_others_are_told_what_to_do() {
    let registry = Registry::start().await;
    let (domain, image) = (registry.domain(), registry.image());

    let right = engine_with(&[(domain.as_str(), login(USER, PASSWORD))]);
    right.pull(&image).await.unwrap();
    assert!(is_there(&image).await);
    right.pull(&image).await.expect("what is there already can be pulled again");
    registry.forget().await;

    let wrong = engine_with(&[(domain.as_str(), login(USER, "secret-1234"))]);
    let missing = engine_with(&[]);
    let of_others = engine_with(&[("127.0.0.1", login(USER, PASSWORD)), ("", login(USER, PASSWORD))]);
    for (engine, hint) in [(wrong, "are wrong"), (missing, "has no"), (of_others, "has no")] {
        let denied = engine.pull(&image).await.unwrap_err();
        assert!(matches!(denied, EngineError::PullDenied { .. }) && !denied.may_heal(), "{denied:?}");
        let told = denied.to_string();
        assert!(told.contains(hint) && told.contains(&domain), "{told}");
        assert!(!told.contains("secret") && !told.contains(PASSWORD), "{told}");
    }
    assert!(!is_there(&image).await);

    for absent in [format!("{domain}/private/grader:2"), format!("{domain}/private/nothing:1")] {
        let missing = right.pull(&absent).await.unwrap_err();
        assert!(matches!(missing, EngineError::NoSuchImage { .. }) && !missing.may_heal(), "{missing:?}");
        assert!(missing.to_string().contains(&absent), "{missing}");
    }
    let refused = right.pull(&format!("{domain}/Not A Reference")).await.unwrap_err();
    assert!(!refused.may_heal(), "{refused:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn twenty_that_wait_for_an_image_share_one_pull_even_if_the_first_gives_up() {
    let registry = Registry::start().await;
    let engine = engine_with(&[(registry.domain().as_str(), login(USER, PASSWORD))]);
    let image = registry.image();
    let before = registry.asked();
    engine.pull(&image).await.unwrap();
    let one_pull = registry.asked() - before;
    assert!(one_pull > 0);
    registry.forget().await;

    registry.proxy.set(Mode::Silent);
    let (before, connections) = (registry.asked(), registry.proxy.connections());
    let first = tokio::spawn({
        let (engine, image) = (engine.clone(), image.clone());
        async move { engine.pull(&image).await }
    });
    while registry.proxy.connections() == connections {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let mut waiting = futures::future::join_all((0..20).map(|_| engine.pull(&image)));
    assert!(futures::poll!(&mut waiting).is_pending(), "all of them wait");
    first.abort();
    assert!(first.await.unwrap_err().is_cancelled());
    registry.proxy.set(Mode::Open);
    for pulled in waiting.await {
        pulled.unwrap();
    }
    // The engine may save a question that it asked the first time; twenty pulls would ask far more.
    let shared = registry.asked() - before;
    assert!((1..=one_pull).contains(&shared), "{shared} questions; one pull asks {one_pull}");
    assert!(is_there(&image).await);

    registry.forget().await;
    engine.pull(&image).await.unwrap();
    assert!(registry.asked() - before > shared, "a later job pulls anew");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_registry_that_is_away_or_silent_may_heal() {
    let registry = Registry::start().await;
    let credentials = HashMap::from([(registry.domain(), login(USER, PASSWORD))]);
    let patient = DockerSettings { credentials, ..settings(Endpoint::Unix(ENGINE_SOCKET.into())) };
    let hasty = DockerSettings { pull_timeout: Duration::from_secs(2), ..patient.clone() };
    let engines = [&patient, &hasty].map(|settings| Engine::new(settings).unwrap());
    let ([patient, engine], image) = (engines, registry.image());
    registry.proxy.set(Mode::Cut);
    let away = engine.pull(&image).await.unwrap_err();
    assert!(matches!(away, EngineError::PullFailed { .. }) && away.may_heal(), "{away:?}");
    registry.proxy.set(Mode::Silent);
    let silent = engine.pull(&image).await.unwrap_err();
    assert!(matches!(silent, EngineError::PullFailed { .. }) && silent.may_heal(), "{silent:?}");
    assert!(silent.to_string().contains("2000 ms") && !silent.is_away(), "{silent}");
    registry.proxy.set(Mode::Open);
    // On a busy machine a real pull takes longer than the two seconds.
    patient.pull(&image).await.expect("it is there again");
}
