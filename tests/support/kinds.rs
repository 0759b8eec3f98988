//! The two kinds of ring under the same names, for contracts that hold on both.

pub mod spsc {
    use ringway::Message;
    pub use ringway::spsc::{Consumer, Producer, Ring};

    pub fn producer<T: Message>(ring: &Ring<T>) -> Producer<T> {
        ring.producer().expect("a free role")
    }

    pub fn consumer<T: Message>(ring: &Ring<T>) -> Consumer<T> {
        ring.consumer().expect("a free role")
    }

    /// What was popped, or how many.
    pub fn plain<V>(popped: V) -> V {
        popped
    }
}

pub mod mpmc {
    use ringway::Message;
    pub use ringway::mpmc::{Consumer, Producer, Ring};

    pub fn producer<T: Message>(ring: &Ring<T>) -> Producer<T> {
        ring.producer()
    }

    pub fn consumer<T: Message>(ring: &Ring<T>) -> Consumer<T> {
        ring.consumer()
    }

    /// What was popped, or how many.
    pub fn plain<V>(popped: ringway::mpmc::Popped<V>) -> V {
        popped.into_inner()
    }
}
