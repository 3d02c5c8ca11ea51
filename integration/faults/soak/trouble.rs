//! The random faults of the soak: of the engine, of Redis, of processes and of receivers, from one seed.

use std::collections::BTreeMap;
use std::time::Duration;

use fastrand::Rng;
use tokio::time::Instant;

use super::receiver::Receiver;
use crate::support::simulated_engine::{Call, Ending, Fault, Loss, SimulatedEngine};
use crate::support::system::System;

/// The processes that are killed and stopped; their twins are watched.
pub const VICTIMS: [(&str, &str); 3] =
    [("starter-b", "starter"), ("completer-b", "completer"), ("notifier-b", "notifier")];

/// How many calls of the engine are to go wrong at most.
const AT_ONCE: usize = 30;

/// What goes wrong, and until when.
pub struct Trouble {
    random: Rng,
    next: Instant,
    engine_back: Option<Instant>,
    receiver_well: Option<Instant>,
    dead: Vec<(Instant, &'static str, &'static str)>,
    /// When each was begun again.
    born: BTreeMap<&'static str, Instant>,
    /// How many faults there were.
    pub faults: usize,
    /// How many processes were killed or stopped.
    pub ended: usize,
}

impl Trouble {
    /// The same seed chooses the same faults in the same order.
    pub fn of(seed: u64) -> Self {
        Self {
            random: Rng::with_seed(seed),
            next: Instant::now(),
            engine_back: None,
            receiver_well: None,
            dead: Vec::new(),
            born: BTreeMap::new(),
            faults: 0,
            ended: 0,
        }
    }

    /// Does what is due by now.
    pub async fn go_on(&mut self, engine: &SimulatedEngine, receiver: &Receiver, system: &mut System) {
        let now = Instant::now();
        if self.engine_back.is_some_and(|at| at <= now) {
            self.engine_back = None;
            engine.come_back(self.random.bool());
        }
        if self.receiver_well.is_some_and(|at| at <= now) {
            self.receiver_well = None;
            receiver.refuse(false);
        }
        self.dead.retain(|(at, name, component)| {
            let due = *at <= now;
            if due {
                system.spawn_as(name, component);
                self.born.insert(name, now);
            }
            !due
        });
        if self.next <= now {
            self.next = now + self.millis(100..500);
            self.faults += 1;
            self.strike(now, engine, receiver, system).await;
        }
    }

    /// Nothing goes wrong any more.
    pub fn end(&mut self, engine: &SimulatedEngine, receiver: &Receiver, system: &mut System) {
        if self.engine_back.take().is_some() {
            engine.come_back(true);
        }
        engine.clear_rules();
        engine.lose_no_events();
        receiver.refuse(false);
        for (_, name, component) in self.dead.drain(..) {
            system.spawn_as(name, component);
        }
    }

    async fn strike(
        &mut self,
        now: Instant,
        engine: &SimulatedEngine,
        receiver: &Receiver,
        system: &mut System,
    ) {
        match self.random.u32(..200) {
            0..25 => engine.close_streams(self.choose(&[Ending::Clean, Ending::Broken, Ending::MidLine])),
            25..60 => {
                let loss = self.choose(&[Loss::Streams, Loss::Everywhere]);
                engine.lose_events(Some("die"), self.random.usize(1..10), loss);
            }
            // Of calls that are seldom made the faults would pile up: no such call would go right any more.
            60..165 if engine.rules_left() >= AT_ONCE => engine.clear_rules(),
            60..165 => {
                let call = self.choose(&[
                    Call::Create,
                    Call::Start,
                    Call::Inspect,
                    Call::Logs,
                    Call::List,
                    Call::Remove,
                    Call::Events,
                    Call::Info,
                ]);
                engine.inject(call, self.fault(), self.random.usize(1..6));
            }
            165..167 if self.engine_back.is_none() => {
                engine.go_away();
                self.engine_back = Some(now + self.millis(1000..5000));
            }
            167..175 => {
                system.ask(&["CLIENT", "KILL", "TYPE", "normal"]).await;
            }
            175..178 => {
                let pause = self.random.u32(1000..3000).to_string();
                system.ask(&["CLIENT", "PAUSE", &pause]).await;
            }
            178..185 => {
                let (name, component) = self.choose(&VICTIMS);
                if system.running_components().iter().any(|running| running == name) {
                    self.ended += 1;
                    // One that has hardly begun does not know the signal yet.
                    let grown = self.born.get(name).is_none_or(|born| now - *born > Duration::from_secs(10));
                    if self.random.bool() || !grown {
                        system.kill(name).await;
                    } else {
                        let (code, _) = system.stop(name).await;
                        assert_eq!(code, Some(0), "{name} stops as asked");
                    }
                    let again = now + self.millis(0..2000);
                    self.dead.push((again, name, component));
                }
            }
            _ => {
                receiver.refuse(true);
                self.receiver_well = Some(now + self.millis(500..3000));
            }
        }
    }

    fn fault(&mut self) -> Fault {
        let delay = self.millis(50..1500);
        let error = || "a fault of the soak".to_owned();
        let faults = [
            Fault::Refuse(500, error()),
            Fault::CarryOutAndRefuse(500, error()),
            Fault::Refuse(503, error()),
            Fault::Drop,
            Fault::CarryOutAndDrop,
            Fault::Hang,
            Fault::CarryOutAndHang,
            Fault::StallBody,
            Fault::Delay(delay),
            Fault::DelayAnswer(delay),
        ];
        self.choose(&faults)
    }

    fn choose<T: Clone>(&mut self, among: &[T]) -> T {
        among[self.random.usize(..among.len())].clone()
    }

    fn millis(&mut self, range: std::ops::Range<u64>) -> Duration {
        Duration::from_millis(self.random.u64(range))
    }
}
