//! The `serde` side of the canonical writer: how each kind of value is written.

use std::fmt::{self, Display, Write as _};

use serde::ser::{self, Serialize, Serializer};

use super::canonical::{Done, NotCanonical, Writer, escape};
use super::key::KeyText;

/// Escapes what is displayed into it.
struct Escaped<'a>(&'a mut String);

impl fmt::Write for Escaped<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        escape(self.0, text);
        Ok(())
    }
}

macro_rules! numbers {
    ($($method:ident: $type:ty,)*) => {
        $(
            // Every JSON number is a binary64 number (RFC 8785 §3.2.2.3); larger integers travel as strings.
            #[allow(clippy::cast_precision_loss, clippy::cast_lossless, reason = "the nearest binary64 value is the meaning of a JSON number")]
            fn $method(self, value: $type) -> Done {
                self.number(value as f64)
            }
        )*
    };
}

impl<'a> Serializer for &'a mut Writer {
    type Ok = ();
    type Error = NotCanonical;
    type SerializeSeq = List<'a>;
    type SerializeTuple = List<'a>;
    type SerializeTupleStruct = List<'a>;
    type SerializeTupleVariant = List<'a>;
    type SerializeMap = Object<'a>;
    type SerializeStruct = Object<'a>;
    type SerializeStructVariant = Object<'a>;

    numbers! {
        serialize_i8: i8,
        serialize_i16: i16,
        serialize_i32: i32,
        serialize_i64: i64,
        serialize_i128: i128,
        serialize_u8: u8,
        serialize_u16: u16,
        serialize_u32: u32,
        serialize_u64: u64,
        serialize_u128: u128,
        serialize_f32: f32,
        serialize_f64: f64,
    }

    fn serialize_bool(self, value: bool) -> Done {
        self.out.push_str(if value { "true" } else { "false" });
        Ok(())
    }

    fn serialize_char(self, value: char) -> Done {
        self.string(value.encode_utf8(&mut [0; 4]));
        Ok(())
    }

    fn serialize_str(self, value: &str) -> Done {
        self.string(value);
        Ok(())
    }

    fn collect_str<T: Display + ?Sized>(self, value: &T) -> Done {
        self.out.push('"');
        write!(Escaped(&mut self.out), "{value}").map_err(ser::Error::custom)?;
        self.out.push('"');
        Ok(())
    }

    fn serialize_bytes(self, value: &[u8]) -> Done {
        value.serialize(self)
    }

    fn serialize_none(self) -> Done {
        self.serialize_unit()
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Done {
        value.serialize(self)
    }

    fn serialize_unit(self) -> Done {
        self.out.push_str("null");
        Ok(())
    }

    fn serialize_unit_struct(self, _name: &'static str) -> Done {
        self.serialize_unit()
    }

    fn serialize_unit_variant(self, _name: &'static str, _index: u32, variant: &'static str) -> Done {
        self.serialize_str(variant)
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(self, _name: &'static str, value: &T) -> Done {
        value.serialize(self)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _name: &'static str,
        _index: u32,
        variant: &'static str,
        value: &T,
    ) -> Done {
        let mut object = Object::open(self);
        ser::SerializeStruct::serialize_field(&mut object, variant, value)?;
        ser::SerializeStruct::end(object)
    }

    fn serialize_seq(self, _length: Option<usize>) -> Result<List<'a>, NotCanonical> {
        Ok(List::open(self))
    }

    fn serialize_tuple(self, _length: usize) -> Result<List<'a>, NotCanonical> {
        Ok(List::open(self))
    }

    fn serialize_tuple_struct(self, _name: &'static str, _length: usize) -> Result<List<'a>, NotCanonical> {
        Ok(List::open(self))
    }

    fn serialize_tuple_variant(
        self,
        _name: &'static str,
        _index: u32,
        variant: &'static str,
        _length: usize,
    ) -> Result<List<'a>, NotCanonical> {
        let outer = self.members.len();
        self.out.push('{');
        self.key(variant);
        Ok(List {
            outer: Some(outer),
            ..List::open(self)
        })
    }

    fn serialize_map(self, _length: Option<usize>) -> Result<Object<'a>, NotCanonical> {
        Ok(Object::open(self))
    }

    fn serialize_struct(self, _name: &'static str, _length: usize) -> Result<Object<'a>, NotCanonical> {
        Ok(Object::open(self))
    }

    fn serialize_struct_variant(
        self,
        _name: &'static str,
        _index: u32,
        variant: &'static str,
        _length: usize,
    ) -> Result<Object<'a>, NotCanonical> {
        let outer = self.members.len();
        self.out.push('{');
        self.key(variant);
        Ok(Object {
            outer: Some(outer),
            ..Object::open(self)
        })
    }
}

/// An array that is being written; every item's text ends with a comma.
pub(super) struct List<'a> {
    writer: &'a mut Writer,
    empty: bool,
    /// First member of the object that names the variant, when the list is the content of one.
    outer: Option<usize>,
}

impl<'a> List<'a> {
    fn open(writer: &'a mut Writer) -> Self {
        writer.out.push('[');
        Self {
            writer,
            empty: true,
            outer: None,
        }
    }

    fn item<T: Serialize + ?Sized>(&mut self, value: &T) -> Done {
        value.serialize(&mut *self.writer)?;
        self.writer.out.push(',');
        self.empty = false;
        Ok(())
    }

    fn close(self) -> Done {
        if !self.empty {
            self.writer.out.pop();
        }
        self.writer.out.push(']');
        self.writer.close_variant(self.outer)
    }
}

macro_rules! lists {
    ($($trait:ident::$method:ident,)*) => {
        $(
            impl ser::$trait for List<'_> {
                type Ok = ();
                type Error = NotCanonical;

                fn $method<T: Serialize + ?Sized>(&mut self, value: &T) -> Done {
                    self.item(value)
                }

                fn end(self) -> Done {
                    self.close()
                }
            }
        )*
    };
}

lists! {
    SerializeSeq::serialize_element,
    SerializeTuple::serialize_element,
    SerializeTupleStruct::serialize_field,
    SerializeTupleVariant::serialize_field,
}

/// An object that is being written.
pub(super) struct Object<'a> {
    writer: &'a mut Writer,
    first: usize,
    /// First member of the object that names the variant, when this object is the content of one.
    outer: Option<usize>,
}

impl<'a> Object<'a> {
    fn open(writer: &'a mut Writer) -> Self {
        writer.out.push('{');
        Self {
            first: writer.members.len(),
            outer: None,
            writer,
        }
    }

    fn value<T: Serialize + ?Sized>(&mut self, value: &T) -> Done {
        value.serialize(&mut *self.writer)?;
        self.writer.out.push(',');
        Ok(())
    }

    fn close(self) -> Done {
        self.writer.close(self.first)?;
        self.writer.close_variant(self.outer)
    }
}

macro_rules! structs {
    ($($trait:ident,)*) => {
        $(
            impl ser::$trait for Object<'_> {
                type Ok = ();
                type Error = NotCanonical;

                fn serialize_field<T: Serialize + ?Sized>(&mut self, key: &'static str, value: &T) -> Done {
                    self.writer.key(key);
                    self.value(value)
                }

                fn end(self) -> Done {
                    self.close()
                }
            }
        )*
    };
}

structs! { SerializeStruct, SerializeStructVariant, }

impl ser::SerializeMap for Object<'_> {
    type Ok = ();
    type Error = NotCanonical;

    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Done {
        let key = key.serialize(KeyText)?;
        self.writer.key(&key);
        Ok(())
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Done {
        self.value(value)
    }

    fn end(self) -> Done {
        self.close()
    }
}
