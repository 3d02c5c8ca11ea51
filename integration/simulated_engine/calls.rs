//! The calls of Docker's API that the simulated engine answers: which one it is, and carrying it out.

use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use bytes::Bytes;
use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::header::HeaderValue;
use hyper::{Method, Request, Response};

use super::Shared;
use super::container::IMAGE_ID;
use super::faults::{self, Call, Fault};
use super::images::tagged;
use super::query::{Query, decoded};
use super::reading::Reading;
use super::reply::{Body, Refusal, Reply};
use super::world::{Run, World};

/// A connection that is to be closed without an answer.
#[derive(Debug, thiserror::Error)]
#[error("dropped on purpose")]
pub struct Dropped;

/// Answers one request, faults included.
pub async fn answer(shared: Arc<Shared>, request: Request<Incoming>) -> Result<Response<Body>, Dropped> {
    let (head, incoming) = request.into_parts();
    let (version, path) = split_version(head.uri.path());
    let (call, about) = which(&head.method, path);
    let about = decoded(about);
    let query = Query::parse(head.uri.query());
    let call = if call == Call::Inspect && query.flag("size") { Call::Size } else { call };
    let asked = Asked {
        about,
        query,
        login: head
            .headers
            .get("x-registry-auth")
            .and_then(|login| login.to_str().ok())
            .map(ToOwned::to_owned),
        body: if matches!(call, Call::Create | Call::Archive) {
            collected(incoming).await?
        } else {
            Bytes::new()
        },
    };
    let (fault, date) = {
        let mut world = shared.world();
        world.stats.count(call);
        (take_fault(&mut world, call, &asked), skewed_date(&world))
    };
    let options = &shared.options;
    if let Some(too_new) = version.and_then(|version| unsupported(version, options)) {
        return Ok(Reply::from(too_new).respond(options, date));
    }
    let reply = match fault {
        None => carry_out(&shared, call, &asked),
        Some(Fault::Refuse(status, message)) => Refusal(status, message).into(),
        Some(Fault::Delay(time)) => {
            tokio::time::sleep(time).await;
            carry_out(&shared, call, &asked)
        }
        Some(Fault::DelayAnswer(time)) => {
            let reply = carry_out(&shared, call, &asked);
            tokio::time::sleep(time).await;
            reply
        }
        Some(Fault::Hang) => std::future::pending().await,
        Some(Fault::CarryOutAndHang) => {
            carry_out(&shared, call, &asked);
            std::future::pending().await
        }
        Some(Fault::Drop) => return Err(Dropped),
        Some(Fault::CarryOutAndDrop) => {
            carry_out(&shared, call, &asked);
            return Err(Dropped);
        }
        Some(Fault::CarryOutAndRefuse(status, message)) => {
            carry_out(&shared, call, &asked);
            Refusal(status, message).into()
        }
        Some(Fault::StallBody) => {
            let response = carry_out(&shared, call, &asked).respond(options, date);
            return Ok(response.map(Body::stalled));
        }
    };
    Ok(reply.respond(options, date))
}

/// What a call asks for.
struct Asked {
    about: String,
    query: Query,
    login: Option<String>,
    body: Bytes,
}

async fn collected(body: Incoming) -> Result<Bytes, Dropped> {
    body.collect().await.map(http_body_util::Collected::to_bytes).map_err(|_| Dropped)
}

/// `/v1.41/x` → `1.41`, `/x`.
fn split_version(path: &str) -> (Option<&str>, &str) {
    let Some(rest) = path.strip_prefix("/v") else { return (None, path) };
    match rest.split_once('/') {
        Some((version, _)) if version.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.') => {
            (Some(version), &rest[version.len()..])
        }
        _ => (None, path),
    }
}

fn which<'a>(method: &Method, path: &'a str) -> (Call, &'a str) {
    let get = method == Method::GET;
    let post = method == Method::POST;
    if path == "/_ping" && (get || method == Method::HEAD) {
        return (Call::Ping, "");
    }
    if let Some(rest) = path.strip_prefix("/containers/") {
        let (about, verb) = rest.split_once('/').unwrap_or((rest, ""));
        let call = match (about, verb) {
            ("create", "") if post => return (Call::Create, ""),
            ("json", "") if get => return (Call::List, ""),
            (_, "start") if post => Call::Start,
            (_, "archive") if method == Method::PUT => Call::Archive,
            (_, "json") if get => Call::Inspect,
            (_, "stats") if get => Call::Usage,
            (_, "logs") if get => Call::Logs,
            (_, "kill") if post => Call::Kill,
            (_, "pause") if post => Call::Pause,
            (_, "unpause") if post => Call::Unpause,
            (_, "") if method == Method::DELETE => Call::Remove,
            _ => Call::Unknown,
        };
        return (call, about);
    }
    match path {
        "/events" if get => (Call::Events, ""),
        "/version" if get => (Call::Version, ""),
        "/info" if get => (Call::Info, ""),
        "/system/df" if get => (Call::DiskUsage, ""),
        "/images/create" if post => (Call::Pull, ""),
        _ => match path.strip_prefix("/images/").and_then(|rest| rest.strip_suffix("/json")) {
            Some(image) if get => (Call::InspectImage, image),
            _ => (Call::Unknown, ""),
        },
    }
}

fn take_fault(world: &mut World, call: Call, asked: &Asked) -> Option<Fault> {
    if world.rules.is_empty() {
        return None;
    }
    let mut names = vec![asked.about.clone()];
    names.extend(asked.query.text("name").map(ToOwned::to_owned));
    if let Ok(container) = world.find(&asked.about) {
        let identity = &container.identity;
        names.extend([identity.id.clone(), identity.name.clone(), identity.image.clone()]);
    }
    names.extend(image_of(call, asked));
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    faults::take(&mut world.rules, call, &names)
}

/// The image that a call asks for.
fn image_of(call: Call, asked: &Asked) -> Option<String> {
    match call {
        Call::Create => {
            let body: serde_json::Value = serde_json::from_slice(&asked.body).ok()?;
            body["Image"].as_str().map(ToOwned::to_owned)
        }
        Call::Pull => asked.query.text("fromImage").map(ToOwned::to_owned),
        _ => None,
    }
}

fn skewed_date(world: &World) -> Option<HeaderValue> {
    if world.skew == 0 {
        return None; // the server writes its own
    }
    let now = Duration::from_nanos(u64::try_from(world.now()).unwrap_or(0));
    HeaderValue::from_str(&httpdate::fmt_http_date(UNIX_EPOCH + now)).ok()
}

fn unsupported(version: &str, options: &super::Options) -> Option<Refusal> {
    let minor = |text: &str| text.strip_prefix("1.").and_then(|minor| minor.parse::<u32>().ok()).unwrap_or(0);
    let (asked, newest, oldest) = (minor(version), options.api_version, options.min_api_version);
    if asked > minor(newest) {
        let message =
            format!("client version {version} is too new. Maximum supported API version is {newest}");
        return Some(Refusal(400, message));
    }
    (asked < minor(oldest)).then(|| {
        let message = format!(
            "client version {version} is too old. Minimum supported API version is {oldest}, please upgrade your \
             client to a newer version"
        );
        Refusal(400, message)
    })
}

fn carry_out(shared: &Arc<Shared>, call: Call, asked: &Asked) -> Reply {
    let reply = try_to(shared, call, asked).unwrap_or_else(Reply::from);
    shared.changed.notify_waiters();
    reply
}

fn try_to(shared: &Arc<Shared>, call: Call, asked: &Asked) -> Result<Reply, Refusal> {
    let mut world = shared.world();
    let world = &mut *world;
    let (about, query) = (asked.about.as_str(), &asked.query);
    let bad = |message: String| Refusal(400, message);
    let done = |()| Reply::Empty(204);
    Ok(match call {
        Call::Ping => Reply::Plain("OK"),
        Call::Version => Reply::Json(200, shared.options.version_json()),
        Call::Info => Reply::Json(200, shared.options.info_json(world)),
        Call::Create => {
            let id = world.create(query.text("name").filter(|name| !name.is_empty()), &asked.body)?;
            Reply::Json(201, format!("{{\"Id\":\"{id}\",\"Warnings\":[]}}\n"))
        }
        Call::Archive => {
            world.extract(about, query.text("path").unwrap_or_default(), &asked.body)?;
            Reply::Empty(200)
        }
        Call::Start => match world.start(about)? {
            None => Reply::Empty(304),
            Some(run) => {
                if world.dies_within_start {
                    world.end(&run.id, Some(run.number), run.exit_code);
                } else {
                    schedule(shared, run);
                }
                Reply::Empty(204)
            }
        },
        Call::Inspect | Call::Size => {
            let container = world.find(about)?;
            Reply::Json(200, container.inspect_json(call == Call::Size) + "\n")
        }
        Call::Usage => Reply::Json(200, world.find(about)?.stats_json()),
        Call::DiskUsage => Reply::Json(200, world.volumes_json()),
        Call::Logs => {
            let container = world.find(about)?;
            let (stdout, stderr) = (query.flag("stdout"), query.flag("stderr"));
            if !stdout && !stderr {
                return Err(bad("Bad parameters: you must choose at least one stream".to_owned()));
            }
            let frames = container.frames(&shared.options.verdict, stdout, stderr);
            Reply::Flow(Body::Chunked((!frames.is_empty()).then(|| frames.into())))
        }
        Call::List => Reply::Json(200, world.list(query.flag("all"), &query.filters().map_err(bad)?)),
        Call::Kill => done(world.kill(about, query.text("signal").unwrap_or_default())?),
        Call::Pause => done(world.freeze(about, true)?),
        Call::Unpause => done(world.freeze(about, false)?),
        Call::Remove => done(world.remove(about, query.flag("force"))?),
        Call::Events => events(world, query, Arc::clone(&shared.reading))?,
        Call::Pull => pull(world, asked)?,
        Call::InspectImage => {
            if !world.images.has(about) {
                return Err(Refusal(
                    404,
                    format!("no such image: {about}: No such image: {}", tagged(about)),
                ));
            }
            let json = serde_json::json!({ "Id": IMAGE_ID, "RepoTags": [tagged(about)], "Os": "linux" });
            Reply::Json(200, format!("{json}\n"))
        }
        // Such as an update, with which the runner asks whether there is room.
        Call::Unknown if world.find(about).is_ok_and(|container| container.lost) => {
            return Err(Refusal(500, "write /simulated: no space left on device".to_owned()));
        }
        Call::Unknown => return Err(Refusal(404, "page not found".to_owned())),
    })
}

/// Ends a run after its time, unless something else ended it before.
pub fn schedule(shared: &Arc<Shared>, run: Run) {
    let shared = Arc::clone(shared);
    tokio::spawn(async move {
        if run.time.is_zero() {
            tokio::task::yield_now().await;
        } else {
            tokio::time::sleep(run.time).await;
        }
        shared.world().end(&run.id, Some(run.number), run.exit_code);
        shared.changed.notify_waiters();
    });
}

fn events(world: &mut World, query: &Query, reading: Arc<Reading>) -> Result<Reply, Refusal> {
    let bad = |message: String| Refusal(500, message);
    let (since, until) = (query.time("since").map_err(bad)?, query.time("until").map_err(bad)?);
    let filters = query.filters().map_err(bad)?;
    let left = until.map(|until| u64::try_from(until - world.now()).unwrap_or(0));
    let feed = world.log.subscribe(filters, since, until, left != Some(0));
    let until =
        left.filter(|left| *left > 0).map(|left| Box::pin(tokio::time::sleep(Duration::from_nanos(left))));
    Ok(Reply::Flow(Body::Events { feed, reading, until, last: None }))
}

fn pull(world: &mut World, asked: &Asked) -> Result<Reply, Refusal> {
    let image = asked.query.text("fromImage").unwrap_or_default();
    let name = match asked.query.text("tag").filter(|tag| !tag.is_empty()) {
        Some(tag) => format!("{image}{}{tag}", if tag.contains(':') { "@" } else { ":" }),
        None => image.to_owned(),
    };
    world.images.pull(&name, asked.login.as_deref())?;
    let lines = format!(
        "{{\"status\":\"Pulling from {image}\",\"id\":\"simulated\"}}\r\n\
         {{\"status\":\"Status: Downloaded newer image for {name}\"}}\r\n"
    );
    Ok(Reply::Flow(Body::Chunked(Some(lines.into()))))
}
