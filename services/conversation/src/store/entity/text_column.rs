//! Enums of the domain as text columns.

use sea_orm::{
    ColIdx, QueryResult, TryGetError, TryGetable, Value,
    sea_query::{ArrayType, ColumnType, Nullable, StringLen, ValueType, ValueTypeErr},
};

use crate::domain::{
    AccountJobStatus, ActorKind, AttachmentStatus, CloseReason, ContactJobKind, ContactJobStatus, OwnerKind, Status,
    TicketStatus, VisitorLink,
};

/// Makes an enum a text column that holds what `as_str` returns.
macro_rules! text_column {
    ($type:ident: $($variant:ident),+) => {
        impl From<$type> for Value {
            fn from(value: $type) -> Self {
                value.as_str().into()
            }
        }

        impl TryGetable for $type {
            fn try_get_by<I: ColIdx>(row: &QueryResult, index: I) -> Result<Self, TryGetError> {
                let text = String::try_get_by(row, index)?;
                [$(Self::$variant),+].into_iter().find(|value| value.as_str() == text).ok_or_else(|| {
                    let unknown = format!("{text:?} is no {}", stringify!($type));
                    TryGetError::DbErr(sea_orm::DbErr::Type(unknown))
                })
            }
        }

        impl ValueType for $type {
            fn try_from(value: Value) -> Result<Self, ValueTypeErr> {
                let text = <String as ValueType>::try_from(value)?;
                [$(Self::$variant),+].into_iter().find(|value| value.as_str() == text).ok_or(ValueTypeErr)
            }

            fn type_name() -> String {
                stringify!($type).to_owned()
            }

            fn array_type() -> ArrayType {
                ArrayType::String
            }

            fn column_type() -> ColumnType {
                ColumnType::String(StringLen::None)
            }
        }

        impl Nullable for $type {
            fn null() -> Value {
                Value::String(None)
            }
        }
    };
}

text_column!(AccountJobStatus: Suspending, Exporting, Waiting, Erasing, Done, Cancelled);
text_column!(ActorKind: Visitor, Agent, Bot, System, Admin);
text_column!(AttachmentStatus: Pending, Ready, Refused, Removing);
text_column!(CloseReason: Agent, VisitorInactive, BotCompleted);
text_column!(ContactJobKind: Erasure, Export);
text_column!(ContactJobStatus: Running, Done, Failed);
text_column!(OwnerKind: Agent, Bot);
text_column!(Status: Open, Closed);
text_column!(TicketStatus: Open, Closed);
text_column!(VisitorLink: Verified, Claimed);
