//! Keys of maps in canonical JSON: text, or nothing.

use std::fmt::Display;

use serde::ser::{self, Impossible, Serialize, Serializer};

use super::canonical::NotCanonical;

/// Turns a map key into text; everything but text is refused.
pub(super) struct KeyText;

macro_rules! refuse {
    ($($method:ident($($argument:ty),*) -> $ok:ty;)*) => {
        $(
            fn $method(self, $(_: $argument),*) -> Result<$ok, NotCanonical> {
                Err(not_text())
            }
        )*
    };
}

fn not_text() -> NotCanonical {
    ser::Error::custom("map keys must be strings")
}

impl Serializer for KeyText {
    type Ok = String;
    type Error = NotCanonical;
    type SerializeSeq = Impossible<String, NotCanonical>;
    type SerializeTuple = Impossible<String, NotCanonical>;
    type SerializeTupleStruct = Impossible<String, NotCanonical>;
    type SerializeTupleVariant = Impossible<String, NotCanonical>;
    type SerializeMap = Impossible<String, NotCanonical>;
    type SerializeStruct = Impossible<String, NotCanonical>;
    type SerializeStructVariant = Impossible<String, NotCanonical>;

    fn serialize_str(self, value: &str) -> Result<String, NotCanonical> {
        Ok(value.to_owned())
    }

    fn collect_str<T: Display + ?Sized>(self, value: &T) -> Result<String, NotCanonical> {
        Ok(value.to_string())
    }

    fn serialize_unit_variant(self, _: &'static str, _: u32, variant: &'static str) -> Result<String, NotCanonical> {
        Ok(variant.to_owned())
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        value: &T,
    ) -> Result<String, NotCanonical> {
        value.serialize(self)
    }

    fn serialize_some<T: Serialize + ?Sized>(self, _: &T) -> Result<String, NotCanonical> {
        Err(not_text())
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        _: &T,
    ) -> Result<String, NotCanonical> {
        Err(not_text())
    }

    refuse! {
        serialize_bool(bool) -> String;
        serialize_i8(i8) -> String;
        serialize_i16(i16) -> String;
        serialize_i32(i32) -> String;
        serialize_i64(i64) -> String;
        serialize_u8(u8) -> String;
        serialize_u16(u16) -> String;
        serialize_u32(u32) -> String;
        serialize_u64(u64) -> String;
        serialize_f32(f32) -> String;
        serialize_f64(f64) -> String;
        serialize_char(char) -> String;
        serialize_bytes(&[u8]) -> String;
        serialize_none() -> String;
        serialize_unit() -> String;
        serialize_unit_struct(&'static str) -> String;
        serialize_seq(Option<usize>) -> Self::SerializeSeq;
        serialize_tuple(usize) -> Self::SerializeTuple;
        serialize_tuple_struct(&'static str, usize) -> Self::SerializeTupleStruct;
        serialize_tuple_variant(&'static str, u32, &'static str, usize) -> Self::SerializeTupleVariant;
        serialize_map(Option<usize>) -> Self::SerializeMap;
        serialize_struct(&'static str, usize) -> Self::SerializeStruct;
        serialize_struct_variant(&'static str, u32, &'static str, usize) -> Self::SerializeStructVariant;
    }
}
