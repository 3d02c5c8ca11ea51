//! `deliveries redeliver`: puts deliveries back in line, to the same receiver or to another one.

use std::io::Write;

use jiff::Timestamp;
use serde_json::json;
use url::Url;

use super::list::matching;
use super::view::View;
use super::{Answer, DeliveriesError, Place, as_json, in_words};
use crate::callback::shown;
use crate::config::Redeliver;
use crate::fields::{Fields, raw};
use crate::identity::JobId;
use crate::queue::{PutBack, State};
use crate::tools::terminal::{Terminal, printable};

/// How often a job is read anew whose data somebody else changes meanwhile.
const TRIES: usize = 3;

/// Where to.
enum To {
    Same,
    Url(Url),
    Origin(Url),
}

/// What became of one delivery.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    /// It is in line again (or would be).
    InLine,
    /// It was in line already.
    WasInLine,
    /// It was delivered since it was listed as a dead letter.
    Delivered,
    /// A notifier is delivering it right now.
    AtWork,
    /// There is no such delivery.
    Unknown,
    /// Its data cannot be changed, since it cannot be read; or others change it all the time.
    Unchangeable,
}

impl Fate {
    fn in_words(self) -> &'static str {
        match self {
            Self::InLine => "redelivered",
            Self::WasInLine => "in line already",
            Self::Delivered => "delivered already: left alone",
            Self::AtWork => "being delivered right now: left alone",
            Self::Unknown => "unknown: there is no such job in finished_corrections",
            Self::Unchangeable => "left alone: its callback cannot be exchanged",
        }
    }

    fn for_programs(self) -> &'static str {
        match self {
            Self::InLine => "redelivered",
            Self::WasInLine => "waiting",
            Self::Delivered => "delivered",
            Self::AtWork => "active",
            Self::Unknown => "unknown",
            Self::Unchangeable => "unchangeable",
        }
    }
}

pub(super) async fn redeliver(
    place: &Place,
    order: &Redeliver,
    out: &mut Terminal<'_>,
) -> Result<Answer, DeliveriesError> {
    let to = destination(order)?;
    let mut fates = Vec::new();
    for id in meant(place, order).await? {
        let fate = match put_back(place, &id, &to, order).await {
            Ok(fate) => fate,
            Err(error) => {
                writeln!(
                    out,
                    "{} of the deliveries were dealt with before this one: {}",
                    fates.len(),
                    printable(id.as_str())
                )?;
                return Err(error);
            }
        };
        if !order.json {
            let would = if order.dry_run && fate == Fate::InLine { "would be " } else { "" };
            writeln!(out, "{}  {would}{}", printable(id.as_str()), fate.in_words())?;
        }
        fates.push((id, fate));
    }
    let counts = place.queue.counts().await?;
    if order.json {
        let all: Vec<_> = fates
            .iter()
            .map(|(id, fate)| json!({ "id": id.as_str(), "result": fate.for_programs() }))
            .collect();
        let answer = json!({ "deliveries": all, "dry_run": order.dry_run, "counts": as_json(&counts) });
        out.document(&answer)?;
    } else {
        let done = fates.iter().filter(|(_, fate)| *fate == Fate::InLine).count();
        let verb = if order.dry_run { "would be redelivered" } else { "redelivered" };
        writeln!(out, "{done} {verb}; now: {}", in_words(&counts))?;
    }
    let well = fates.iter().all(|(_, fate)| matches!(fate, Fate::InLine | Fate::WasInLine | Fate::Delivered));
    Ok(if well { Answer::Yes } else { Answer::No })
}

/// The ids that are meant, each once; of all dead letters the oldest first, as they were given up.
async fn meant(place: &Place, order: &Redeliver) -> Result<Vec<JobId>, DeliveriesError> {
    let mut ids: Vec<JobId> = if order.all {
        let (views, _) = matching(place, State::Failed, &order.selection, usize::MAX).await?;
        views.into_iter().rev().map(|view| view.record.id).collect()
    } else {
        if order.selection.since.is_some() || order.selection.receiver.is_some() {
            let why = "--since and --receiver choose among --all, not among ids";
            return Err(DeliveriesError::Senseless(why.into()));
        }
        if order.ids.is_empty() {
            let why = "name the deliveries by their ids (deliveries list), or give --all";
            return Err(DeliveriesError::Senseless(why.into()));
        }
        order.ids.iter().map(JobId::new).collect()
    };
    let mut seen = std::collections::HashSet::new();
    ids.retain(|id| seen.insert(id.clone()));
    Ok(ids)
}

fn destination(order: &Redeliver) -> Result<To, DeliveriesError> {
    let senseless = |why: String| DeliveriesError::Senseless(why);
    let url = |flag: &str, text: &str| {
        let url = Url::parse(text).ok();
        let url = url.filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host());
        url.ok_or_else(|| senseless(format!("{flag} is not an http or https URL: {}", shown(text))))
    };
    if let Some(text) = &order.to {
        return url("--to", text).map(To::Url);
    }
    let Some(text) = &order.to_origin else { return Ok(To::Same) };
    let origin = url("--to-origin", text)?;
    if origin.path() != "/" || origin.query().is_some() || origin.fragment().is_some() {
        let why = "--to-origin takes scheme, host and port only; --to takes a whole URL".to_owned();
        return Err(senseless(why));
    }
    Ok(To::Origin(origin))
}

async fn put_back(place: &Place, id: &JobId, to: &To, order: &Redeliver) -> Result<Fate, DeliveriesError> {
    // All that are meant are dead letters; what is none any more was dealt with meanwhile.
    let only = order.all.then_some(State::Failed);
    for _ in 0..TRIES {
        let Some((record, _)) = place.queue.record(id).await? else { return Ok(Fate::Unknown) };
        let view = View::of(record, place);
        let read = view.record.data.as_str();
        let Some((data, note)) = readdressed(&view, to) else { return Ok(Fate::Unchangeable) };
        let line = format!("{:.3} Redelivery asked for by a person{note}", Timestamp::now());
        if order.dry_run {
            return Ok(match view.record.state {
                State::Active => Fate::AtWork,
                State::Waiting | State::Prioritized => Fate::WasInLine,
                State::Completed if order.all => Fate::Delivered,
                State::Delayed if order.all => Fate::WasInLine,
                State::Delayed | State::Completed | State::Failed => Fate::InLine,
            });
        }
        match place.queue.put_back(id, read, &data, &line, only).await? {
            PutBack::From(_) => return Ok(Fate::InLine),
            PutBack::Elsewhere(State::Completed) => return Ok(Fate::Delivered),
            PutBack::Waits | PutBack::Elsewhere(_) => return Ok(Fate::WasInLine),
            PutBack::AtWork => return Ok(Fate::AtWork),
            PutBack::Gone => return Ok(Fate::Unknown),
            PutBack::Changed => {}
        }
    }
    Ok(Fate::Unchangeable)
}

/// The job's data from now on, and what is noted of the change; nothing where it cannot be changed.
fn readdressed(view: &View, to: &To) -> Option<(String, String)> {
    let data = &view.record.data;
    let old = view.errand.callback.as_deref();
    let new = match to {
        To::Same => return Some((data.clone(), String::new())),
        To::Url(url) => url.clone(),
        To::Origin(origin) => moved(old?, origin)?,
    };
    let mut fields = Fields::parse(data).ok()?;
    fields.set("callback", raw(new.as_str()));
    let from = old.map_or_else(|| "nowhere".into(), shown);
    Some((fields.to_string(), format!(": the callback was {from}, and is {} now", shown(new.as_str()))))
}

/// A URL at another origin. Credentials go along unless the new origin brings its own.
fn moved(old: &str, origin: &Url) -> Option<Url> {
    let old = Url::parse(old).ok()?;
    let mut new = origin.clone();
    new.set_path(old.path());
    new.set_query(old.query());
    if new.username().is_empty() && new.password().is_none() {
        new.set_username(old.username()).ok()?;
        new.set_password(old.password()).ok()?;
    }
    Some(new)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_callback_that_moves_keeps_its_path_query_and_credentials() {
        for (old, origin, expected) in [
            ("http://a:80/p/q?t=1", "https://b:8443", "https://b:8443/p/q?t=1"),
            ("http://u:p@a/", "http://b", "http://u:p@b/"),
            ("http://u:p@a/x", "http://v:w@b", "http://v:w@b/x"),
            ("https://a/%2e/é", "http://[::1]:9/", "http://[::1]:9/%C3%A9"),
        ] {
            let origin = Url::parse(origin).expect("an origin");
            assert_eq!(moved(old, &origin).map(String::from).as_deref(), Some(expected), "{old}");
        }
        assert_eq!(moved("nonsense", &Url::parse("http://b").expect("an origin")), None);
    }

    #[test]
    fn an_origin_with_a_path_and_what_is_no_url_are_refused_without_their_secrets() {
        let order = |to: Option<&str>, to_origin: Option<&str>| Redeliver {
            ids: vec!["a".into()],
            all: false,
            selection: crate::config::Selection::default(),
            to: to.map(String::from),
            to_origin: to_origin.map(String::from),
            dry_run: false,
            json: false,
        };
        for order in [
            order(Some("ftp://u:canary@h/"), None),
            order(Some("nonsense"), None),
            order(None, Some("http://u:canary@h/path")),
            order(None, Some("http://h/?canary")),
        ] {
            let told = destination(&order).err().map(|error| error.to_string()).unwrap_or_default();
            assert!(told.contains("--to") && !told.contains("canary"), "{told}");
        }
        assert!(matches!(destination(&order(None, Some("https://h:1"))), Ok(To::Origin(_))));
        assert!(matches!(destination(&order(None, None)), Ok(To::Same)));
    }
}
