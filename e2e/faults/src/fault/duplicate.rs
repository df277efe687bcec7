//! Every session is ended through both APIs at once.

use super::{Fault, healthy};
use crate::world::Shape;

pub(super) const FAULT: Fault = Fault {
    name: "duplicate_revoke",
    expected: "whichever call is answered first, the session is refused from then on",
    shape: Shape {
        duplicate: true,
        ..Shape::USUAL
    },
    ..healthy::FAULT
};
