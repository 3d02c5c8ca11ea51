//! The Lua scripts, each joined from the fragments that it shares with others.

use std::sync::LazyLock;

use deadpool_redis::redis::Script;

macro_rules! scripts {
    ($($name:ident = $($part:literal)+;)+) => {
        $(
            pub(super) static $name: LazyLock<Script> =
                LazyLock::new(|| Script::new(concat!($(include_str!(concat!("scripts/", $part)), "\n"),+)));
        )+
    };
}

scripts! {
    ADD = "shared/queue.lua" "add.lua";
    HAND_OVER = "shared/queue.lua" "shared/permits.lua" "shared/marks.lua" "shared/ending.lua" "hand_over.lua";
    CANCEL = "shared/queue.lua" "shared/permits.lua" "shared/marks.lua" "shared/ending.lua" "cancel.lua";
    MARK = "shared/queue.lua" "shared/marks.lua" "mark.lua";
    WITHDRAW = "shared/queue.lua" "shared/permits.lua" "shared/marks.lua" "shared/ending.lua" "withdraw.lua";
    MARKED = "shared/queue.lua" "shared/marks.lua" "marked.lua";
    COMPLETE = "shared/queue.lua" "shared/permits.lua" "shared/marks.lua" "shared/ending.lua" "complete.lua";
    FAIL = "shared/queue.lua" "shared/permits.lua" "shared/marks.lua" "shared/ending.lua" "shared/trace.lua" "fail.lua";
    RETRY = "shared/queue.lua" "shared/permits.lua" "shared/marks.lua" "shared/ending.lua" "shared/trace.lua" "retry.lua";
    PUT_BACK = "shared/queue.lua" "shared/permits.lua" "shared/marks.lua" "shared/ending.lua" "put_back.lua";
    CALL_FORTH = "shared/queue.lua" "call_forth.lua";
    ASIDE = "shared/queue.lua" "shared/permits.lua" "shared/marks.lua" "shared/ending.lua" "aside.lua";
    ADMIT = "shared/queue.lua" "shared/permits.lua" "shared/marks.lua" "shared/ending.lua" "admit.lua";
    CALL_BACK = "shared/queue.lua" "shared/permits.lua" "call_back.lua";
    RECONCILE = "shared/queue.lua" "shared/permits.lua" "reconcile.lua";
    LOG = "shared/queue.lua" "log.lua";
    TAKE = "shared/queue.lua" "shared/permits.lua" "take.lua";
    HELD = "shared/queue.lua" "held.lua";
    RENEW = "shared/queue.lua" "renew.lua";
    RECOVER = "shared/queue.lua" "shared/permits.lua" "recover.lua";
    HAND_BACK = "shared/queue.lua" "shared/permits.lua" "hand_back.lua";
    REVIVE = "shared/queue.lua" "revive.lua";
    COUNTS = "shared/queue.lua" "counts.lua";
    RIGHTS = "rights.lua";
    SURVEY = "shared/queue.lua" "shared/oldest.lua" "survey.lua";
    OLDEST = "shared/queue.lua" "shared/oldest.lua" "oldest.lua";
    RUNNING = "shared/queue.lua" "running.lua";
    WAKE = "shared/queue.lua" "shared/permits.lua" "wake.lua";
    RECORDS = "shared/queue.lua" "records.lua";
    RECORD = "shared/queue.lua" "record.lua";
    REDELIVER = "shared/queue.lua" "shared/marks.lua" "redeliver.lua";
    ASTRAY = "shared/queue.lua" "astray.lua";
    STANDING = "shared/queue.lua" "shared/standing.lua" "standing.lua";
    FINISH_ORPHAN = "shared/queue.lua" "shared/standing.lua" "finish_orphan.lua";
}
