//! What the ledgers of the dead add up to.

use super::ledger::{BATCH, Doing, Ledger, Message};
use ringway::zerocopy::FromZeros;
use std::collections::{HashMap, HashSet};
use std::ops::AddAssign;
use std::sync::atomic::Ordering;

/// More pushes than a life has time for.
const MANY: u64 = 1 << 32;

/// The sums, in messages.
#[derive(Clone, Copy, Debug, Default)]
pub struct Sums {
    /// Their push returned `Ok`.
    pub acknowledged: u64,
    /// Their pop returned.
    pub delivered: u64,
    /// Delivered, but their producer was killed before it had written down that they were pushed.
    pub unacknowledged: u64,
    /// Not in any ledger, but a consumer was killed that may have been handed them.
    pub unrecorded: u64,
    /// Of these, those of which nothing but the number is known: at most one for each consumer killed in `try_pop`.
    pub unknown: u64,
    pub killed_in_try_pop: u64,
    /// Flagged as redelivered.
    pub redelivered: u64,
    pub unexplained: u64,
}

impl Sums {
    pub fn in_flight(&self) -> u64 {
        self.unacknowledged + self.unrecorded
    }
}

impl AddAssign for Sums {
    fn add_assign(&mut self, other: Sums) {
        self.acknowledged += other.acknowledged;
        self.delivered += other.delivered;
        self.unacknowledged += other.unacknowledged;
        self.unrecorded += other.unrecorded;
        self.unknown += other.unknown;
        self.killed_in_try_pop += other.killed_in_try_pop;
        self.redelivered += other.redelivered;
        self.unexplained += other.unexplained;
    }
}

/// What one producer has pushed, and what consumers got of it.
#[derive(Debug, Default)]
struct Life {
    acknowledged: u64,
    intended: u64,
    delivered: Vec<bool>,
}

/// The accounts of one ring.
#[derive(Debug, Default)]
pub struct Accounts {
    lives: HashMap<u64, Life>,
    /// Messages that consumers had copied when they were killed, and had perhaps been handed.
    copied: HashSet<(u64, u64)>,
    sums: Sums,
}

impl Accounts {
    pub fn delivered(&self) -> u64 {
        self.sums.delivered
    }

    /// A producer has ended.
    pub fn close_producer(&mut self, life: u64, ledger: &Ledger) {
        let account = self.lives.entry(life).or_default();
        account.acknowledged = ledger.acknowledged.load(Ordering::SeqCst);
        account.intended = ledger.intended.load(Ordering::SeqCst);
    }

    /// A consumer has ended. Its deliveries are wiped, for the next one.
    pub fn close_consumer(&mut self, ledger: &Ledger, deliveries: &mut [Message]) {
        let recorded = ledger.delivered.load(Ordering::SeqCst) as usize;
        self.deliver(&deliveries[..recorded], |index| ledger.is_redelivered(index));
        let used = deliveries.len().min(recorded + BATCH);
        // A message of which it had a part was not handed over.
        let whole: Vec<_> = deliveries[recorded..used].iter().take_while(|message| message.is_whole()).collect();
        if whole.is_empty() && ledger.doing() == Doing::Popping {
            self.sums.killed_in_try_pop += 1;
        }
        self.copied.extend(whole.into_iter().map(|message| (message.producer, message.sequence)));
        deliveries[..used].fill(Message::new_zeroed());
    }

    /// One consumer got these, one after the other.
    pub fn deliver(&mut self, messages: &[Message], is_redelivered: impl Fn(usize) -> bool) {
        let mut last: HashMap<u64, u64> = HashMap::new();
        for (index, message) in messages.iter().enumerate() {
            let Message { producer, sequence, .. } = *message;
            self.sums.delivered += 1;
            if !message.is_whole() {
                self.complain(format!("a message is torn: {producer}, {sequence}"));
                continue;
            }
            if sequence >= MANY {
                self.complain(format!("an abandoned message of producer {producer} was delivered"));
                continue;
            }
            let delivered = &mut self.lives.entry(producer).or_default().delivered;
            delivered.resize(delivered.len().max(sequence as usize + 1), false);
            if std::mem::replace(&mut delivered[sequence as usize], true) {
                self.complain(format!("message {sequence} of producer {producer} was delivered twice"));
            }
            if is_redelivered(index) {
                self.sums.redelivered += 1; // and may come late
            } else if last.insert(producer, sequence).is_some_and(|before| before > sequence) {
                self.complain(format!("message {sequence} of producer {producer} came out of order"));
            }
        }
    }

    /// Everybody has ended, and the ring is empty: nothing will come any more.
    pub fn settle(mut self) -> Sums {
        let mut missing = Vec::new();
        for (producer, Life { acknowledged, intended, delivered }) in std::mem::take(&mut self.lives) {
            self.sums.acknowledged += acknowledged;
            for sequence in intended..delivered.len() as u64 {
                if delivered[sequence as usize] {
                    self.complain(format!("message {sequence} of producer {producer} was never pushed"));
                }
            }
            // The last push was not acknowledged. If any of it was delivered, it was committed up to there.
            let committed = acknowledged.max(intended.min(delivered.len() as u64));
            for sequence in 0..committed {
                match delivered.get(sequence as usize) {
                    Some(true) => self.sums.unacknowledged += u64::from(sequence >= acknowledged),
                    _ if self.copied.contains(&(producer, sequence)) => self.sums.unrecorded += 1,
                    _ => missing.push((producer, sequence)),
                }
            }
        }
        self.sums.unknown = self.sums.killed_in_try_pop.min(missing.len() as u64);
        self.sums.unrecorded += self.sums.unknown;
        for (producer, sequence) in missing.into_iter().skip(self.sums.unknown as usize) {
            self.complain(format!("message {sequence} of producer {producer} is lost, or another one"));
        }
        self.sums
    }

    fn complain(&mut self, complaint: String) {
        self.sums.unexplained += 1;
        match self.sums.unexplained {
            ..20 => eprintln!("unexplained: {complaint}"),
            20 => eprintln!("unexplained: {complaint}; and so on"),
            _ => {}
        }
    }
}
