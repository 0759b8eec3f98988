//! `ringway create`: makes a ring.

use crate::failure::{Code, Failure};
use crate::observe;
use crate::out::Out;
use clap::{Args, ValueEnum};
use ringway::Options;
use ringway::bytes::{Kind, Messages, Ring};

/// Create a ring.
///
/// It stays until it is removed, with or without processes. A program opens it with the type that was named: a ring of
/// `--type u64`, or of `--item-size 64` as one of `[u8; 64]`.
#[derive(Debug, Args)]
pub struct Create {
    /// The ring: a name, sysv:KEY, or a path
    name: String,
    /// One producer and one consumer, or many of either
    #[arg(long, value_enum)]
    kind: KindName,
    /// Messages that the ring holds
    #[arg(long, value_name = "N")]
    capacity: usize,
    /// Bytes of a message; not needed for a type that is known, such as `u64`
    #[arg(long, value_name = "N", required_unless_present = "type_name")]
    item_size: Option<usize>,
    /// Alignment of a message in bytes, a power of two up to 64: that of the type if it is known, else 1
    #[arg(long, value_name = "N")]
    align: Option<usize>,
    /// What programs call the type of a message, without path; `[u8; SIZE]` if none is given
    #[arg(long = "type", value_name = "NAME")]
    type_name: Option<String>,
    /// A number that stands for the type instead of its name: what programs give to `Options::schema`
    #[arg(long, value_name = "NUMBER")]
    schema: Option<u64>,
    /// Processes that can be attached at the same time
    #[arg(long, value_name = "N", default_value_t = 64)]
    processes: usize,
    /// Who may open it, in octal digits
    #[arg(long, default_value = "600", value_name = "MODE", value_parser = octal)]
    mode: u32,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum KindName {
    Spsc,
    Mpmc,
}

fn octal(text: &str) -> Result<u32, String> {
    match u32::from_str_radix(text, 8) {
        Ok(mode) if mode <= 0o777 => Ok(mode),
        _ => Err("expected up to three octal digits, such as 660".to_owned()),
    }
}

impl Create {
    pub fn run(self, _: &mut Out) -> Result<(), Failure> {
        let messages = self.messages()?;
        let kind = match self.kind {
            KindName::Spsc => Kind::Spsc,
            KindName::Mpmc => Kind::Mpmc,
        };
        let options = Options::new().capacity(self.capacity).processes(self.processes).mode(self.mode);
        let options = match self.schema {
            Some(tag) => options.schema(tag),
            None => options,
        };
        Ring::create(observe::source(&self.name)?, kind, &messages, &options)?;
        Ok(())
    }

    fn messages(&self) -> Result<Messages, Failure> {
        let known = self.type_name.as_deref().and_then(size_of_known);
        let size = match (self.item_size, known) {
            (Some(size), Some(known)) if size != known => {
                let name = self.type_name.as_deref().unwrap_or_default();
                let message = format!("a `{name}` has {known} bytes, and --item-size says {size}; leave it out");
                return Err(Failure::new(Code::Usage, message));
            }
            (Some(size), _) | (None, Some(size)) => size,
            (None, None) => {
                let message = "--item-size is needed: the type is not one whose size is known here";
                return Err(Failure::new(Code::Usage, message));
            }
        };
        let align = self.align.unwrap_or(known.unwrap_or(1));
        let type_name = self.type_name.clone().unwrap_or_else(|| Messages::bytes(size).type_name);
        Ok(Messages { size, align, type_name })
    }
}

/// Of a number type, which on the machines that there are is also its alignment.
fn size_of_known(name: &str) -> Option<usize> {
    match name {
        "u8" | "i8" => Some(1),
        "u16" | "i16" => Some(2),
        "u32" | "i32" | "f32" => Some(4),
        "u64" | "i64" | "f64" | "usize" | "isize" => Some(8),
        "u128" | "i128" => Some(16),
        _ => None,
    }
}
