//! Jobs as a person lists them, page by page.

use std::collections::HashSet;

use correction_runner::queue::{PageStart, State};

use super::Place;

/// So many that have ended: one in each of these moments.
fn ended(place: &Place, state: &str, moments: impl Iterator<Item = u64>) -> HashSet<String> {
    let ids = moments.enumerate().map(|(number, moment)| {
        let id = format!("{state}-{number}");
        place.ask::<()>("HSET", &id, &["name", "n", "data", "{}", "timestamp", "1"]);
        place.ask::<()>("ZADD", state, &[&moment.to_string(), &id]);
        id
    });
    ids.collect()
}

async fn listed(place: &Place, state: State, mut meanwhile: impl FnMut(&[String])) -> Vec<String> {
    let (mut all, mut from) = (Vec::new(), Some(PageStart::default()));
    while let Some(start) = from {
        let (records, next) = place.queue.records(state, 0, &start).await.expect("Redis");
        let ids: Vec<_> = records.iter().map(|record| record.id.as_str().to_owned()).collect();
        meanwhile(&ids);
        all.extend(ids);
        from = next;
    }
    all
}

#[tokio::test]
async fn none_that_ended_is_left_out_of_the_list_though_others_leave_it_between_two_pages() {
    let place = Place::new("listing");
    // Two of three share their moment.
    let all = ended(&place, "failed", (0..350).map(|number| 1_700_000_000_000 + number * 2 / 3));
    let told = listed(&place, State::Failed, |page| {
        for id in page.iter().take(40).chain(page.last()) {
            place.ask::<()>("ZREM", "failed", &[id]);
        }
    })
    .await;
    assert_eq!(told.len(), 350, "each once");
    assert_eq!(told.into_iter().collect::<HashSet<_>>(), all);
}

#[tokio::test]
async fn more_that_ended_in_one_moment_than_a_page_holds_are_listed_once_each() {
    let place = Place::new("listing-moment");
    for moments in [vec![1_700_000_000_000; 100], vec![1_700_000_000_000; 333]] {
        let (before, after) = (1_600_000_000_000, 1_800_000_000_000);
        let moments = [vec![before; 3], moments, vec![after; 120]].concat();
        let all = ended(&place, "completed", moments.into_iter());
        let told = listed(&place, State::Completed, |_| ()).await;
        assert_eq!(told.len(), all.len());
        assert_eq!(told.into_iter().collect::<HashSet<_>>(), all);
    }
}
