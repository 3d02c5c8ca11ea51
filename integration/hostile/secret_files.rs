//! The secret's way into real containers: with a read-only root, under a tmpfs, by hand, and after deaths.

use serde_json::json;

use super::{IMAGE, comment, job, says_with_secret, system};
use crate::support::docker;
use crate::support::system::System;

const SEALED: (&str, &str) = ("CONTAINER_VERDICT", "secret");

/// In test mode a person starts the containers; also those whose starter died before it put the secret there.
#[tokio::test(flavor = "multi_thread")]
async fn a_container_that_a_person_starts_has_its_secret_even_where_its_starter_died() {
    super::build_image().await;
    let mut system = System::prepare().await;
    system.set(&[SEALED, ("DONT_START_CONTAINER", "yes"), ("CRASH_POINTS", "starter-created=kill")]);
    system.spawn("starter");
    system.submit(&job(&system, "by-hand", &says_with_secret("by hand"))).await;
    system.until_ended("starter").await;
    let found = system.containers().await;
    assert_eq!(found.len(), 1, "it was made, and has no secret yet");
    system.set(&[("CRASH_POINTS", "")]);
    system.spawn("all");
    system.until_running("it was handed over", |counts| counts.waiting + counts.active == 1).await;
    docker::command(&["start", found[0].id.as_str()]).await;
    assert_eq!(comment(&system, "by-hand").await, "by hand");
    system.end().await;
}

/// A starter that dies between create, secret and start leaves nothing that could run without its secret.
#[tokio::test(flavor = "multi_thread")]
async fn deaths_around_the_secret_start_each_container_once_and_with_it() {
    super::build_image().await;
    let mut system = System::prepare().await;
    for point in ["starter-created", "starter-sealed", "starter-started"] {
        system.set(&[SEALED, ("CRASH_POINTS", &format!("{point}=kill"))]);
        system.spawn("starter");
        system.submit(&job(&system, point, &says_with_secret("mine"))).await;
        system.until_ended("starter").await;
    }
    system.set(&[("CRASH_POINTS", "")]);
    system.spawn("all");
    for point in ["starter-created", "starter-sealed", "starter-started"] {
        assert_eq!(comment(&system, point).await, "mine", "{point}");
    }
    system.until_clean().await;
    assert_eq!(system.receiver.all().len(), 3);
    system.end().await;
}

/// With the output of the original's profile nothing but the secret differs.
#[tokio::test(flavor = "multi_thread")]
async fn the_originals_profile_takes_a_secret_too_and_its_privileges_stay_as_few() {
    let system = system(&[SEALED, ("CONTAINER_PROFILE", "original")]).await;
    let script = "raised=$(su -s /bin/sh nobody -c 'raise become_root; echo $?')\n".to_owned();
    system.submit(&job(&system, "original", &(script + &says_with_secret("$raised")))).await;
    assert_eq!(comment(&system, "original").await, "1", "no set-user-id program leads to the secret");
    system.end().await;
}

/// What the image itself has at the secret's place, and says in labels of its own, counts for nothing.
#[tokio::test(flavor = "multi_thread")]
async fn what_an_image_has_at_the_secrets_place_or_in_its_labels_counts_for_nothing() {
    let system = system(&[SEALED]).await;
    let known = "abcdefghijklmnop".repeat(3)[..40].to_owned();
    let image = format!("correction-runner-test/labelled:{}", uuid::Uuid::new_v4());
    let commands = format!(
        "set -e; c=$(docker create {IMAGE}); folder=$(mktemp -d); mkdir -p $folder/run/correctomatic
         printf {known} >$folder/run/correctomatic/secret; printf x >$folder/run/correctomatic/more
         tar -C $folder -c run | docker cp - $c:/
         docker commit --change 'LABEL org.correctomatic.secret={known}' \
            --change 'LABEL org.correctomatic.work_id=\"forged\"' $c {image}
         docker rm $c; rm -r $folder"
    );
    let made = std::process::Command::new("sh").args(["-c", &commands]).output().expect("sh runs");
    assert!(made.status.success(), "{made:?}");
    let mut sealed =
        job(&system, "sealed", &("more=$(ls /run/correctomatic)\n".to_owned() + &says_with_secret("$more")));
    sealed["image"] = json!(image);
    let mut forged =
        job(&system, "forged", &says_with_secret("x").replace("$(cat /run/correctomatic/secret)", &known));
    forged["image"] = json!(image);
    system.submit(&sealed).await;
    system.submit(&forged).await;
    assert_eq!(comment(&system, "sealed").await, "secret", "the runner's file, and no other");
    assert_eq!(system.result("forged").await.json()["outcome"], "no_verdict");
    system.until_clean().await;
    docker::command(&["rmi", &image]).await;
    system.end().await;
}
