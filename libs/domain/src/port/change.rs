//! Everything that can change what the store holds, one file each, and what comes of it.

mod adjust;
mod bulk;
mod device;
mod end;
mod keys;
mod purge;
mod rotate;
mod start;
mod step_up;
mod touch;

pub use adjust::*;
pub use bulk::*;
pub use device::*;
pub use end::*;
pub use keys::*;
pub use purge::*;
pub use rotate::*;
pub use start::*;
pub use step_up::*;
pub use touch::*;

/// Everything that can change what the store holds.
#[derive(Debug, Clone)]
pub enum Change {
    /// See [`Start`].
    Start(Box<Start>),
    /// See [`Rotate`].
    Rotate(Rotate),
    /// See [`End`].
    End(End),
    /// See [`Extend`].
    Extend(Extend),
    /// See [`Update`].
    Update(Box<Update>),
    /// See [`StepUp`].
    StepUp(Box<StepUp>),
    /// See [`Touch`].
    Touch(Touch),
    /// See [`BeginRevocation`].
    BeginRevocation(Box<BeginRevocation>),
    /// See [`ContinueRevocation`].
    ContinueRevocation(ContinueRevocation),
    /// See [`AddSigningKey`].
    AddSigningKey(AddSigningKey),
    /// See [`RetireSigningKey`].
    RetireSigningKey(RetireSigningKey),
    /// See [`AddServiceKey`].
    AddServiceKey(AddServiceKey),
    /// See [`RevokeServiceKey`].
    RevokeServiceKey(RevokeServiceKey),
    /// See [`ChangeDevice`].
    ChangeDevice(ChangeDevice),
    /// See [`ForgetDevice`].
    ForgetDevice(ForgetDevice),
    /// See [`Purge`].
    Purge(Purge),
}

/// What came of a [`Change`], in its variant.
#[derive(Debug, Clone, PartialEq)]
pub enum Outcome {
    /// Of [`Change::Start`].
    Start(StartOutcome),
    /// Of [`Change::Rotate`].
    Rotate(RotateOutcome),
    /// Of [`Change::End`].
    End(EndOutcome),
    /// Of [`Change::Extend`].
    Extend(ExtendOutcome),
    /// Of [`Change::Update`].
    Update(UpdateOutcome),
    /// Of [`Change::StepUp`].
    StepUp(StepUpOutcome),
    /// Of [`Change::Touch`].
    Touch(TouchOutcome),
    /// Of [`Change::BeginRevocation`].
    BeginRevocation(BegunRevocation),
    /// Of [`Change::ContinueRevocation`].
    ContinueRevocation(ContinueOutcome),
    /// Of [`Change::AddSigningKey`].
    Key(KeyOutcome),
    /// Of [`Change::RetireSigningKey`].
    RetireSigningKey(RetireOutcome),
    /// Of [`Change::AddServiceKey`].
    ServiceKey(ServiceKeyOutcome),
    /// Of [`Change::RevokeServiceKey`].
    RevokeServiceKey(RevokeServiceKeyOutcome),
    /// Of [`Change::ChangeDevice`].
    ChangeDevice(DeviceOutcome),
    /// Of [`Change::ForgetDevice`].
    ForgetDevice(ForgetOutcome),
    /// Of [`Change::Purge`].
    Purge(PurgeOutcome),
}

/// A change whose outcome's type is known, so that no caller handles outcomes of other changes.
pub trait Transition: Into<Change> {
    /// What comes of it.
    type Outcome;

    /// Takes the outcome of this kind of change out of the general one.
    fn outcome(outcome: Outcome) -> Option<Self::Outcome>;
}

macro_rules! transition {
    ($($change:ident => $variant:ident, $result:ident);* $(;)?) => {$(
        impl From<$change> for Change {
            fn from(change: $change) -> Self {
                Self::$change(change.into())
            }
        }
        impl Transition for $change {
            type Outcome = $result;
            fn outcome(outcome: Outcome) -> Option<$result> {
                match outcome {
                    Outcome::$variant(result) => Some(result),
                    _ => None,
                }
            }
        }
    )*};
}
transition! {
    Start => Start, StartOutcome;
    Rotate => Rotate, RotateOutcome;
    End => End, EndOutcome;
    Extend => Extend, ExtendOutcome;
    Update => Update, UpdateOutcome;
    StepUp => StepUp, StepUpOutcome;
    Touch => Touch, TouchOutcome;
    BeginRevocation => BeginRevocation, BegunRevocation;
    ContinueRevocation => ContinueRevocation, ContinueOutcome;
    AddSigningKey => Key, KeyOutcome;
    RetireSigningKey => RetireSigningKey, RetireOutcome;
    AddServiceKey => ServiceKey, ServiceKeyOutcome;
    RevokeServiceKey => RevokeServiceKey, RevokeServiceKeyOutcome;
    ChangeDevice => ChangeDevice, DeviceOutcome;
    ForgetDevice => ForgetDevice, ForgetOutcome;
    Purge => Purge, PurgeOutcome;
}
