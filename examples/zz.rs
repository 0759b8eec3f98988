//! x
use ringway::*;
/// a
#[inline(never)]
#[unsafe(no_mangle)]
pub fn pop4096(c: &mut spsc::Consumer<[u64; 512]>, d: &mut [[u64; 512]]) -> usize {
    c.pop_slice(d).unwrap_or(9)
}
/// a
#[inline(never)]
#[unsafe(no_mangle)]
pub fn pop8(c: &mut spsc::Consumer<u64>, d: &mut [u64]) -> usize {
    c.pop_slice(d).unwrap_or(9)
}
/// a
#[inline(never)]
#[unsafe(no_mangle)]
pub fn push1(c: &mut spsc::Producer<u64>, d: u64) -> bool {
    c.try_push(d).is_ok()
}
/// a
#[inline(never)]
#[unsafe(no_mangle)]
pub fn pop1(c: &mut spsc::Consumer<u64>) -> Option<u64> {
    c.try_pop().ok()
}
fn main() {
    let name = format!("zz-{}", std::process::id());
    let r = spsc::Ring::<[u64; 512]>::create(&name, &Options::new().lifetime(Lifetime::LastDetach)).unwrap();
    let mut c = r.consumer().unwrap();
    println!("{}", pop4096(&mut c, &mut [[0; 512]; 2]));
    let r = spsc::Ring::<u64>::create(&(name + "2"), &Options::new().lifetime(Lifetime::LastDetach)).unwrap();
    let mut c = r.consumer().unwrap();
    let mut p = r.producer().unwrap();
    println!("{} {} {:?}", push1(&mut p, 1), pop8(&mut c, &mut []), pop1(&mut c));
}
