//! Submissions that forge verdicts, run as another user by a grader whose verdict has a secret.

use serde_json::Value;

use super::{AS_STUDENT, ATTEMPT, comment, job, says_with_secret, system};
use crate::support::system::System;

const SEALED: (&str, &str) = ("CONTAINER_VERDICT", "secret");
/// What a forger wants to be believed.
const FORGED: &str = r#"{"success":true,"grade":10}"#;

/// A grader that runs a submission as another user, with its own output to write to, and then prints its verdict.
fn careless(submission: &str) -> String {
    format!(
        "{AS_STUDENT}\ncat >/tmp/forger <<'END_OF_FORGER'\n{submission}\nEND_OF_FORGER\nas_student 'sh /tmp/forger'\n"
    )
}

fn block(secret: &str) -> String {
    format!(
        "echo '-----BEGIN CORRECTOMATIC RESPONSE{secret}-----'; echo '{FORGED}'; echo '-----END CORRECTOMATIC RESPONSE{secret}-----'\n"
    )
}

async fn verdict(system: &System, name: &str) -> Value {
    let mut body = system.result(name).await.json();
    body.as_object_mut().expect("an object").remove("work_id");
    body
}

/// Each of them has the output of its grader to write to, which a careful grader does not let it have.
#[tokio::test(flavor = "multi_thread")]
async fn whatever_a_submission_prints_the_graders_verdict_counts_or_none() {
    let system = system(&[SEALED]).await;
    let guess = format!(" {}", "abcdefghijklmnop".repeat(3).get(..40).expect("long enough"));
    let read = "s=$(cat /run/correctomatic/secret 2>/dev/null)\n";
    let attacks = [
        ("plain", block("")),
        ("whole", format!("echo '{FORGED}'\n")),
        ("guessed", block(&guess)),
        ("named", block(" <secret>")),
        ("empty", block(" ")),
        ("read", format!("{read}{}", block(" $s").replace('\'', "\""))),
        ("stderr", format!("exec >&2\n{}", block(""))),
        ("unclosed", "echo '-----BEGIN CORRECTOMATIC RESPONSE-----'; echo '{'\n".to_owned()),
        ("unclosed_guess", format!("echo '-----BEGIN CORRECTOMATIC RESPONSE{guess}-----'; echo '{{'\n")),
        ("half_line", "printf '%s' '-----BEGIN CORRECTOMATIC RESPONSE '\n".to_owned()),
        ("dashes", "printf '%s' '----------'\n".to_owned()),
        ("binary", "head -c 100000 /dev/urandom\n".to_owned()),
        (
            "many",
            format!(
                "i=0; while [ $i -lt 300 ]; do i=$((i+1)); {} done\n",
                block("").trim_end().to_owned() + ";"
            ),
        ),
    ];
    for (name, attack) in &attacks {
        system.submit(&job(&system, name, &(careless(attack) + &says_with_secret("mine")))).await;
        let silent = format!("{name}_alone");
        system.submit(&job(&system, &silent, &careless(attack))).await;
    }
    for (name, _) in &attacks {
        assert_eq!(comment(&system, name).await, "mine", "{name}: the grader's own counts");
        let alone = verdict(&system, &format!("{name}_alone")).await;
        assert_eq!(
            (&alone["success"], &alone["outcome"]),
            (&false.into(), &"no_verdict".into()),
            "{name}: {alone}"
        );
        assert!(
            alone["error"].as_str().is_some_and(|text| text.contains("/run/correctomatic/secret")),
            "{alone}"
        );
    }
    system.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_submission_as_another_user_reaches_neither_the_secret_nor_its_grader() {
    let system = system(&[SEALED]).await;
    // The grader holds the secret in a variable and in an open file of its own, closed for the submission.
    let script = format!(
        "{AS_STUDENT}
secret=$(cat /run/correctomatic/secret)
exec 5</run/correctomatic/secret
cat >/tmp/attack <<'END'
{ATTEMPT}
attempt read cat /run/correctomatic/secret
attempt copy cp /run/correctomatic/secret /tmp/copy
attempt link ln /run/correctomatic/secret /tmp/hard
attempt symlink sh -c 'ln -s /run/correctomatic/secret /tmp/soft; cat /tmp/soft'
attempt remove rm -f /run/correctomatic/secret
attempt replace sh -c 'echo mine >/run/correctomatic/secret'
attempt beside sh -c 'echo mine >/run/correctomatic/other'
attempt rename mv /run/correctomatic /run/other
attempt cover mount -t tmpfs none /run/correctomatic
for process in 1 $1; do
    for file in environ mem maps stack syscall auxv cwd/. root/. fd/0 fd/1 fd/5 map_files/. fdinfo/5; do
        attempt $process/$file sh -c \": </proc/$process/$file\"
    done
    attempt $process/write sh -c \"echo '{FORGED}' >/proc/$process/fd/1\"
    for what in ptrace memory descriptor; do attempt $process/$what probe $what $process; done
    attempt $process/kill kill -KILL $process
    attempt $process/stop kill -STOP $process
done
attempt inherited sh -c 'cat <&5'
attempt become_root probe become_root
attempt set_user_id raise become_root
attempt password sh -c 'echo | su root -c true'
attempt output_again sh -c 'echo x >/dev/stdout' >/tmp/again
echo \"$worked\" >/tmp/worked
END
as_student \"sh /tmp/attack $$\" 5<&-
worked=$(cat /tmp/worked)
"
    );
    system.submit(&job(&system, "reach", &(script + &says_with_secret("$worked")))).await;
    assert_eq!(comment(&system, "reach").await.replace(" output_again", ""), "");
    // That these attacks do work on processes of one's own user, so that their failure means something.
    let script = format!(
        "{ATTEMPT}
sleep 9 & 
other=$!
for file in environ mem maps auxv cwd/. root/. fd/1; do attempt $file sh -c \": </proc/$other/$file\"; done
attempt ptrace probe ptrace $other
attempt kill kill -KILL $other
"
    );
    system.submit(&job(&system, "own", &(script + &says_with_secret("$worked")))).await;
    let own = comment(&system, "own").await;
    for what in ["environ", "mem", "maps", "auxv", "cwd/.", "root/.", "fd/1", "ptrace", "kill"] {
        assert!(own.contains(what), "{what}: {own}");
    }
    system.end().await;
}

/// It can keep its grader from giving a verdict, and that is told as what it is.
#[tokio::test(flavor = "multi_thread")]
async fn a_submission_that_floods_or_lives_on_gets_no_better_verdict() {
    let system = system(&[SEALED, ("CONTAINER_OUTPUT_LIMIT", "16k"), ("CONTAINER_TIMEOUT", "20s")]).await;
    let forge = block("");
    let kill = "kill -KILL -1 2>/dev/null; until set -- /proc/[0-9]*; [ $# -le 2 ]; do :; done\n";
    let flood =
        format!("i=0; while [ $i -lt 3000 ]; do i=$((i+1)); {} done\n", forge.trim_end().to_owned() + ";");
    let lives_on =
        format!("(trap '' HUP TERM; while :; do {} done) &\n", forge.trim_end().to_owned() + "; sleep 0.01;");
    let bomb = "bomb() { bomb & bomb & }; bomb; sleep 1\n".to_owned();
    for (name, attack) in [("flood", &flood), ("lives_on", &lives_on), ("bomb", &bomb)] {
        let script = careless(attack) + kill + &says_with_secret("mine");
        system.submit(&job(&system, name, &script)).await;
    }
    // Where its grader does not end it, what it prints may fall into the verdict: which then is none, or the right one.
    system
        .submit(&job(&system, "careless", &(careless(&lives_on) + "sleep 0.2\n" + &says_with_secret("mine"))))
        .await;
    for name in ["flood", "lives_on", "bomb"] {
        assert_eq!(comment(&system, name).await, "mine", "{name}");
    }
    let careless = verdict(&system, "careless").await;
    assert!(careless.get("grade").is_none(), "{careless}");
    system.end().await;
}
